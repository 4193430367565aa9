package keys

// A charset is a set of ASCII characters, as one bit of the table below.
type charset uint8

const (
	alnum    charset = 1 << iota // 0-9 A-Z a-z, the digits of base62
	lowerHex                     // 0-9 a-f
	word                         // alnum and _
	b64token                     // word and -.~+/= (RFC 6750 §2.1)
)

var charsets = func() (table [256]charset) {
	add := func(chars string, sets charset) {
		for i := range len(chars) {
			table[chars[i]] |= sets
		}
	}
	add(base62, alnum|word|b64token)
	add("0123456789abcdef", lowerHex)
	add("_", word|b64token)
	add("-.~+/=", b64token)
	return table
}()

// only reports whether every character of text is in c. It looks at all of
// them, which is faster than asking at each whether to stop: texts are short.
func (c charset) only(text string) bool {
	for i := range len(text) {
		c &= charsets[text[i]]
	}
	return c != 0
}
