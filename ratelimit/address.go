package ratelimit

import (
	"net/netip"
	"strings"
)

// ParseAddress parses the address of a client, with or without a port, such as the
// RemoteAddr of an HTTP request. It returns an IPv4 address for one that is written
// as IPv6 (::ffff:192.0.2.1), and drops the zone of an IPv6 address. If text holds
// no address, it returns the zero Addr and false.
func ParseAddress(text string) (addr netip.Addr, ok bool) {
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// AddressName returns the name of an address's bucket. For an IPv4 address that is
// the address, such as "192.0.2.1", also if it is written as IPv6
// (::ffff:192.0.2.1). For an IPv6 address it is the network of 64 bits, such as
// "2001:db8::/64", since whoever has one address of such a network has all of them.
// For the zero Addr it is "unknown": all clients without a known address share one
// bucket.
func AddressName(addr netip.Addr) string {
	addr = addr.Unmap()
	switch {
	case !addr.IsValid():
		return "unknown"
	case addr.Is6():
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
	return addr.String()
}
