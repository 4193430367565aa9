package keys_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

func TestParseNetworks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"none", "", ""},
		{"a network", "10.0.0.0/8", "10.0.0.0/8"},
		{"an address", "192.0.2.1", "192.0.2.1/32"},
		{"an IPv6 address", "2001:db8::1", "2001:db8::1/128"},
		{"bits behind the length", "10.1.2.3/8", "10.0.0.0/8"},
		{"the order does not matter", "192.0.2.0/24 10.0.0.0/8", "10.0.0.0/8 192.0.2.0/24"},
		{"IPv4 comes before IPv6", "2001:db8::/32 10.0.0.0/8", "10.0.0.0/8 2001:db8::/32"},
		{"twice", "10.0.0.0/8 10.0.0.0/8", "10.0.0.0/8"},
		{"a part of another", "10.1.0.0/16 10.0.0.0/8 10.2.3.4", "10.0.0.0/8"},
		{"two halves", "10.0.0.0/9 10.128.0.0/9", "10.0.0.0/8"},
		{"four quarters", "10.0.0.0/10 10.192.0.0/10 10.128.0.0/10 10.64.0.0/10", "10.0.0.0/8"},
		{"neighbours that are no halves", "10.64.0.0/10 10.128.0.0/10", "10.64.0.0/10 10.128.0.0/10"},
		{"IPv4 as IPv6", "::ffff:192.0.2.0/120", "192.0.2.0/24"},
		{"all of IPv4 as IPv6", "::ffff:0.0.0.0/96", "0.0.0.0/0"},
		{"an IPv4 address as IPv6", "::ffff:192.0.2.1", "192.0.2.1/32"},
		{"everything", "0.0.0.0/1 128.0.0.0/1 ::/0", "0.0.0.0/0 ::/0"},
	} {
		got, err := keys.ParseNetworks(tt.text)
		if err != nil || got.String() != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
		again, err := keys.ParseNetworks(got.String())
		if err != nil || again != got {
			t.Errorf("%s: its own text reads as %q, %v", tt.name, again, err)
		}
	}
	for name, text := range map[string]string{
		"junk": "junk", "a host name": "example.com", "two spaces": "10.0.0.0/8  192.0.2.1", "a space": " ",
		"a length beyond": "10.0.0.0/33", "a zone": "fe80::1%eth0", "a port": "192.0.2.1:80", "a comma": "10.0.0.0/8,192.0.2.1",
		"IPv4 and IPv6 in one": "::ffff:0.0.0.0/80", "many": manyNetworks(keys.MaxNetworks + 1),
	} {
		if got, err := keys.ParseNetworks(text); !errors.Is(err, keys.ErrInvalid) || !got.IsEmpty() {
			t.Errorf("%s: %q, %v", name, got, err)
		} else if strings.Contains(err.Error(), "example") {
			t.Errorf("%s: the error quotes the text: %v", name, err)
		}
	}
	most := manyNetworks(keys.MaxNetworks)
	for name, text := range map[string]string{"as many as there may be": most, "each of them twice": most + " " + most} {
		if got, err := keys.ParseNetworks(text); err != nil || got.Len() != keys.MaxNetworks {
			t.Errorf("%s: %d, %v", name, got.Len(), err)
		}
	}
	if _, err := keys.NetworksOf(netip.Prefix{}); !errors.Is(err, keys.ErrInvalid) {
		t.Errorf("the zero prefix: %v", err)
	}
}

// manyNetworks returns n networks of which no two are neighbours.
func manyNetworks(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("10.%d.%d.1", i/100, i%100)
	}
	return strings.Join(names, " ")
}

// longestNetworks has as many networks as there may be, each as long as one can
// be.
func longestNetworks(t testing.TB) keys.Networks {
	t.Helper()
	names := make([]string, keys.MaxNetworks)
	for i := range names {
		names[i] = fmt.Sprintf("ffff:ffff:ffff:ffff:ffff:ffff:ffff:%04x/128", 0xf000+2*i)
	}
	n, err := keys.NetworksFromStrings(names...)
	if err != nil || len(n.String()) != keys.MaxNetworksText {
		t.Fatalf("%d bytes, %v; want %d", len(n.String()), err, keys.MaxNetworksText)
	}
	return n
}

func TestNetworksAllow(t *testing.T) {
	t.Parallel()
	n := mustNetworks(t, "10.0.0.0/8 192.0.2.1 2001:db8::/32")
	for text, want := range map[string]bool{
		"10.0.0.0": true, "10.255.255.255": true, "9.255.255.255": false, "11.0.0.0": false,
		"192.0.2.1": true, "192.0.2.2": false, "::ffff:10.1.2.3": true, "::ffff:11.1.2.3": false,
		"2001:db8::1": true, "2001:db9::": false, "2001:db8::1%eth0": true,
	} {
		if got := n.Allows(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	if n.Allows(netip.Addr{}) {
		t.Error("an address that is not known is within networks")
	}
	var all keys.Networks
	if !all.Allows(netip.Addr{}) || !all.Allows(netip.MustParseAddr("192.0.2.1")) {
		t.Error("the empty set restricts")
	}
}

func mustNetworks(t testing.TB, text string) keys.Networks {
	t.Helper()
	n, err := keys.ParseNetworks(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNetworksCover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"", "10.0.0.0/8", true},
		{"10.0.0.0/8", "", false},
		{"0.0.0.0/0 ::/0", "", false},
		{"10.0.0.0/8", "10.0.0.0/8", true},
		{"10.0.0.0/8", "10.1.0.0/16 10.2.3.4", true},
		{"10.0.0.0/8", "10.1.0.0/16 11.2.3.4", false},
		{"10.1.0.0/16", "10.0.0.0/8", false},
		{"10.0.0.0/9 10.128.0.0/9", "10.0.0.0/8", true},
		{"10.0.0.0/8", "2001:db8::/32", false},
	} {
		if got := mustNetworks(t, tt.a).Covers(mustNetworks(t, tt.b)); got != tt.want {
			t.Errorf("%q covers %q: %t", tt.a, tt.b, got)
		}
	}
}

// TestNetworksAreSetsOfAddresses compares sets of small networks with the sets of
// their addresses.
func TestNetworksAreSetsOfAddresses(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 2))
	addrs := make([]netip.Addr, 64)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
	}
	draw := func() (n keys.Networks, set uint64) {
		prefixes := make([]netip.Prefix, rng.IntN(6))
		for i := range prefixes {
			prefixes[i] = netip.PrefixFrom(addrs[rng.IntN(64)], 26+rng.IntN(7))
			for j, a := range addrs {
				if prefixes[i].Contains(a) {
					set |= 1 << j
				}
			}
		}
		n, err := keys.NetworksOf(prefixes...)
		if err != nil {
			t.Fatal(err)
		}
		return n, set
	}
	for range 2000 {
		a, aset := draw()
		b, bset := draw()
		if a.IsEmpty() != (aset == 0) || (a == b) != (aset == bset) {
			t.Fatalf("%q and %q: %x and %x", a, b, aset, bset)
		}
		if !a.IsEmpty() && !b.IsEmpty() && a.Covers(b) != (aset&bset == bset) {
			t.Fatalf("%q covers %q: %t", a, b, a.Covers(b))
		}
		for j, addr := range addrs {
			if !a.IsEmpty() && a.Allows(addr) != (aset>>j&1 == 1) {
				t.Fatalf("%q allows %v: %t", a, addr, a.Allows(addr))
			}
		}
	}
}

func TestNetworksAsText(t *testing.T) {
	t.Parallel()
	n := mustNetworks(t, "10.0.0.0/8 2001:db8::/32")
	text, err := n.MarshalText()
	var back keys.Networks
	if err := errors.Join(err, back.UnmarshalText(text)); err != nil || back != n || string(text) != n.String() {
		t.Errorf("%q became %q, %v", text, back, err)
	}
	if err := back.UnmarshalText([]byte("10.0.0.0/33")); !errors.Is(err, keys.ErrInvalid) || back != n {
		t.Errorf("bad text: %v, and the set is now %q", err, back)
	}
}

func FuzzParseNetworks(f *testing.F) {
	f.Add("10.0.0.0/8 192.0.2.1")
	f.Add("::ffff:10.0.0.0/104 2001:db8::/32")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := keys.ParseNetworks(text)
		if err != nil {
			return
		}
		again, err := keys.ParseNetworks(n.String())
		if err != nil || again != n {
			t.Fatalf("%q became %q and then %q, %v", text, n, again, err)
		}
		if len(n.String()) > keys.MaxNetworksText {
			t.Fatalf("%d bytes", len(n.String()))
		}
	})
}
