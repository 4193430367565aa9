package keys

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"
	"sync"
)

const (
	// longSecret is the least length of a secret that a fast hash may guard:
	// 32 hex digits hold 128 bits.
	longSecret = 32
	// minPepper is the least length of a pepper's key, in bytes.
	minPepper = 32
	maxTag    = len("client\x00")
)

// A Pepper is a key for HMAC-SHA-256 that the host keeps outside the store. Without
// it, nobody can test guesses against a stolen store.
type Pepper struct {
	Name string // 1 to 32 letters, digits or underscores; stands in each digest
	Key  Secret // at least 32 bytes, from a random source
}

func validPepperName(name string) bool {
	return name != "" && len(name) <= 32 && word.only(name)
}

// A hasher makes and checks digests. It is safe for concurrent use.
type hasher struct {
	current string // name of the pepper for new digests; "" for plain SHA-256
	peppers map[string]*pepper
	slow    *slowLane
}

// newHasher returns a hasher whose first pepper makes new digests.
func newHasher(peppers []Pepper) (*hasher, error) {
	h := &hasher{
		peppers: make(map[string]*pepper),
		slow:    newSlowLane(),
	}
	for _, p := range peppers {
		switch {
		case !validPepperName(p.Name):
			return nil, fmt.Errorf("keys: pepper name %q is not 1 to 32 letters, digits or underscores", p.Name)
		case p.Key.Len() < minPepper:
			return nil, fmt.Errorf("keys: pepper %q is shorter than %d bytes", p.Name, minPepper)
		case h.peppers[p.Name] != nil:
			return nil, fmt.Errorf("keys: pepper %q is there twice", p.Name)
		}
		h.peppers[p.Name] = newPepper(p.Key)
		if h.current == "" {
			h.current = p.Name
		}
	}
	return h, nil
}

// digest returns the default digest of a secret. The secret must be too long to
// guess.
func (h *hasher) digest(kind Kind, secret string) Digest {
	if p := h.peppers[h.current]; p != nil {
		return Digest{alg: algHMAC, text: h.current, sum: p.sum(kind, secret)}
	}
	return Digest{alg: algSHA256, sum: sum256(kind, secret)}
}

// matches reports whether d is the digest of a credential. The error says that d is
// corrupt, or that a slow digest could not be computed now.
func (h *hasher) matches(ctx context.Context, d *Digest, kind Kind, c *presented) (bool, error) {
	var sum [sha256.Size]byte
	secret := c.Secret.Reveal()
	switch d.alg {
	case algSHA256:
		sum = sum256(kind, secret)
	case algHMAC:
		p := h.peppers[d.text]
		if p == nil {
			return false, fmt.Errorf("%w: digest under a pepper that is not configured", ErrCorrupt)
		}
		sum = p.sum(kind, secret)
	default:
		return h.matchesForeign(ctx, d, c)
	}
	return subtle.ConstantTimeCompare(sum[:], d.sum[:]) == 1, nil
}

// matchesForeign is matches for a digest of another system.
func (h *hasher) matchesForeign(ctx context.Context, d *Digest, c *presented) (bool, error) {
	part, ok := c.of(d.of)
	switch {
	case !ok:
		return false, nil
	case d.alg == algPlain256 || d.alg == algPlain512:
		return d.matchesPlain(part)
	}
	leave, err := h.slow.enter(ctx, c.ID)
	if err != nil {
		return false, err
	}
	defer leave()
	return d.matchesSlow(part)
}

// sum256 returns the SHA-256 of the kind, a zero byte and the secret. Because of the
// kind, the digest of a key matches no client and no token with the same secret.
func sum256(kind Kind, secret string) [sha256.Size]byte {
	if len(secret) <= hexSecretLen { // as the library's own are: a small buffer is cleared faster
		var buf [maxTag + hexSecretLen]byte
		return sha256.Sum256(tagged(buf[:], kind, secret))
	}
	var buf [maxTag + MaxLen]byte
	return sha256.Sum256(tagged(buf[:], kind, secret))
}

// tagged writes what is hashed to buf, and returns that part of it.
func tagged(buf []byte, kind Kind, secret string) []byte {
	n := copy(buf, kind)
	buf[n] = 0
	return buf[:n+1+copy(buf[n+1:], secret)]
}

// burn does the same work as matches, for a record that does not exist.
func (h *hasher) burn(kind Kind, c *presented) {
	d := Digest{alg: algSHA256}
	if h.current != "" {
		d = Digest{alg: algHMAC, text: h.current}
	}
	_, _ = h.matches(context.Background(), &d, kind, c)
}

// outdated reports whether d should be replaced by the default digest of its secret.
func (h *hasher) outdated(d *Digest, secret string) bool {
	switch d.alg {
	case algSHA256:
		return h.current != ""
	case algHMAC:
		return d.text != h.current // and there is a pepper, since the digest matched under one
	case algPlain256, algPlain512:
		return true // the default digest is no easier to guess at
	}
	return len(secret) >= longSecret
}

// A pepper computes HMACs under one key. Its states are pooled, since setting
// one up costs more than a use.
type pepper struct{ states sync.Pool }

type hmacState struct {
	hash hash.Hash
	in   [maxTag + MaxLen]byte
	out  [sha256.Size]byte
}

func newPepper(key Secret) *pepper {
	p := new(pepper)
	p.states.New = func() any { return &hmacState{hash: hmac.New(sha256.New, []byte(key.Reveal()))} }
	return p
}

// sum returns the HMAC-SHA-256 of the bytes that sum256 hashes.
func (p *pepper) sum(kind Kind, secret string) [sha256.Size]byte {
	s := p.states.Get().(*hmacState)
	defer p.states.Put(s)
	in := tagged(s.in[:], kind, secret)
	s.hash.Reset()
	s.hash.Write(in)
	clear(in)
	s.hash.Sum(s.out[:0])
	return s.out
}
