package middleware

import (
	"context"
	"fmt"
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

	// Quota is the decision on the limit. It is zero if there is no limiter, or
	// if the request was refused before its limit was looked at.
	Quota ratelimit.Decision

	// Scope is set if the check failed with ErrScope: the names of the scopes
	// that the request needed, with spaces between them.
	Scope string

	guard  *Guard // that decided; nil in the zero Access
	policy policy // that Quota is about
	bucket string // that was charged
	cost   int    // how many requests were taken; 0 if none
	outer  *Access
}

// charged returns what an earlier check has taken for this request from the bucket that
// a is about to take from, under limit. What another guard took under another limit does
// not count: the limit of a would never be looked at.
func (a *Access) charged(limit ratelimit.Limit) *Access {
	for o := a.outer; o != nil; o = o.outer {
		if o.cost > 0 && o.bucket == a.bucket && o.limiter().SameBuckets(a.limiter()) &&
			(o.guard == a.guard || o.Quota.Limit == limit) {
			return o
		}
	}
	return nil
}

// told reports whether an outer check by the same guard has told the hook already
// that a request with this credential was let in.
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
// gRPC. They are RateLimit-Policy and RateLimit, the X-RateLimit fields with
// [Options.LegacyQuota], and Retry-After if the request is over the limit. There are
// none if the limit was not looked at.
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

// NewContext returns a context with the Access that [Guard.Check] or
// [Guard.CheckText] returned for a request that goes on. [FromContext] and
// [keys.FromContext] find it there, as they do behind [Guard.Require], and a guard
// that checks the request once more does not charge it twice. With the zero Access the
// context has no principal, whatever ctx has. The context does not have the address of
// the request: add it with [keys.NewAddressContext] and [Guard.Addr].
func NewContext(ctx context.Context, a Access) context.Context {
	return &accessContext{ctx, a}
}

// An accessContext is a context with an Access.
type accessContext struct {
	context.Context
	access Access
}

// Value returns the access, the principal in it, or a value of the outer context.
func (c *accessContext) Value(key any) any {
	switch key {
	case keys.PrincipalKey:
		if c.access.Principal.Org == "" { // of the zero Access
			return (*keys.Principal)(nil)
		}
		return &c.access.Principal
	case accessKey{}:
		return &c.access
	}
	return c.Context.Value(key)
}

// Format prints the outer context. Contexts get into logs and errors, and the request in
// an admitted one has the caller's secret.
func (c *accessContext) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, c.Context, ".WithValue(middleware.Access)")
}

// An admitted request has all that a guard makes for a request that goes on, so that
// it costs one allocation: the copy of the request, its context, and the text of the
// fields about the quota.
type admitted struct {
	accessContext
	request http.Request
	quota   quotaText
}

// Value returns what an accessContext does, and the address of the request.
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
	// WithContext is inlined, so that its copy stays on the stack.
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
