package middleware

import (
	"errors"
	"net/http"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/ratelimit"
)

// ThrottleOptions are the settings of a [Throttle].
type ThrottleOptions struct {
	// Proxies are the trusted proxies in front of the host. If nil, a request
	// comes from the address of its peer.
	Proxies *Proxies

	// WriteError writes the body of refusals. If nil, httpjson.WriteJSON.
	WriteError httpjson.ErrorWriter
}

// A Throttle limits how many requests come from one address, for endpoints
// that are open to callers without a credential. An IPv6 address stands for
// its /64, since whoever has one address usually has the whole /64. Requests whose
// address is unknown count together. A Throttle is made by [NewThrottle], and is safe
// for concurrent use.
type Throttle struct {
	limiter *ratelimit.Limiter
	limit   ratelimit.Limit
	proxies *Proxies
	write   httpjson.ErrorWriter
}

// NewThrottle returns a Throttle that holds each address to limit. The limiter
// must be in a space of its own, which neither organizations nor another Throttle
// use: see [ratelimit.Limiter.In]. A nil opts is the zero ThrottleOptions. The error
// says that the limiter or the limit is missing.
func NewThrottle(l *ratelimit.Limiter, limit ratelimit.Limit, opts *ThrottleOptions) (*Throttle, error) {
	if l == nil || limit == (ratelimit.Limit{}) {
		return nil, errors.New("middleware: NewThrottle needs a limiter and a limit")
	}
	if opts == nil {
		opts = new(ThrottleOptions)
	}
	return &Throttle{limiter: l, limit: limit, proxies: opts.Proxies, write: opts.WriteError}, nil
}

// Limit returns a handler that passes requests on to next. It answers 429 to an
// address over its limit, and 503 if the limiter cannot decide.
func (t *Throttle) Limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := ratelimit.AddressName(t.proxies.Addr(r))
		d, err := t.limiter.Take(r.Context(), name, t.limit, 1)
		if err == nil && d.Allowed {
			next.ServeHTTP(w, r)
			return
		}
		refusal := refusals[tooMany]
		refusal.RetryAfter, refusal.Err = d.RetryAfterSeconds(), ErrOverLimit
		if err != nil {
			refusal = refusals[unavailable]
			refusal.Err = err
		}
		httpjson.Refuse(w, r, t.write, refusal)
	})
}
