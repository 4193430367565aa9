package ratelimit

import (
	"net/netip"
	"strings"
)

// ParseAddress reads the address of a client, with or without a port, such as
// the RemoteAddr of an HTTP request. An IPv4 address that is written as IPv6 is
// the IPv4 address, and the zone of an IPv6 address is left out. It reports
// whether there was an address to read.
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

// AddressName returns the name of the bucket of an address: "192.0.2.1", or the
// network "2001:db8::/64", since whoever has one IPv6 address has all of its
// /64. The zero Addr, of clients whose address is not known, is "unknown".
func AddressName(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return "unknown"
	case addr.Is6():
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
	return addr.String()
}
