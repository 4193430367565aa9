package keys

import "encoding/binary"

// A charset is a set of ASCII characters. Each set is one bit of the table charsets.
type charset uint8

const (
	alnum    charset = 1 << iota // 0-9 A-Z a-z, the digits of base62
	lowerHex                     // 0-9 a-f
	word                         // alnum and _
	b64token                     // word and -.~+/= (RFC 6750 §2.1)
	named                        // word and -.~@, as in the IDs of other systems
	visible                      // all of ASCII but controls and the space
)

var charsets = func() (table [256]charset) {
	add := func(chars string, sets charset) {
		for i := range len(chars) {
			table[chars[i]] |= sets
		}
	}
	add(base62, alnum|word|b64token|named)
	add("0123456789abcdef", lowerHex)
	add("_", word|b64token|named)
	add("-.~", b64token|named)
	add("+/=", b64token)
	add("@", named)
	for c := '!'; c <= '~'; c++ {
		add(string(c), visible)
	}
	return table
}()

// only reports whether every character of text is in c. It always looks at all of
// them: texts are short, so that is faster than a test after each character.
func (c charset) only(text string) bool {
	if len(text) >= 8 {
		switch c {
		case alnum:
			return onlyAlnum(bytesOf(text))
		case lowerHex:
			return onlyLowerHex(bytesOf(text))
		}
	}
	for i := range len(text) {
		c &= charsets[text[i]]
	}
	return c != 0
}

// printable reports whether all characters of text are visible, or spaces.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] != ' ' && charsets[text[i]]&visible == 0 {
			return false
		}
	}
	return true
}

// onlyAlnum and onlyLowerHex are only for texts of eight characters or more.
// The last eight may overlap those before them.
func onlyAlnum(b []byte) bool {
	x := binary.LittleEndian.Uint64(b[len(b)-8:])
	seen, all := x, alnum8(x)
	for ; len(b) > 8; b = b[8:] {
		x = binary.LittleEndian.Uint64(b)
		seen, all = seen|x, all&alnum8(x)
	}
	return all&^seen&highs == highs
}

func onlyLowerHex(b []byte) bool {
	x := binary.LittleEndian.Uint64(b[len(b)-8:])
	seen, all := x, lowerHex8(x)
	for ; len(b) > 8; b = b[8:] {
		x = binary.LittleEndian.Uint64(b)
		seen, all = seen|x, all&lowerHex8(x)
	}
	return all&^seen&highs == highs
}

// Eight characters in one number are compared at once. The highest bit of each
// is free, since all sets are ASCII, and takes the result; the other bits of a
// result mean nothing. If the highest bit of a character was set before, the
// result is wrong for it and its neighbour.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// within8 says which characters of x are from lo to hi.
func within8(x uint64, lo, hi uint64) uint64 {
	return (x + ones*(0x80-lo)) & (ones*(0x80+hi) - x)
}

// alnum8 says which characters of x are in alnum. The bit that makes a capital
// small makes a letter of nothing else.
func alnum8(x uint64) uint64 { return within8(x, '0', '9') | within8(x|0x20*ones, 'a', 'z') }

// lowerHex8 says which characters of x are in lowerHex.
func lowerHex8(x uint64) uint64 { return within8(x, '0', '9') | within8(x, 'a', 'f') }
