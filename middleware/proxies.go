package middleware

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/claviger-auth/claviger/ratelimit"
)

// Proxies are the trusted proxies in front of a host: what they say about the
// addresses of clients is believed. [Guard], [Throttle] and the handlers of package
// oauth can share one. A nil *Proxies trusts nobody. Proxies are immutable, and safe
// for concurrent use.
type Proxies struct {
	networks   []netip.Prefix
	unixSocket bool
}

// NewProxies returns the proxies that have an address in one of the networks, and
// with unixSocket also those that connect to a Unix socket. Do not name a network
// from which clients connect as well: they could then claim any address. The
// error says that a network is not valid.
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

// Bounds on what is read of X-Forwarded-For, from its end. An address with a zone and
// a port is shorter than maxElement, and no path through proxies has maxHops of them.
// What a client writes in front of that is not looked at, whatever its length.
const (
	maxHops    = 32  // elements, empty ones included
	maxElement = 100 // bytes, with the spaces around it
)

// Addr returns the address that a request comes from. That is the address of its
// peer. If the peer is a trusted proxy, it is the last address in X-Forwarded-For
// that is not a trusted proxy. The addresses in front of it may be made up by the
// client.
//
// Several lines of X-Forwarded-For are one list (RFC 9110 §5.3). Empty elements
// are skipped (§5.6.1). The list is read from its end, up to an element that is no
// address, such as "unknown", or is longer than 100 bytes, or comes after 32 others.
// Then the address is that of the proxy which sent this element.
//
// An IPv4 address that is written as IPv6 becomes the IPv4 address, and zones are
// left out. The zero Addr stands for an unknown address, such as that of a peer on a
// Unix socket.
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

// forwarded returns the last address in the lines that is not a trusted proxy's. The
// addr is that of the proxy that sent the lines.
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

// cutLast cuts the last element off a list. It looks back only far enough to tell that
// an element is too long.
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
