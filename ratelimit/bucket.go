package ratelimit

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrBucket says that a [Bucket] has an empty space or name, or one with a NUL
// or with invalid UTF-8. Such a name is a mistake of the host's, never a client
// over its limit.
var ErrBucket = errors.New("ratelimit: invalid bucket name")

// A Bucket names what requests are taken from. Two buckets are the same if both
// strings are, byte by byte. The strings are never joined with a separator, so
// no choice of names makes two buckets meet.
type Bucket struct {
	// Space is the family of buckets, such as "org" for organizations or
	// "addr" for remote addresses.
	Space string

	// Name says who is limited, such as the organization's ID.
	Name string
}

// Key returns b as one string, for stores that keep buckets under a text key:
// the length of Space in bytes (in decimal), a colon, Space, a colon, Name. The
// bucket acme of the space org is "3:org:acme". Different buckets have different
// keys, whatever characters the strings hold.
func (b Bucket) Key() string {
	return strconv.Itoa(len(b.Space)) + ":" + b.Space + ":" + b.Name
}

// validName reports whether s may be a space or a name. What it refuses are the
// strings that databases and drivers alter, cut short or reject.
func validName(s string) bool {
	if plainASCII(s) {
		return s != ""
	}
	return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s)
}

// plainASCII reports whether all bytes of s are ASCII and not NUL. Nearly all
// names are, and this is several times as fast as the general way.
func plainASCII(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		// The compiler makes one load of this.
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		// The lowest NUL, if any, borrows and gets its high bit set.
		if (x|(x-ones))&highs != 0 {
			return false
		}
	}
	for i := range len(s) {
		if s[i]-1 >= 0x7f { // NUL wraps around
			return false
		}
	}
	return true
}
