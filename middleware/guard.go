package middleware

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// Errors of [Guard.Check], besides those of its [Verifier].
var (
	// ErrNoCredential reports a request without a credential, or with one of
	// another scheme.
	ErrNoCredential = errors.New("middleware: no credential")
	// ErrSeveralCredentials reports a request with more than one.
	ErrSeveralCredentials = errors.New("middleware: more than one credential")
	// ErrNetwork reports a good credential that may not be used from the address
	// of the request.
	ErrNetwork = errors.New("middleware: address is outside of the credential's networks")
	// ErrOverLimit reports that the bucket has too few requests left, or that the
	// address has presented too many bad credentials: see [Options.Failures].
	ErrOverLimit = errors.New("middleware: over the limit")
	// ErrScope reports that the credential does not hold the scopes.
	ErrScope = errors.New("middleware: scope is missing")
	// ErrUnavailable reports that the limiter could not decide. It wraps the
	// limiter's error.
	ErrUnavailable = errors.New("middleware: limits are unavailable")
	// ErrClientGone reports that nothing could be decided, most likely because the
	// client has hung up meanwhile. It wraps the error behind it.
	ErrClientGone = errors.New("middleware: client has gone")
)

// manageSpace is the space of the buckets of [Guard.Manage].
const manageSpace = "manage"

// A Guard protects handlers. It is made by [NewGuard], and is safe for concurrent
// use.
type Guard struct {
	verifier  Verifier
	sources   sources
	proxies   *Proxies
	limiters  [policies]*ratelimit.Limiter                    // nil for no limit
	limit     func(p keys.Principal) (ratelimit.Limit, error) // nil for the default
	bucket    func(p keys.Principal) string                   // nil for the default
	failed    *failureBudget                                  // nil for none
	answers   *answers
	preflight bool
	remove    bool // take the credential out of the request
	omit      bool // leave out the fields about the quota
	legacy    bool // add the X-RateLimit fields
	hook      keys.Hook
	reminded  reminders
}

// NewGuard returns a Guard that checks credentials with v and limits with l. A nil
// l means that there are no limits. A nil opts is the zero Options. The error says
// which setting is wrong.
func NewGuard(v Verifier, l *ratelimit.Limiter, opts *Options) (*Guard, error) {
	if v == nil {
		return nil, errors.New("middleware: NewGuard needs a verifier")
	}
	if opts == nil {
		opts = new(Options)
	}
	g := &Guard{
		verifier: v, proxies: opts.Proxies, limit: opts.Limit, bucket: opts.Bucket,
		preflight: opts.AllowPreflight, remove: opts.RemoveCredential,
		omit: opts.OmitQuota, legacy: opts.LegacyQuota, hook: opts.Hook,
	}
	var err error
	if g.sources, err = newSources(opts.Sources); err != nil {
		return nil, err
	}
	if g.answers, err = newAnswers(opts, g.sources); err != nil {
		return nil, err
	}
	if g.failed, err = newFailureBudget(opts.Failures); err != nil {
		return nil, err
	}
	if l != nil {
		g.limiters[byDefault] = l
		if g.limiters[management], err = l.In(manageSpace); err != nil {
			return nil, fmt.Errorf("middleware: space for management: %w", err)
		}
	}
	return g, nil
}

// Require returns middleware that lets requests through whose credential is good,
// within its limit, and holds all scopes that are named. The handler finds the
// caller with [keys.FromContext], and the state of the quota with [FromContext].
//
// Require panics if a name is not a scope token of RFC 6749 §3.3, such as the empty
// text. So a mistake in a route shows at start-up.
func (g *Guard) Require(first string, more ...string) func(http.Handler) http.Handler {
	return g.protect(newRule(Need{All: names(first, more)}))
}

// RequireAny is like [Guard.Require], but one of the scopes is enough.
func (g *Guard) RequireAny(first string, more ...string) func(http.Handler) http.Handler {
	return g.protect(newRule(Need{Any: names(first, more)}))
}

// Authenticated is like [Guard.Require] without a scope: any good credential will
// do.
func (g *Guard) Authenticated() func(http.Handler) http.Handler { return g.protect(newRule(Need{})) }

// Need is like [Guard.Require] for requests with a cost of their own, or that need
// all of some scopes and one of others. It panics if a name is not a scope token, if
// the cost is negative, or if n is the zero Need: use [Guard.Authenticated] for that.
func (g *Guard) Need(n Need) func(http.Handler) http.Handler {
	if len(n.All)+len(n.Any) == 0 && n.Cost == 0 && !n.Manage {
		panic("middleware: an empty Need; use Authenticated if any credential will do")
	}
	return g.protect(newRule(n))
}

// Manage is like [Guard.Require] for routes that manage credentials: the handlers
// of packages keyshttp and oauth, and what a host has of that kind. Without names
// any good credential will do.
//
// Requests are not taken from the organization's bucket. Each key or client has a
// bucket for each address that it is used from, in the space "manage" of the
// limiter's store, with the principal's own RateLimit a minute. So whoever floods
// the API with a leaked key cannot keep its owner from revoking it. Options.Limit
// and Options.Bucket have no effect. Do not use Manage inside another guard, since
// that would charge the organization as well.
func (g *Guard) Manage(names ...string) func(http.Handler) http.Handler {
	return g.protect(newRule(Need{All: names, Manage: true}))
}

func names(first string, more []string) []string { return append([]string{first}, more...) }

// protect returns middleware that follows a rule.
func (g *Guard) protect(rule *rule) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if g.preflight && isPreflight(r) {
				next.ServeHTTP(w, g.withoutCredential(r))
				return
			}
			var a Access
			if err := g.check(r, rule, &a); err != nil {
				g.refuse(w, r, &a, err)
				return
			}
			admitted := g.admit(w.Header(), r, &a)
			next.ServeHTTP(w, admitted)
			if form := admitted.MultipartForm; form != nil && r.MultipartForm == nil {
				r.MultipartForm = form // where the server looks for files to remove
			}
		})
	}
}

// isPreflight reports whether r is a CORS preflight request, as the Fetch
// standard defines it.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header["Origin"] != nil &&
		r.Header["Access-Control-Request-Method"] != nil
}

// withoutCredential returns the request that goes on to a handler without having been
// checked.
func (g *Guard) withoutCredential(r *http.Request) *http.Request {
	if !g.remove {
		return r
	}
	c := r.WithContext(r.Context())
	c.Header = r.Header.Clone()
	g.sources.remove(c.Header)
	return c
}
