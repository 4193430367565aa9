package oauth_test

import (
	"math/rand/v2"
	"testing"

	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/ratelimit"
)

// TestAddressName has the short way to the name of an address agree with the
// long one, on addresses and on what is nearly one.
func TestAddressName(t *testing.T) {
	t.Parallel()
	seeds := []string{
		"192.0.2.1:1234", "192.0.2.1", "10.0.0.255:0", "192.0.2.1:65536", "192.0.2.01:80", "[2001:db8::1]:443", "2001:db8::1", "[::ffff:192.0.2.1]:80",
		"[fe80::1%eth0]:80", "[192.0.2.1]:80", "[192.0.2.1]", "@", "", ":80", "localhost:80", "192.0.2.1:80:80",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		remote := []byte(seeds[i%len(seeds)])
		for range i / len(seeds) % 4 {
			const alphabet = "0123456789abf:.[]%"
			c, at := alphabet[random.IntN(len(alphabet))], random.IntN(len(remote)+1)
			switch {
			case at == len(remote):
				remote = append(remote, c)
			case random.IntN(3) == 0:
				remote = append(remote[:at], remote[at+1:]...)
			default:
				remote[at] = c
			}
		}
		addr, _ := ratelimit.ParseAddress(string(remote))
		if got, want := oauth.AddressName(string(remote)), ratelimit.AddressName(addr); got != want {
			t.Fatalf("%q: %q, want %q", remote, got, want)
		}
	}
}
