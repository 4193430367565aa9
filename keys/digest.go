package keys

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
)

// An algorithm is how a digest was made. The zero algorithm is none.
type algorithm uint8

const (
	algSHA256 algorithm = iota + 1
	algHMAC
	algPlain256 // of another system, as those that follow
	algPlain512
	algBcrypt // slow, as those that follow
	algArgon2id
	algPBKDF2
)

// Names of the algorithms, as they stand at the start of a digest's text.
const (
	nameSHA256 = "$sha256$v=1$"
	nameHMAC   = "$hmac-sha256$v=1,k="
)

// A Digest is what a store keeps of a secret. The zero Digest matches no secret,
// and a record that has it is corrupt. Two digests can be compared with ==. Only a
// [Verifier] can tell whether a secret belongs to a digest.
type Digest struct {
	alg  algorithm
	of   byte     // the code of the Part that an imported digest covers
	sum  [32]byte // of the library's own SHA-256 and HMAC-SHA-256
	text string   // the pepper's name, or the whole text of an imported digest
}

// base64Digest is the strict unpadded form, in which each value has one text.
var base64Digest = base64.RawStdEncoding.Strict()

// ParseDigest reads what [Digest.Text] returned: one of
//
//	$sha256$v=1$<base64>
//	$hmac-sha256$v=1,k=<pepper>$<base64>
//	$2b$<cost>$<salt and hash>                            (bcrypt, also $2a$ and $2y$)
//	$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>
//	$pbkdf2-sha256$i=<iterations>,l=<bytes>$<salt>$<hash>
//	$foreign$v=1,of=<part>$sha256$<base64>              (also $sha512$)
//	$foreign$v=1,of=<part><one of bcrypt, argon2id and PBKDF2>
//
// Forms that name no [Part] are digests of the secret. The first two forms are the
// library's own. [ForeignDigest] makes the others from what another system keeps.
// Any other text is refused with an error that wraps [ErrCorrupt] and does not quote
// the text. So are the empty text and unknown versions.
func ParseDigest(text string) (Digest, error) {
	d := Digest{alg: algSHA256}
	var ok bool
	var encoded string
	switch {
	case strings.HasPrefix(text, nameSHA256):
		encoded = text[len(nameSHA256):]
	case strings.HasPrefix(text, nameHMAC):
		d.alg = algHMAC
		d.text, encoded, ok = strings.Cut(text[len(nameHMAC):], "$")
		if !ok || !validPepperName(d.text) {
			return Digest{}, corruptDigest("pepper name")
		}
		d.text = strings.Clone(d.text)
	default:
		return parseForeignDigest(text)
	}
	if len(encoded) != base64Digest.EncodedLen(len(d.sum)) || strings.ContainsAny(encoded, "\r\n") {
		return Digest{}, corruptDigest("length")
	}
	if _, err := base64Digest.Decode(d.sum[:], []byte(encoded)); err != nil {
		return Digest{}, corruptDigest("encoding")
	}
	return d, nil
}

// A digestError says what is unknown in the text of a digest.
type digestError struct{ what string }

func (e *digestError) Error() string {
	return fmt.Sprintf("%v: digest of unknown %s", ErrCorrupt, e.what)
}
func (e *digestError) Unwrap() error { return ErrCorrupt }

func corruptDigest(what string) error { return &digestError{what} }

// Text returns the form that stores keep: tagged with the algorithm and its
// version, in ASCII, without spaces, at most 255 bytes long. The zero Digest
// gives "".
func (d Digest) Text() string {
	switch d.alg {
	case algSHA256:
		return nameSHA256 + base64Digest.EncodeToString(d.sum[:])
	case algHMAC:
		return nameHMAC + d.text + "$" + base64Digest.EncodeToString(d.sum[:])
	}
	return d.text
}

// IsZero reports whether d is the zero Digest.
func (d Digest) IsZero() bool { return d.alg == 0 }

// String returns the name of the algorithm, such as "sha256". So a digest that is
// printed by mistake shows little. [Digest.Text] returns all of it.
func (d Digest) String() string {
	switch d.alg {
	case algSHA256:
		return "sha256"
	case algHMAC:
		return "hmac-sha256"
	case algPlain256:
		return "plain sha256"
	case algPlain512:
		return "plain sha512"
	case algBcrypt:
		return "bcrypt"
	case algArgon2id:
		return "argon2id"
	case algPBKDF2:
		return "pbkdf2-sha256"
	}
	return "none"
}

// GoString is String, for the verb %#v.
func (d Digest) GoString() string { return d.String() }

// LogValue returns the name of the algorithm.
func (d Digest) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText returns [Digest.Text].
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.Text()), nil }

// UnmarshalText reads text as [ParseDigest] does, and empty text as the zero
// Digest, which a record without a previous secret has. On error d is unchanged.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Digest{}
		return nil
	}
	parsed, err := ParseDigest(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}
