package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	// derivedIDLen is the length of an ID that comes from a hash: 128 bits.
	derivedIDLen = 32
	// minDerived is the least length of a text without an ID, not counting the
	// prefix. The ID is a plain hash of the text, and public. So the text must be
	// too long to guess: 20 hex digits hold 80 bits.
	minDerived = 20
)

// ForeignOptions say how another system writes its keys: see [NewForeignFormat].
type ForeignOptions struct {
	// Separator is the character between the ID and the secret: one of
	// . _ - | : and ~. Texts are split at the first one after the prefix. If
	// empty, texts have no ID in them.
	Separator string

	// Bare says that texts do not begin with the prefix. Then only the IDs of
	// records begin with it.
	Bare bool

	// IDFrom is the part of a text without an ID from whose SHA-256 the ID is
	// made. Choose the part that the other system hashed: then keys can be imported
	// of which only that hash is known. If empty, TextPart.
	IDFrom Part
}

// NewForeignFormat returns the form of keys that another system made, for
// [Options.OtherFormats]. No new keys are made in it. Texts are of visible ASCII
// characters. The prefix is as for [NewFormat]. A nil opts is the zero
// ForeignOptions. The error says which setting is wrong.
//
// With a separator, the ID of a record is the prefix and the ID that the other
// system put into the text. That ID is of letters, digits and the characters _ - . ~
// and @.
//
// Without a separator, the ID of a record is the prefix and the first 32 hex digits
// of the SHA-256 of the text or of the part IDFrom. So a check reads the store once,
// as for all other keys. Every text that begins like such a key and is long enough is
// looked up in the store. Whoever sees the ID can try texts against it, and no
// [Pepper] makes that harder. So texts must have at least 20 characters after the
// prefix.
func NewForeignFormat(prefix string, opts *ForeignOptions) (*Format, error) {
	if opts == nil {
		opts = new(ForeignOptions)
	}
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	f := &Format{prefix: prefix, lead: prefix, layout: derived, from: codeText}
	if opts.Bare {
		f.lead = ""
	}
	if opts.Separator != "" {
		if len(opts.Separator) != 1 || !strings.Contains(separators, opts.Separator) {
			return nil, fmt.Errorf("keys: separator %q is none of the characters %s", opts.Separator, separators)
		}
		f.layout, f.separator = split, opts.Separator[0]
	}
	if opts.IDFrom != "" {
		var ok bool
		if f.from, ok = opts.IDFrom.code(); !ok || f.from == codeSecret || f.layout != derived {
			return nil, fmt.Errorf("keys: IDFrom %q is no part of a text without an ID", opts.IDFrom)
		}
	}
	return f, nil
}

// MustForeignFormat is like [NewForeignFormat] and panics on an error. It is for
// package variables.
func MustForeignFormat(prefix string, opts *ForeignOptions) *Format {
	f, err := NewForeignFormat(prefix, opts)
	if err != nil {
		panic(err)
	}
	return f
}

// ForeignID returns the ID of the record of a key, given the ID that another system
// put into the key's text. With [ForeignOptions.Separator] that is what stands
// between the prefix and the separator, and with [FormatOptions.AllowForeign] all
// that stands before the dot. ForeignID returns [ErrMalformed] if no text of f can
// have that ID in it.
func (f *Format) ForeignID(name string) (string, error) {
	id := name
	if f.layout == split {
		id = f.prefix + name
	}
	if f.layout == derived || !f.ValidID(id) {
		return "", ErrMalformed
	}
	return id, nil
}

// DerivedID returns the ID of the record of a key without an ID in its text, given
// the digest that the other system kept. It returns [ErrMalformed] if the texts of f
// have IDs in them, or if the digest is not a plain SHA-256 of the part IDFrom: then
// the ID can only be computed from the text.
func (f *Format) DerivedID(d Digest) (string, error) {
	if f.layout != derived || d.alg != algPlain256 || d.of != f.from {
		return "", ErrMalformed
	}
	sum, err := parsePlain(d.form()[len(namePlain256):], sha256.Size)
	if err != nil {
		return "", err
	}
	return f.derivedID(sum), nil
}

// begins returns what all texts of f begin with.
func (f *Format) begins() string {
	if f.layout == split || f.layout == derived {
		return f.lead
	}
	return f.prefix
}

func (f *Format) derivedID(sum []byte) string {
	var digits [derivedIDLen]byte
	hex.Encode(digits[:], sum[:derivedIDLen/2])
	return f.prefix + string(digits[:])
}

// parseSplit parses the text of a key with an ID in it.
func (f *Format) parseSplit(text string) (Credential, error) {
	rest, ok := strings.CutPrefix(text, f.lead)
	i := strings.IndexByte(rest, f.separator)
	if !ok || i < 1 || i == len(rest)-1 || len(text) > MaxLen || len(f.prefix)+i > MaxID || !named.only(rest[:i]) || !visible.only(rest[i+1:]) {
		return Credential{}, ErrMalformed
	}
	id := text[:len(text)-len(rest)+i]
	if f.lead == "" {
		id = f.prefix + id
	}
	return Credential{ID: id, Secret: NewSecret(rest[i+1:])}, nil
}

// parseDerived parses the text of a key without an ID. All of it is the secret.
func (f *Format) parseDerived(text string) (Credential, error) {
	if len(text) < len(f.lead)+minDerived || len(text) > MaxLen || !strings.HasPrefix(text, f.lead) || !visible.only(text) {
		return Credential{}, ErrMalformed
	}
	c := presented{Credential{Secret: NewSecret(text)}, text}
	part, ok := c.of(f.from)
	if !ok || len(part) < minDerived {
		return Credential{}, ErrMalformed
	}
	sum := sha256.Sum256(bytesOf(part))
	c.ID = f.derivedID(sum[:])
	return c.Credential, nil
}

// validForeignID is ValidID for the forms of other systems.
func (f *Format) validForeignID(id string) bool {
	name, ok := strings.CutPrefix(id, f.prefix)
	if !ok || name == "" || len(id) > MaxID {
		return false
	}
	if f.layout == derived {
		return len(name) == derivedIDLen && lowerHex.only(name)
	}
	return named.only(name) && strings.IndexByte(name, f.separator) < 0
}
