package keys

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// A Layout says how a [Format] writes an ID and a secret.
type Layout uint8

const (
	// Dotted writes the ID, a dot and the secret: vck_live_5Tq….Zs8…. The ID
	// ends in 22 random base62 digits (131 bits). The secret is 43 random
	// base62 digits (256 bits) and 6 digits of checksum: the CRC-32 (IEEE) of
	// the whole text before them, in base62. Texts are split at the first dot.
	Dotted Layout = iota
	// Fixed writes the ID and the secret without a separator: oauth_e1f2….
	// The ID ends in 24 random hex digits, and the secret is 64 of them (256
	// bits), in lower case. Texts are split at a fixed length.
	Fixed
	// Apart is for IDs and secrets that travel as two values, as those of an
	// OAuth client do. The ID ends in 16 random hex digits; it is public, and
	// short for people's sake. The secret is 64 hex digits (256 bits).
	Apart

	// The layouts of NewForeignFormat.
	split   // an ID and a secret with a separator between them
	derived // a text whose ID is a hash of it
)

// Sizes of the parts of a text, in characters.
const (
	dottedIDLen     = 22 // 62^22 > 2^130
	dottedRandomLen = 43 // 62^43 > 2^256
	dottedSecretLen = dottedRandomLen + checksumLen
	fixedIDLen      = 24
	apartIDLen      = 16
	hexSecretLen    = 64

	// mostDrawn is the most that is drawn for a text, after the prefix and the
	// environment.
	mostDrawn = fixedIDLen + hexSecretLen
)

// MaxLen is the length in bytes of the longest credential that any format
// accepts.
const MaxLen = 512

// A Format is the text form of one kind of credential. It is immutable and
// may be used by many goroutines at once. Make one with [NewFormat], or with
// [NewForeignFormat] for the keys of another system.
type Format struct {
	prefix  string
	layout  Layout
	heads   []head // one for each environment, or the only one
	foreign bool

	// Of another system's keys:
	lead      string // what texts begin with
	separator byte   // of split
	from      byte   // of derived: the code of the part that the ID comes from
}

// FormatOptions are the optional settings of a [Format].
type FormatOptions struct {
	// Environments are words such as "live" and "test", each of 1 to 16
	// lower-case letters and digits. One of them stands between the prefix and
	// the rest of an ID, as in vck_live_…. The first is the default for new
	// credentials. If empty, IDs carry no environment.
	Environments []string

	// AllowForeign also accepts credentials that another system made: after
	// the prefix, an ID of letters, digits and underscores, a dot, and a
	// secret of the characters of a b64token (RFC 6750 §2.1), without a checksum.
	// With the prefix, an ID has at most [MaxID] bytes, and a text at most
	// [MaxLen]. A text in the library's own form must still have the right
	// checksum. In return, junk with the right prefix costs a read of the store.
	//
	// With the layout [Apart] it accepts clients that another system made: an
	// ID of at most [MaxID] letters, digits and characters _ - . ~ and @, and a
	// secret of at most [MaxLen] visible ASCII characters and spaces. The ID is not
	// of dots alone, and does not begin with the prefix of keys or tokens in the
	// [Options]. The layout [Fixed] accepts nothing foreign.
	AllowForeign bool
}

// NewFormat returns a format whose IDs begin with prefix: 2 to 32 letters,
// digits and underscores, of which the last is an underscore ("vck_"). A nil
// opts is the zero FormatOptions. The error says which setting is wrong.
func NewFormat(prefix string, layout Layout, opts *FormatOptions) (*Format, error) {
	if opts == nil {
		opts = new(FormatOptions)
	}
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	if layout > Apart {
		return nil, fmt.Errorf("keys: unknown layout %d", layout)
	}
	if opts.AllowForeign && layout == Fixed {
		return nil, errors.New("keys: AllowForeign needs the layout Dotted or Apart")
	}
	for i, env := range opts.Environments {
		if !validEnvironment(env) {
			return nil, fmt.Errorf("keys: environment %q is not 1 to 16 lower-case letters or digits", env)
		}
		if slices.Contains(opts.Environments[:i], env) {
			return nil, fmt.Errorf("keys: environment %q is there twice", env)
		}
	}
	return &Format{
		prefix:  prefix,
		layout:  layout,
		heads:   newHeads(prefix, opts.Environments),
		foreign: opts.AllowForeign,
	}, nil
}

func checkPrefix(prefix string) error {
	if len(prefix) < 2 || len(prefix) > 32 || !word.only(prefix) || !strings.HasSuffix(prefix, "_") {
		return fmt.Errorf("keys: prefix %q is not 1 to 31 letters, digits or underscores and an underscore", prefix)
	}
	return nil
}

// MustFormat is like [NewFormat] and panics on an error. It is for package
// variables.
func MustFormat(prefix string, layout Layout, opts *FormatOptions) *Format {
	f, err := NewFormat(prefix, layout, opts)
	if err != nil {
		panic(err)
	}
	return f
}

// Prefix returns what every ID of f begins with.
func (f *Format) Prefix() string { return f.prefix }

// Environments returns the environments of f in a new slice, the default
// first.
func (f *Format) Environments() []string {
	var environments []string
	for _, h := range f.heads {
		if h.environment != "" {
			environments = append(environments, h.environment)
		}
	}
	return environments
}

// A Credential is the parts of a credential, as [Format.Parse] found or [Format.New]
// made them. Nothing says that it is in a store.
type Credential struct {
	ID          string // public; "vck_test_5Tq…", "oauth_e1f2…", "cc_a1b2…"
	Environment string // "test"; empty if the ID has none
	Secret      Secret // the secret half
}

// New returns a new random credential. An empty environment stands for the first one
// of f. The error wraps [ErrInvalid] if f does not have the environment. New also
// fails if f is a format of [NewForeignFormat].
func (f *Format) New(environment string) (Credential, error) {
	t, _, err := f.draw(environment)
	return t, err
}

// draw returns a credential and its text; the credential's fields are substrings
// of the text.
func (f *Format) draw(environment string) (t Credential, text string, err error) {
	if f.layout > Apart {
		return Credential{}, "", errors.New("keys: no keys are made in the format of another system")
	}
	h := &f.heads[0]
	if environment != "" {
		i := slices.IndexFunc(f.heads, func(h head) bool { return h.environment == environment })
		if i < 0 {
			return Credential{}, "", &InvalidError{FieldEnvironment, "is not one of the format's"}
		}
		h = &f.heads[i]
	}
	b := append(make([]byte, 0, len(h.text)+mostDrawn), h.text...)
	id := len(b) // where the ID ends
	secret := 0  // where the secret begins
	switch f.layout {
	case Dotted:
		id += dottedIDLen
		secret = id + 1
		b = appendBase62(b, dottedIDLen+1+dottedRandomLen)
		b[id] = '.' // in place of a digit
		sum := checksum(b)
		b = append(b, sum[:]...)
	case Fixed:
		id += fixedIDLen
		secret = id
		b = appendHex(b, fixedIDLen+hexSecretLen)
	case Apart:
		id += apartIDLen
		secret = id
		b = appendHex(b, apartIDLen+hexSecretLen)
	}
	// The bytes are not written again, so they may serve as a string.
	text = unsafe.String(unsafe.SliceData(b), len(b))
	t = Credential{ID: text[:id], Environment: h.environment, Secret: NewSecret(text[secret:])}
	if f.layout == Apart {
		text = text[secret:]
	}
	return t, text, nil
}

// Text returns c as one text, as it is presented to a server. It is the inverse of
// [Format.Parse]. With the layout [Apart], which has no such text, it returns the
// secret alone.
func (f *Format) Text(c Credential) Secret {
	switch f.layout {
	case Dotted:
		return NewSecret(c.ID + "." + c.Secret.Reveal())
	case Fixed:
		return NewSecret(c.ID + c.Secret.Reveal())
	case split:
		return NewSecret(f.lead + strings.TrimPrefix(c.ID, f.prefix) + string(rune(f.separator)) + c.Secret.Reveal())
	}
	return c.Secret // all of the text
}

// appendBase62 appends n random base62 digits. It discards bytes that would make some
// digits likelier than others. A call for random bytes costs more than the bytes, so
// one call draws enough for a credential almost always.
func appendBase62(b []byte, n int) []byte {
	const fair = 256 - 256%62
	var random [96]byte
	for {
		rand.Read(random[:])
		for _, r := range random {
			if n == 0 {
				return b
			}
			if r < fair {
				b = append(b, base62[r%62])
				n--
			}
		}
	}
}

// appendHex appends n random hex digits in lower case; n is even and at most
// mostDrawn.
func appendHex(b []byte, n int) []byte {
	var random [mostDrawn / 2]byte
	rand.Read(random[:n/2])
	return hex.AppendEncode(b, random[:n/2])
}
