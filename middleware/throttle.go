package middleware

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/claviger-auth/claviger/ratelimit"
)

// ThrottleOptions are the settings of a [Throttle].
type ThrottleOptions struct {
	// TrustedProxies are the networks of the proxies in front of the host. A
	// request from one of them counts for the address that the proxies report
	// in X-Forwarded-For. If empty, that field is ignored: anyone can send it.
	TrustedProxies []netip.Prefix

	// WriteError writes the body of refusals. If nil, WriteJSON.
	WriteError ErrorWriter
}

// A Throttle limits how many requests come from one address, for endpoints
// that are open to callers without a credential. An IPv6 address stands for
// its /64, since whoever has one address has all of those. A Throttle is safe
// for concurrent use.
type Throttle struct {
	limiter *ratelimit.Limiter
	limit   ratelimit.Limit
	proxies []netip.Prefix
	write   ErrorWriter
}

// NewThrottle returns a Throttle that holds each address to limit. The limiter
// must have a Space of its own, such as "addr", so that no organization can
// have the name of an address. A nil opts is the zero ThrottleOptions.
func NewThrottle(l *ratelimit.Limiter, limit ratelimit.Limit, opts *ThrottleOptions) (*Throttle, error) {
	if l == nil || limit == (ratelimit.Limit{}) {
		return nil, errors.New("middleware: NewThrottle needs a limiter and a limit")
	}
	if opts == nil {
		opts = new(ThrottleOptions)
	}
	t := &Throttle{limiter: l, limit: limit, write: opts.WriteError}
	for _, p := range opts.TrustedProxies {
		if !p.IsValid() {
			return nil, errors.New("middleware: a trusted proxy has no valid network")
		}
		if addr := p.Addr(); addr.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96) // as addresses are compared
		}
		t.proxies = append(t.proxies, p.Masked())
	}
	if t.write == nil {
		t.write = WriteJSON
	}
	return t, nil
}

// Limit returns a handler that answers 429 to an address over its limit, 503 if
// the limiter cannot decide, and lets others through to next.
func (t *Throttle) Limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, err := t.limiter.Take(r.Context(), t.Address(r), t.limit, 1)
		if err == nil && d.Allowed {
			next.ServeHTTP(w, r)
			return
		}
		refusal := refusals[overLimit]
		refusal.RetryAfter, refusal.Err = d.RetryAfterSeconds(), ErrOverLimit
		if err != nil {
			refusal = refusals[unavailable]
			refusal.Err = err
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Retry-After", strconv.FormatInt(refusal.RetryAfter, 10))
		t.write(w, r, refusal)
	})
}

// Address returns the name of the bucket of a request: the address it comes
// from, such as "192.0.2.1", or the network, such as "2001:db8::/64". All
// requests without a readable address, as those over a Unix socket, share the
// name "unknown".
func (t *Throttle) Address(r *http.Request) string {
	addr, ok := ratelimit.ParseAddress(r.RemoteAddr)
	if ok && t.trusts(addr) {
		addr = t.forwarded(r.Header["X-Forwarded-For"], addr)
	}
	return ratelimit.AddressName(addr)
}

// forwarded returns the last address in the list that no trusted proxy has.
// What stands before it was sent by that address, and may be made up. A list
// that cannot be read counts up to where it can.
func (t *Throttle) forwarded(lines []string, addr netip.Addr) netip.Addr {
	list := strings.Split(strings.Join(lines, ","), ",")
	for i := len(list) - 1; i >= 0; i-- {
		next, ok := ratelimit.ParseAddress(strings.TrimSpace(list[i]))
		if !ok {
			return addr
		}
		if addr = next; !t.trusts(addr) {
			return addr
		}
	}
	return addr
}

func (t *Throttle) trusts(addr netip.Addr) bool {
	for _, p := range t.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
