package ratelimit_test

import (
	"net/netip"
	"testing"

	"github.com/claviger-auth/claviger/ratelimit"
)

func TestAddressName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8::1:2:3:4": "2001:db8::/64", "[2001:db8::1:2:3:4]": "2001:db8::/64", "[fe80::1%eth0]:80": "fe80::/64",
		"": "unknown", "@": "unknown", "example.com:80": "unknown", "192.0.2.1:port": "unknown", "192.0.2": "unknown",
	} {
		addr, ok := ratelimit.ParseAddress(text)
		if addr.Zone() != "" || addr.Is4In6() {
			t.Errorf("%q is parsed as %v", text, addr)
		}
		if got := ratelimit.AddressName(addr); got != want || ok != (want != "unknown") {
			t.Errorf("%q is %q, %v; want %q", text, got, ok, want)
		}
	}
}

// TestAddressNameOfConnections checks addresses as connections have them, which are not
// parsed. A dual-stack listener writes IPv4 addresses as IPv6. If those were taken for
// IPv6, all clients with an IPv4 address would share the bucket "::/64".
func TestAddressNameOfConnections(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"::ffff:192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1%eth0": "192.0.2.1", "fe80::1%eth0": "fe80::/64", "::1": "::/64",
	} {
		if got := ratelimit.AddressName(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}
