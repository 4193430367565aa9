package keys

import (
	"crypto/sha256"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSum256 compares digests with those of the standard library, forevery
// length of secret that a credential can have.
func TestSum256(t *testing.T) {
	t.Parallel()
	if !blocksWork {
		t.Error("the state of a hash cannot be read as it could be up to Go 1.26")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []Kind{KindKey, KindClient, KindToken} {
		for length := range MaxLen {
			var b strings.Builder
			for range length {
				b.WriteByte(byte(rng.Uint32()))
			}
			want := sha256.Sum256([]byte(string(kind) + "\x00" + b.String()))
			if got := sum256(kind, b.String()); got != want {
				t.Errorf("%s, %d bytes: %x, want %x", kind, length, got, want)
			}
		}
	}
}

// TestEqual changes each bit of a digest.
func TestEqual(t *testing.T) {
	t.Parallel()
	a := sha256.Sum256([]byte("abc"))
	if b := a; !equal(&a, &b) {
		t.Error("a digest is not equal to its copy")
	}
	for i := range 8 * len(a) {
		b := a
		b[i/8] ^= 1 << (i % 8)
		if equal(&a, &b) {
			t.Errorf("a digest without bit %d is equal", i)
		}
	}
}
