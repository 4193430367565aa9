package keys

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds on imported digests, so that one record cannot make each check of it
// take the machine's time or memory: some tenths of a second at most, with 64
// MiB. RFC 9106 §4 recommends argon2 with 64 MiB and three passes where memory
// is scarce.
const (
	maxBcryptCost   = 13
	maxBcryptSecret = 72 // bcrypt ignores what follows
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

// parseForeignDigest reads the digests of other systems.
func parseForeignDigest(text string) (Digest, error) {
	if len(text) > MaxID {
		return Digest{}, corruptDigest("length")
	}
	switch {
	case strings.HasPrefix(text, "$2a$"), strings.HasPrefix(text, "$2b$"), strings.HasPrefix(text, "$2y$"):
		cost, err := bcrypt.Cost([]byte(text))
		if err != nil || len(text) != 60 || cost > maxBcryptCost {
			return Digest{}, corruptDigest("bcrypt form or cost")
		}
		for _, c := range []byte(text[7:]) {
			if c != '/' && c != '.' && charsets[c]&alnum == 0 {
				return Digest{}, corruptDigest("bcrypt encoding")
			}
		}
		return Digest{alg: algBcrypt, text: strings.Clone(text)}, nil
	case strings.HasPrefix(text, "$argon2id$"):
		p, err := parseArgon(text)
		if err != nil {
			return Digest{}, err
		}
		if p.text() != text {
			return Digest{}, corruptDigest("argon2id form")
		}
		return Digest{alg: algArgon2id, text: strings.Clone(text)}, nil
	}
	return Digest{}, corruptDigest("algorithm or version")
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

// matchesForeign reports whether secret is the one of an imported digest.
func (d Digest) matchesForeign(secret string) (bool, error) {
	switch d.alg {
	case algBcrypt:
		if len(secret) > maxBcryptSecret {
			return false, nil
		}
		err := bcrypt.CompareHashAndPassword([]byte(d.text), []byte(secret))
		if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			return false, fmt.Errorf("%w: bcrypt digest", ErrCorrupt)
		}
		return err == nil, nil
	case algArgon2id:
		p, err := parseArgon(d.text)
		if err != nil {
			return false, err
		}
		return subtle.ConstantTimeCompare(p.key(secret, len(p.sum)), p.sum) == 1, nil
	}
	return false, fmt.Errorf("%w: no digest", ErrCorrupt)
}
