package middleware

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/claviger-auth/claviger/ratelimit"
)

// Proxies are the proxies in front of a host, whose word on the addresses of
// clients is believed. [Guard], [Throttle] and the handlers of package oauth share
// one. A nil *Proxies trusts nobody. Proxies are immutable, and safe for concurrent
// use.
type Proxies struct {
	networks   []netip.Prefix
	unixSocket bool
}

// NewProxies returns the proxies that have an address in one of the networks, and
// with unixSocket those that connect to a Unix socket too. Do not name a network
// from which clients connect as well: they could then claim any address. The
// error says which network is not valid.
func NewProxies(networks []netip.Prefix, unixSocket bool) (*Proxies, error) {
	p := &Proxies{unixSocket: unixSocket}
	for _, network := range networks {
		if !network.IsValid() {
			return nil, errors.New("middleware: a trusted proxy has no valid network")
		}
		if addr := network.Addr(); addr.Is4In6() {
			if network.Bits() < 96 {
				return nil, errors.New("middleware: the network of a trusted proxy mixes IPv4 and IPv6")
			}
			network = netip.PrefixFrom(addr.Unmap(), network.Bits()-96) // as addresses are compared
		}
		p.networks = append(p.networks, network)
	}
	return p, nil
}

// Bounds on what is read of X-Forwarded-For. Addresses with a zone and a port are
// shorter, and paths through proxies too; what a client writes in front of them
// may be of any length, and is not looked at.
const (
	maxHops    = 32  // elements, empty ones included
	maxElement = 100 // bytes, with the spaces around it
)

// Addr returns the address that a request comes from: that of its peer, or if
// that is a trusted proxy, the last one in X-Forwarded-For that is not. What
// stands before that was sent by the client and may be made up.
//
// Several lines of X-Forwarded-For are one list (RFC 9110 §5.3). Empty elements
// are passed over (§5.6.1). An element that is no address, such as "unknown",
// ends the list, and so do bounds on its length: then the address is that of the
// proxy which passed it on.
//
// An IPv4 address that is written as IPv6 is the IPv4 address, and zones are
// left out. The zero Addr is an address that is not known. A peer on a Unix socket
// has none.
func (p *Proxies) Addr(r *http.Request) netip.Addr {
	addr, ok := parsePeer(r.RemoteAddr)
	if p == nil || ok && !p.trusts(addr) || !ok && !(p.unixSocket && overUnixSocket(r)) {
		return addr
	}
	return p.forwarded(r.Header["X-Forwarded-For"], addr)
}

// parsePeer reads a RemoteAddr, which nearly always has a port.
func parsePeer(text string) (addr netip.Addr, ok bool) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	return ratelimit.ParseAddress(text)
}

// overUnixSocket reports whether the server of package http took r from a Unix
// socket. It asks the server: RemoteAddr says nothing there, and some middleware
// lets clients write to it.
func overUnixSocket(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.Network() == "unix"
}

// forwarded returns the last address in the lines that no trusted proxy has. It
// begins with addr, of the proxy that sent the lines.
func (p *Proxies) forwarded(lines []string, addr netip.Addr) netip.Addr {
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		rest, more := lines[i], true
		for more {
			var element string
			if rest, element, more = cutLast(rest); len(element) > maxElement || hops == maxHops {
				return addr
			}
			hops++
			if element = strings.Trim(element, " \t"); element == "" {
				continue
			}
			next, ok := ratelimit.ParseAddress(element)
			if !ok {
				return addr
			}
			if addr = next; !p.trusts(addr) {
				return addr
			}
		}
	}
	return addr
}

// cutLast cuts the last element off a list. It does not look further back than it
// must to find one that is too long.
func cutLast(list string) (rest, element string, more bool) {
	from := max(0, len(list)-maxElement-1)
	if i := strings.LastIndexByte(list[from:], ','); i >= 0 {
		return list[:from+i], list[from+i+1:], true
	}
	return "", list, false
}

func (p *Proxies) trusts(addr netip.Addr) bool {
	for _, network := range p.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}
