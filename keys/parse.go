package keys

import (
	"errors"
	"strings"
)

// A head is what IDs of a format begin with: the prefix, and an environment
// with its underscore if the format has environments.
type head struct {
	text        string // "vck_live_"
	environment string // "live", or "" if the format has none
	crc         uint32 // of text, where the checksums of all such keys begin
}

// newHeads returns the heads of a format, in the order of its environments.
func newHeads(prefix string, environments []string) []head {
	if len(environments) == 0 {
		return []head{{text: prefix, crc: crc(0, prefix)}}
	}
	heads := make([]head, len(environments))
	for i, env := range environments {
		text := prefix + env + "_"
		heads[i] = head{text: text, environment: env, crc: crc(0, text)}
	}
	return heads
}

// head returns the head that text begins with, or nil. No head begins with
// another, since environments have no underscores.
func (f *Format) head(text string) *head {
	for i := range f.heads {
		if h := &f.heads[i]; strings.HasPrefix(text, h.text) {
			return h
		}
	}
	return nil
}

// Parse takes the text of a credential apart. [Format.Text] makes the same text of the
// result. Text that f cannot have made, and that is not allowed as foreign, is refused
// with [ErrMalformed]. With the layout [Apart] that is every text. Parse allocates
// only for another system's key whose ID is not a part of its text.
func (f *Format) Parse(text string) (Credential, error) {
	c, err := f.parse(text)
	if err == errChecksum {
		err = ErrMalformed
	}
	return c, err
}

// errChecksum is ErrMalformed for text in the library's own form with a wrong
// checksum. No other format may take such text.
var errChecksum = errors.New("keys: wrong checksum")

// parse is Parse, but its error can be errChecksum.
func (f *Format) parse(text string) (Credential, error) {
	h := f.head(text)
	if h == nil {
		return f.parseForeign(text)
	}
	id := len(h.text)
	switch f.layout {
	case Dotted:
		dot := id + dottedIDLen
		if len(text) != dot+1+dottedSecretLen || text[dot] != '.' ||
			!alnum.only(text[id:dot]) || !alnum.only(text[dot+1:]) {
			return f.parseForeign(text)
		}
		cut := len(text) - checksumLen
		if uint64(crc(h.crc, text[id:cut])) != checksumIn(text[cut:]) {
			return Credential{}, errChecksum
		}
		return Credential{ID: text[:dot], Environment: h.environment, Secret: NewSecret(text[dot+1:])}, nil
	case Fixed:
		if len(text) != id+fixedIDLen+hexSecretLen || !lowerHex.only(text[id:]) {
			return Credential{}, ErrMalformed
		}
		id += fixedIDLen
		return Credential{ID: text[:id], Environment: h.environment, Secret: NewSecret(text[id:])}, nil
	}
	return Credential{}, ErrMalformed
}

// parseForeign parses text that is not in the library's own form.
func (f *Format) parseForeign(text string) (Credential, error) {
	switch f.layout {
	case split:
		return f.parseSplit(text)
	case derived:
		return f.parseDerived(text)
	case Apart:
		return Credential{}, ErrMalformed
	}
	if !f.foreign || len(text) > MaxLen {
		return Credential{}, ErrMalformed
	}
	id, secret, ok := strings.Cut(text, ".")
	if !ok || !f.ValidID(id) || secret == "" || !b64token.only(secret) {
		return Credential{}, ErrMalformed
	}
	return Credential{ID: id, Environment: f.environment(id), Secret: NewSecret(secret)}, nil
}

// environment returns the environment that stands after the prefix of id, or
// "" if none does.
func (f *Format) environment(id string) string {
	if h := f.head(id); h != nil {
		return h.environment
	}
	return ""
}

// ParsePair is Parse for an ID and a secret that travel apart. The layout of f must be
// [Apart]. ParsePair returns [ErrMalformed] if f cannot have made the two and they are
// not allowed as foreign, or if f has another layout.
func (f *Format) ParsePair(id, secret string) (Credential, error) {
	h := f.head(id)
	if f.layout != Apart || h == nil || !f.madeID(h, id) || len(secret) != hexSecretLen || !lowerHex.only(secret) {
		return f.parseForeignPair(id, secret)
	}
	return Credential{ID: id, Environment: h.environment, Secret: NewSecret(secret)}, nil
}

func (f *Format) parseForeignPair(id, secret string) (Credential, error) {
	if f.layout != Apart || !f.foreign || !f.validForeignClient(id) || secret == "" || len(secret) > MaxLen || !printable(secret) {
		return Credential{}, ErrMalformed
	}
	return Credential{ID: id, Secret: NewSecret(secret)}, nil
}

// validForeignClient reports whether another system's client can have an ID. The ID
// may look like one of f's own: the secret alone can be foreign. An ID of dots alone
// would be lost in the path of a URL.
func (f *Format) validForeignClient(id string) bool {
	return len(id) <= MaxID && strings.Trim(id, ".") != "" && named.only(id)
}

// ValidID reports whether a credential of f can have the public ID id.
func (f *Format) ValidID(id string) bool {
	if h := f.head(id); h != nil && f.madeID(h, id) {
		return true
	}
	switch {
	case f.layout > Apart:
		return f.validForeignID(id)
	case !f.foreign:
		return false
	case f.layout == Apart:
		return f.validForeignClient(id)
	}
	return len(id) > len(f.prefix) && len(id) <= MaxID && strings.HasPrefix(id, f.prefix) && word.only(id)
}

// madeID reports whether id, which begins with h, is one that f makes.
func (f *Format) madeID(h *head, id string) bool {
	switch digits := id[len(h.text):]; f.layout {
	case Dotted:
		return len(digits) == dottedIDLen && alnum.only(digits)
	case Fixed:
		return len(digits) == fixedIDLen && lowerHex.only(digits)
	default:
		return len(digits) == apartIDLen && lowerHex.only(digits)
	}
}
