package keys

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
)

// Bounds on PBKDF2, for the same reason as those on the other slow digests. The work
// is the number of iterations times the number of 32-byte blocks of the hash. Django
// 6.0 makes 1,200,000 iterations.
const (
	maxPBKDF2Work = 1_500_000
	minPBKDF2Hash = 16
	maxPBKDF2Hash = 64
	maxPBKDF2Salt = 64
)

// namePBKDF2 is how digests by PBKDF2 with HMAC-SHA-256 begin.
const namePBKDF2 = "$pbkdf2-sha256$"

// pbkdf2Params are the parameters of one PBKDF2 digest.
type pbkdf2Params struct {
	iterations int
	salt, sum  []byte
}

// parsePBKDF2 reads a digest as text writes it. It may accept texts that are not
// canonical; compare with text().
func parsePBKDF2(text string) (p pbkdf2Params, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 5 {
		return p, corruptDigest("PBKDF2 form")
	}
	var length int
	if _, err := fmt.Sscanf(parts[2], "i=%d,l=%d", &p.iterations, &length); err != nil {
		return p, corruptDigest("PBKDF2 parameters")
	}
	if p.salt, err = base64Digest.DecodeString(parts[3]); err != nil {
		return p, corruptDigest("PBKDF2 salt")
	}
	if p.sum, err = base64Digest.DecodeString(parts[4]); err != nil || len(p.sum) != length {
		return p, corruptDigest("PBKDF2 hash")
	}
	return p, p.check()
}

// check returns an error if a parameter is out of its bounds.
func (p pbkdf2Params) check() error {
	switch n := len(p.sum); {
	case n < minPBKDF2Hash || n > maxPBKDF2Hash:
		return corruptDigest("PBKDF2 hash length")
	case len(p.salt) < 1 || len(p.salt) > maxPBKDF2Salt:
		return corruptDigest("PBKDF2 salt length")
	case p.iterations < 1 || p.iterations > maxPBKDF2Work/((n+sha256.Size-1)/sha256.Size):
		return corruptDigest("PBKDF2 cost")
	}
	return nil
}

func (p pbkdf2Params) text() string {
	return fmt.Sprintf("%si=%d,l=%d$%s$%s", namePBKDF2, p.iterations, len(p.sum),
		base64Digest.EncodeToString(p.salt), base64Digest.EncodeToString(p.sum))
}

// matches reports whether secret is the one of the digest. The error says that the
// hash cannot be computed, as in a process that enforces FIPS 140-3.
func (p pbkdf2Params) matches(secret string) (bool, error) {
	key, err := pbkdf2.Key(sha256.New, secret, p.salt, p.iterations, len(p.sum))
	return err == nil && subtle.ConstantTimeCompare(key, p.sum) == 1, err
}
