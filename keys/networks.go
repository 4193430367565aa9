package keys

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// maxPrefixLen is the length of the longest network:
// "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128".
const maxPrefixLen = 43

// Networks is an immutable set of IP networks. The zero value is the empty set,
// which restricts nothing: it allows every address.
//
// Sets are canonical. No network is a part of another, two halves of a network are
// written as that network, and networks stand in ascending order. So sets of the same
// addresses are equal under == and print alike. A set may be used by many goroutines
// at once.
type Networks struct {
	text string // prefixes with a space between them, canonical
}

// NetworksOf returns the set of the given networks. An IPv4 network that is written
// as IPv6 counts as the IPv4 network. Bits after the length of a prefix are ignored.
// The error wraps [ErrInvalid] if a prefix is not valid, or if the canonical set has
// more than [MaxNetworks].
func NetworksOf(prefixes ...netip.Prefix) (Networks, error) {
	list := make([]netip.Prefix, 0, len(prefixes))
	for i, p := range prefixes {
		if !p.IsValid() {
			return Networks{}, &InvalidError{FieldNetworks, fmt.Sprintf("have no address range at place %d", i+1)}
		}
		if a := p.Addr(); a.Is4In6() {
			if p.Bits() < 96 {
				return Networks{}, &InvalidError{FieldNetworks, fmt.Sprintf("mix IPv4 and IPv6 at place %d", i+1)}
			}
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		list = append(list, p.Masked())
	}
	n := Networks{joinPrefixes(merge(list))}
	if n.Len() > MaxNetworks {
		return Networks{}, &InvalidError{FieldNetworks, "are more than 100"}
	}
	return n, nil
}

// merge returns the canonical list of the networks in list, which it reuses.
func merge(list []netip.Prefix) []netip.Prefix {
	slices.SortFunc(list, netip.Prefix.Compare)
	kept := list[:0]
	for _, p := range list {
		kept = append(kept, p)
		for len(kept) > 1 {
			last := len(kept) - 1
			a, b := kept[last-1], kept[last]
			whole := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
			switch {
			case a.Bits() <= b.Bits() && a.Contains(b.Addr()):
				kept = kept[:last]
				continue
			case a.Bits() == b.Bits() && a.Bits() > 0 && whole.Contains(b.Addr()):
				kept = append(kept[:last-1], whole)
				continue
			}
			break
		}
	}
	return kept
}

func joinPrefixes(list []netip.Prefix) string {
	var b []byte
	for i, p := range list {
		if i > 0 {
			b = append(b, ' ')
		}
		b = p.AppendTo(b)
	}
	return string(b)
}

// ParseNetworks reads networks in CIDR form (RFC 4632 §3.1, RFC 4291 §2.3) or
// single addresses, separated by single spaces, in any order. Empty text is the
// empty set. The error wraps [ErrInvalid], and does not quote the text.
func ParseNetworks(text string) (Networks, error) {
	if text == "" {
		return Networks{}, nil
	}
	return NetworksFromStrings(strings.Split(text, " ")...)
}

// NetworksFromStrings is like [ParseNetworks], with each network as one string.
func NetworksFromStrings(names ...string) (Networks, error) {
	prefixes := make([]netip.Prefix, len(names))
	for i, name := range names {
		p, err := netip.ParsePrefix(name)
		if err != nil {
			addr, err := netip.ParseAddr(name)
			if err != nil {
				return Networks{}, &InvalidError{FieldNetworks, fmt.Sprintf("have no address range at place %d", i+1)}
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
			if addr.Zone() != "" {
				return Networks{}, &InvalidError{FieldNetworks, fmt.Sprintf("have a zone at place %d", i+1)}
			}
		}
		prefixes[i] = p
	}
	return NetworksOf(prefixes...)
}

// String returns the networks in ascending order, separated by single spaces.
// The empty set gives "".
func (n Networks) String() string { return n.text }

// IsEmpty reports whether n has no network, and so restricts nothing.
func (n Networks) IsEmpty() bool { return n.text == "" }

// Len returns the number of networks.
func (n Networks) Len() int {
	if n.text == "" {
		return 0
	}
	return strings.Count(n.text, " ") + 1
}

// All returns an iterator over the networks in ascending order.
func (n Networks) All() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for rest := n.text; rest != ""; {
			var name string
			name, rest, _ = strings.Cut(rest, " ")
			p, err := netip.ParsePrefix(name)
			if err != nil || !yield(p) { // there is no error, since the text is canonical
				return
			}
		}
	}
}

// Strings returns the networks in ascending order, in a new slice that is never
// nil.
func (n Networks) Strings() []string {
	if n.text == "" {
		return []string{}
	}
	return strings.Split(n.text, " ")
}

// Allows reports whether addr is in one of the networks. The empty set allows every
// address. The zero Addr, which stands for an unknown address, is in no network. An
// IPv4 address that is written as IPv6 counts as the IPv4 address. Allows does not
// allocate.
func (n Networks) Allows(addr netip.Addr) bool {
	if n.text == "" {
		return true
	}
	addr = addr.Unmap().WithZone("")
	for p := range n.All() {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Covers reports whether n allows every address that m allows. Only the empty
// set covers the empty set.
func (n Networks) Covers(m Networks) bool {
	if n.text == "" || n == m {
		return true
	}
	if m.text == "" {
		return false
	}
	for p := range m.All() {
		if !n.covers(p) {
			return false
		}
	}
	return true
}

// covers reports whether n has all of p. Since n is canonical, one of its networks
// then has all of p.
func (n Networks) covers(p netip.Prefix) bool {
	for q := range n.All() {
		if q.Bits() <= p.Bits() && q.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// MarshalText returns the text of [Networks.String].
func (n Networks) MarshalText() ([]byte, error) { return []byte(n.text), nil }

// UnmarshalText reads text as [ParseNetworks] does. On error n is unchanged.
func (n *Networks) UnmarshalText(text []byte) error {
	m, err := ParseNetworks(string(text))
	if err == nil {
		*n = m
	}
	return err
}
