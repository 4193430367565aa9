package middleware

import (
	"context"
	"iter"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// Access is what a check found out about a request. It is a value that can be
// copied.
type Access struct {
	// Principal is who the request comes from; zero if the credential was
	// refused.
	Principal keys.Principal

	// Quota is the decision on the limit. It is zero if none was made: because
	// there is no limiter, or the request was refused before.
	Quota ratelimit.Decision

	// Scope is set if the check failed with ErrScope: the names of the scopes
	// that the request needed, with spaces between them.
	Scope string

	guard  *Guard // that decided; nil in the zero Access
	policy policy // that Quota is about
	bucket string // that was charged
	cost   int    // what it was charged; 0 if nothing
	outer  *Access
}

// charged returns what an earlier check has taken for this request from the
// bucket that a is about to take from.
func (a *Access) charged() *Access {
	for o := a.outer; o != nil; o = o.outer {
		if o.cost > 0 && o.bucket == a.bucket && o.limiter().SameBuckets(a.limiter()) {
			return o
		}
	}
	return nil
}

// told reports whether the guard has said already that it lets in a request with
// this credential.
func (a *Access) told() bool {
	for o := a.outer; o != nil; o = o.outer {
		if o.guard == a.guard && o.Principal.ID == a.Principal.ID {
			return true
		}
	}
	return false
}

// limiter returns the limiter of the policy, or nil.
func (a *Access) limiter() *ratelimit.Limiter { return a.guard.limiters[a.policy] }

// Fields returns the names and values of the header fields about the quota, for
// answers that are not written to an http.ResponseWriter, such as the metadata of
// gRPC: RateLimit-Policy, RateLimit, with [Options.LegacyQuota] the X-RateLimit
// fields, and Retry-After if the request is over the limit. There are none if there
// was no decision on the limit.
func (a *Access) Fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if a.Quota.Limit == (ratelimit.Limit{}) {
			return
		}
		text := new(quotaText)
		text.write(a)
		for i, name := range quotaNames {
			if !yield(name, text.values[i]) {
				return
			}
		}
		if a.guard != nil && a.guard.legacy {
			for i, value := range legacyValues(&a.Quota) {
				if !yield(legacyNames[i], value) {
					return
				}
			}
		}
		if !a.Quota.Allowed {
			yield("Retry-After", retryAfter(a.Quota.RetryAfterSeconds()))
		}
	}
}

// SetHeader sets the fields of [Access.Fields] in h, also with
// [Options.OmitQuota]. Handlers behind [Guard.Require] need not call it.
func (a *Access) SetHeader(h http.Header) {
	if a.Quota.Limit == (ratelimit.Limit{}) {
		return
	}
	new(quotaText).set(h, a)
	if !a.Quota.Allowed {
		h.Set("Retry-After", retryAfter(a.Quota.RetryAfterSeconds()))
	}
}

// accessKey is the key of the Access among the values of a context.
type accessKey struct{}

// FromContext returns the Access of a request that a guard has let through, and
// whether there is one. A context that a guard made has the principal too: see
// [keys.FromContext].
func FromContext(ctx context.Context) (Access, bool) {
	a := accessOf(ctx)
	if a == nil {
		return Access{}, false
	}
	return *a, true
}

// accessOf returns the Access in ctx, or nil.
func accessOf(ctx context.Context) *Access {
	a, _ := ctx.Value(accessKey{}).(*Access)
	return a
}

// NewContext returns a context with what [Guard.Check] or [Guard.CheckText]
// returned for a request that goes on. [FromContext] and [keys.FromContext] find
// it there, as they do behind [Guard.Require], and a guard that checks the request
// once more does not charge it twice. The address of the request is not in it: see
// [keys.NewAddressContext] and [Guard.Addr].
func NewContext(ctx context.Context, a Access) context.Context {
	return &accessContext{ctx, a}
}

// An accessContext is a context with an Access.
type accessContext struct {
	context.Context
	access Access
}

// Value has the access, and the principal in it.
func (c *accessContext) Value(key any) any {
	switch key {
	case keys.PrincipalKey:
		return &c.access.Principal
	case accessKey{}:
		return &c.access
	}
	return c.Context.Value(key)
}

// An admitted request is what a handler behind a guard gets, in one object: the
// copy of the request, its context, and the text of the fields about the quota.
type admitted struct {
	accessContext
	request http.Request
	quota   quotaText
}

// Value has what an accessContext has, and the address of the request.
func (x *admitted) Value(key any) any {
	if key == keys.AddressKey {
		return x.access.guard.proxies.Addr(&x.request)
	}
	return x.accessContext.Value(key)
}

// admit returns the request that goes on to the handler, and writes the quota's
// fields to h.
func (g *Guard) admit(h http.Header, r *http.Request, a *Access) *http.Request {
	x := new(admitted)
	x.Context, x.access = r.Context(), *a
	// WithContext is inlined, and its copy does not leave the stack.
	x.request = *r.WithContext(x)
	if !g.omit && a.Quota.Limit != (ratelimit.Limit{}) {
		x.quota.set(h, a)
	}
	if g.remove {
		x.request.Header = r.Header.Clone()
		g.sources.remove(x.request.Header)
	}
	return &x.request
}
