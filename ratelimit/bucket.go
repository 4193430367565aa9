package ratelimit

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrBucket is returned for a [Bucket] whose space or name is empty, holds a NUL,
// or is not valid UTF-8. It is a mistake of the host and never means that a client
// is over its limit.
var ErrBucket = errors.New("ratelimit: invalid bucket name")

// A Bucket names what requests are taken from. Two buckets are the same if both
// strings are equal, byte by byte.
type Bucket struct {
	// Space is the kind of bucket, such as "org" for the buckets of
	// organizations and "addr" for those of remote addresses.
	Space string

	// Name says who is limited, such as the ID of an organization.
	Name string
}

// Validate returns nil if both strings are valid: not empty, without NUL, and
// valid UTF-8. Otherwise it returns [ErrBucket]. Databases and their drivers
// change, cut or reject other strings. A [Limiter] never passes them to a store.
func (b Bucket) Validate() error {
	if !validName(b.Space) || !validName(b.Name) {
		return ErrBucket
	}
	return nil
}

// Key returns b as one string, for stores that keep buckets under a text key:
// the length of Space in bytes as a decimal number, a colon, Space, a colon, and
// Name. The bucket acme of the space org has the key "3:org:acme". Different
// buckets have different keys, whatever characters the strings hold.
func (b Bucket) Key() string {
	return strconv.Itoa(len(b.Space)) + ":" + b.Space + ":" + b.Name
}

// validName reports whether s is a valid space or name.
func validName(s string) bool {
	for i := range len(s) {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			return strings.IndexByte(s[i:], 0) < 0 && utf8.ValidString(s[i:])
		}
	}
	return s != ""
}
