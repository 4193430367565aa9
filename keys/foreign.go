package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds on imported digests. They bound what one check of a record can cost: some
// tenths of a second and 64 MiB. RFC 9106 §4 recommends argon2 with 64 MiB and three
// passes where memory is scarce.
const (
	maxBcryptCost   = 13
	maxBcryptSecret = 72 // bytes; bcrypt ignores what follows
	maxArgonMemory  = 64 << 10
	maxArgonPasses  = 4
	maxArgonLanes   = 16
)

// argonParams are the parameters of one argon2id digest.
type argonParams struct {
	memory, passes uint32 // KiB, rounds
	lanes          uint8
	salt, sum      []byte
}

// weakParams are for secrets that are too short for a plain hash: the second
// choice of the OWASP password guidance, about 20 ms.
var weakParams = argonParams{memory: 19 << 10, passes: 2, lanes: 1}

// nameForeign is how the text of another system's digest begins if it is a plain
// hash, or covers another part than the secret. It is followed by the name of the
// part and the form of the digest, which begins with a dollar sign.
const nameForeign = "$foreign$v=1,of="

// Names of the plain hashes of other systems, which follow nameForeign and the part.
const (
	namePlain256 = "$sha256$"
	namePlain512 = "$sha512$"
)

// parseForeignDigest reads the stored form of a digest of another system.
func parseForeignDigest(text string) (Digest, error) {
	if len(text) > MaxDigest {
		return Digest{}, corruptDigest("length")
	}
	form, d := text, Digest{}
	rest, wrapped := strings.CutPrefix(text, nameForeign)
	if wrapped {
		i := max(0, strings.IndexByte(rest, '$'))
		var ok bool
		if d.of, ok = Part(rest[:i]).code(); !ok {
			return Digest{}, corruptDigest("part")
		}
		form = rest[i:]
	}
	alg, err := parseForm(form)
	if err != nil {
		return Digest{}, err
	}
	if d.alg = alg; wrapped != d.wrapped() {
		return Digest{}, corruptDigest("form")
	}
	d.text = strings.Clone(text)
	return d, nil
}

// wrapped reports whether the text of d, which another system made, begins with
// nameForeign. The text of bcrypt, argon2id and PBKDF2 does so only if the digest
// covers another part than the secret.
func (d *Digest) wrapped() bool {
	return d.of != codeSecret || d.alg == algPlain256 || d.alg == algPlain512
}

// newForeignDigest returns a digest of the part with the code of, given its form.
func newForeignDigest(form string, of byte) (Digest, error) {
	alg, err := parseForm(form)
	if err != nil {
		return Digest{}, err
	}
	d := Digest{alg: alg, of: of, text: form}
	if d.wrapped() {
		d.text = nameForeign + string(partOf(of)) + form
	}
	if len(d.text) > MaxDigest {
		return Digest{}, corruptDigest("length")
	}
	return d, nil
}

// form returns the text of another system's digest without nameForeign and the part.
func (d *Digest) form() string {
	if !d.wrapped() {
		return d.text
	}
	return d.text[len(nameForeign)+len(partOf(d.of)):]
}

// parseForm returns the algorithm of a digest. The form must be the stored one, and
// within the bounds.
func parseForm(form string) (algorithm, error) {
	switch {
	case strings.HasPrefix(form, namePlain256):
		_, err := parsePlain(form[len(namePlain256):], sha256.Size)
		return algPlain256, err
	case strings.HasPrefix(form, namePlain512):
		_, err := parsePlain(form[len(namePlain512):], sha512.Size)
		return algPlain512, err
	case strings.HasPrefix(form, "$2a$"), strings.HasPrefix(form, "$2b$"), strings.HasPrefix(form, "$2y$"):
		return algBcrypt, checkBcrypt(form)
	case strings.HasPrefix(form, "$argon2id$"):
		p, err := parseArgon(form)
		if err == nil && p.text() != form {
			err = corruptDigest("argon2id form")
		}
		return algArgon2id, err
	case strings.HasPrefix(form, namePBKDF2):
		p, err := parsePBKDF2(form)
		if err == nil && p.text() != form {
			err = corruptDigest("PBKDF2 form")
		}
		return algPBKDF2, err
	}
	return 0, corruptDigest("algorithm or version")
}

// parsePlain returns the n bytes of a plain hash.
func parsePlain(encoded string, n int) ([]byte, error) {
	if len(encoded) != base64Digest.EncodedLen(n) || strings.ContainsAny(encoded, "\r\n") {
		return nil, corruptDigest("length")
	}
	sum, err := base64Digest.DecodeString(encoded)
	if err != nil {
		return nil, corruptDigest("encoding")
	}
	return sum, nil
}

func checkBcrypt(form string) error {
	cost, err := bcrypt.Cost([]byte(form))
	if err != nil || len(form) != 60 || cost > maxBcryptCost {
		return corruptDigest("bcrypt form or cost")
	}
	for _, c := range []byte(form[7:]) {
		if c != '/' && c != '.' && charsets[c]&alnum == 0 {
			return corruptDigest("bcrypt encoding")
		}
	}
	return nil
}

// parseArgon reads a digest in the PHC string format. It may accept texts
// that are not canonical; compare with text().
func parseArgon(text string) (p argonParams, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return p, corruptDigest("argon2id version")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return p, corruptDigest("argon2id parameters")
	}
	if p.lanes < 1 || p.lanes > maxArgonLanes || p.passes < 1 || p.passes > maxArgonPasses ||
		p.memory < 8*uint32(p.lanes) || p.memory > maxArgonMemory {
		return p, corruptDigest("argon2id parameters")
	}
	if p.salt, err = base64Digest.DecodeString(parts[4]); err != nil || len(p.salt) < 8 {
		return p, corruptDigest("argon2id salt")
	}
	if p.sum, err = base64Digest.DecodeString(parts[5]); err != nil || len(p.sum) < 16 {
		return p, corruptDigest("argon2id hash")
	}
	return p, nil
}

func (p argonParams) text() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.lanes,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.sum))
}

// key computes the hash of secret, n bytes long.
func (p argonParams) key(secret string, n int) []byte {
	return argon2.IDKey([]byte(secret), p.salt, p.passes, p.memory, p.lanes, uint32(n))
}

// digestWeak returns a slow digest, for secrets that could be guessed.
func digestWeak(secret string) Digest {
	p := weakParams
	p.salt = make([]byte, 16)
	rand.Read(p.salt)
	p.sum = p.key(secret, 32)
	return Digest{alg: algArgon2id, text: p.text()}
}

// noDigestWeak takes the place of a digest of digestWeak in a record that is not
// written, since digestWeak takes a while. It matches no secret that anybody knows.
var noDigestWeak = func() Digest {
	p := weakParams
	p.salt, p.sum = make([]byte, 16), make([]byte, 32)
	return Digest{alg: algArgon2id, text: p.text()}
}()

// matchesPlain reports whether d, a plain hash, is that of a part of a credential.
func (d *Digest) matchesPlain(part string) (bool, error) {
	var sum []byte
	name := namePlain256
	if d.alg == algPlain512 {
		name = namePlain512
		long := sha512.Sum512([]byte(part))
		sum = long[:]
	} else {
		short := sha256.Sum256([]byte(part))
		sum = short[:]
	}
	want, err := parsePlain(d.form()[len(name):], len(sum))
	return err == nil && subtle.ConstantTimeCompare(sum, want) == 1, err
}

// matchesSlow reports whether d, a slow digest, is that of a part of a credential.
func (d *Digest) matchesSlow(part string) (bool, error) {
	switch d.alg {
	case algBcrypt:
		if len(part) > maxBcryptSecret {
			return false, nil
		}
		err := bcrypt.CompareHashAndPassword([]byte(d.form()), []byte(part))
		if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			return false, fmt.Errorf("%w: bcrypt digest", ErrCorrupt)
		}
		return err == nil, nil
	case algArgon2id:
		p, err := parseArgon(d.form())
		if err != nil {
			return false, err
		}
		return subtle.ConstantTimeCompare(p.key(part, len(p.sum)), p.sum) == 1, nil
	case algPBKDF2:
		p, err := parsePBKDF2(d.form())
		if err != nil {
			return false, err
		}
		return p.matches(part)
	}
	return false, fmt.Errorf("%w: no digest", ErrCorrupt)
}
