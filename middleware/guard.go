package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
)

// NoScope in place of a scope says that any valid credential will do. It is
// not a scope token, so no scope is mistaken for it, and no route is open to
// all credentials because somebody forgot its scope.
const NoScope = "no scope"

// Errors of [Guard.Check], besides those of [keys.Verifier.Verify].
var (
	// ErrNoCredential reports a request without a credential, or with one of
	// a scheme other than Bearer.
	ErrNoCredential = errors.New("middleware: no credential")
	// ErrSeveralCredentials reports a request with more than one.
	ErrSeveralCredentials = errors.New("middleware: more than one credential")
	// ErrOverLimit reports that the organization has used up its requests.
	ErrOverLimit = errors.New("middleware: over the limit")
	// ErrScope reports that the credential does not hold the scope.
	ErrScope = errors.New("middleware: scope is missing")
	// ErrUnavailable reports that the limiter could not decide. It wraps the
	// limiter's error.
	ErrUnavailable = errors.New("middleware: limits are unavailable")
)

// Options are the settings of a [Guard].
type Options struct {
	// Realm names the protected space in challenges (RFC 9110 §11.5). It is
	// printable ASCII without quotes and backslashes. If empty, "api".
	Realm string

	// ResourceMetadata is the URL of the protected resource metadata (RFC 9728
	// §5.1), which challenges then name. If empty, they do not.
	ResourceMetadata string

	// WriteError writes the body of refusals. If nil, WriteJSON.
	WriteError ErrorWriter

	// AllowAPIKeyHeader also accepts a credential in an X-API-Key field.
	AllowAPIKeyHeader bool

	// AllowPreflight lets CORS preflight requests through to the handler
	// without a credential and without a principal: those with the method
	// OPTIONS, an Origin and an Access-Control-Request-Method. Handlers must
	// then do nothing else for OPTIONS than to answer the preflight.
	AllowPreflight bool

	// Limit returns the limit of a principal. If nil, it is as many requests a
	// minute as the principal's RateLimit, all of which may come at once.
	Limit func(p keys.Principal) (ratelimit.Limit, error)

	// OmitQuota leaves RateLimit-Policy and RateLimit out of answers other
	// than 429.
	OmitQuota bool

	// LegacyQuota adds X-RateLimit-Limit, X-RateLimit-Remaining and
	// X-RateLimit-Reset, the last in seconds since 1970, wherever RateLimit is.
	LegacyQuota bool

	// Hook receives an event for each request that is refused for its limit or
	// its scope. Other refusals are the Verifier's, and go to the Hook of the
	// keys package. If nil, these events are dropped.
	Hook keys.Hook
}

// A Guard protects handlers. It is safe for concurrent use.
type Guard struct {
	verifier  *keys.Verifier
	limiter   *ratelimit.Limiter
	limit     func(p keys.Principal) (ratelimit.Limit, error) // nil for the default
	answers   *answers
	apiKey    bool
	preflight bool
	quota     quotaFields
	hook      keys.Hook
	clock     clock
}

// NewGuard returns a Guard that checks credentials with v and limits with l. A nil l
// means that there are no limits. A nil opts is the zero Options. The error
// says which setting is wrong.
func NewGuard(v *keys.Verifier, l *ratelimit.Limiter, opts *Options) (*Guard, error) {
	if v == nil {
		return nil, errors.New("middleware: NewGuard needs a verifier")
	}
	if opts == nil {
		opts = new(Options)
	}
	a, err := newAnswers(opts)
	if err != nil {
		return nil, err
	}
	g := &Guard{
		verifier:  v,
		limiter:   l,
		limit:     opts.Limit,
		answers:   a,
		apiKey:    opts.AllowAPIKeyHeader,
		preflight: opts.AllowPreflight,
		quota:     quotaFields{omit: opts.OmitQuota, legacy: opts.LegacyQuota},
		hook:      opts.Hook,
	}
	return g, nil
}

// Access is what a check found out about a request.
type Access struct {
	// Principal is who the request comes from; zero if that is not known.
	Principal keys.Principal
	// Quota is the decision on the limit; zero if none was made.
	Quota ratelimit.Decision
	// Scope is the scope that was asked for; empty if none was.
	Scope string
}

// Check decides whether r may go on to a handler that needs a scope, or
// [NoScope]. It takes one request from the organization's quota, so it is
// called once for each request. It writes nothing: give a non-nil error to
// [Guard.Refuse], with the Access, which holds what was found until then.
//
// The error is [ErrNoCredential], [ErrSeveralCredentials], one of
// [keys.Verifier.Verify], [ErrOverLimit] or [ErrScope], or wraps
// [ErrUnavailable]. A scope that is no scope token is one that nobody holds.
func (g *Guard) Check(r *http.Request, scope string) (a Access, err error) {
	err = g.check(r, scope, &a)
	return a, err
}

// check is Check with its result in a, which is zero. It is large to be copied.
func (g *Guard) check(r *http.Request, scope string, a *Access) error {
	if scope != NoScope {
		a.Scope = scope
	}
	text, err := g.credential(r.Header)
	if err != nil {
		return err
	}
	now := g.clock.now()
	if a.Principal, err = g.verifier.VerifyAt(r.Context(), text, now); err != nil {
		return err
	}
	if g.limiter != nil {
		limit, err := g.limitOf(&a.Principal)
		if err == nil {
			a.Quota, err = g.limiter.TakeAt(r.Context(), a.Principal.Org, limit, now, 1)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if !a.Quota.Allowed {
			g.tell(r, a, now, keys.ReasonLimit)
			return ErrOverLimit
		}
	}
	if scope != NoScope && !a.Principal.Scopes.Contains(scope) {
		g.tell(r, a, now, keys.ReasonScope)
		return ErrScope
	}
	return nil
}

// limitOf returns the limit of a principal.
func (g *Guard) limitOf(p *keys.Principal) (ratelimit.Limit, error) {
	if g.limit != nil {
		return g.limit(*p)
	}
	return ratelimit.PerMinute(p.RateLimit)
}

// tell reports a refusal to the hook.
func (g *Guard) tell(r *http.Request, a *Access, now time.Time, reason string) {
	if g.hook != nil {
		g.hook(r.Context(), keys.Event{
			Type: keys.Refused, Time: now, Reason: reason,
			Org: a.Principal.Org, ID: a.Principal.ID, Kind: a.Principal.Kind,
		})
	}
}

// Require returns middleware that lets requests through whose credential is
// valid, within its limit, and holds scope, or with [NoScope] any. The handler
// finds the caller with [keys.FromContext]. Require panics if scope is neither
// a scope token of RFC 6749 §3.3 nor NoScope, which shows at start-up.
func (g *Guard) Require(scope string) func(http.Handler) http.Handler {
	g.prepare(scope)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if g.preflight && isPreflight(r) {
				next.ServeHTTP(w, r)
				return
			}
			var a Access
			if err := g.check(r, scope, &a); err != nil {
				g.Refuse(w, r, a, err)
				return
			}
			next.ServeHTTP(w, g.admit(w.Header(), r, &a))
		})
	}
}

// RequireFunc is [Guard.Require] for a handler that takes the caller and the
// state of the quota as an argument. That spares the copy of the request that
// a context needs: with [Options.OmitQuota] the guard allocates nothing. A
// preflight request that is let through comes with the zero Access.
func (g *Guard) RequireFunc(scope string, h func(http.ResponseWriter, *http.Request, Access)) http.Handler {
	g.prepare(scope)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.preflight && isPreflight(r) {
			h(w, r, Access{})
			return
		}
		var a Access
		if err := g.check(r, scope, &a); err != nil {
			g.Refuse(w, r, a, err)
			return
		}
		if g.quota.wanted(&a) {
			g.quota.set(w.Header(), new(quotaText), &a.Quota)
		}
		h(w, r, a)
	})
}

// prepare gets ready for a route that needs a scope.
func (g *Guard) prepare(scope string) {
	if scope == NoScope {
		return
	}
	if !scopes.Valid(scope) {
		panic(fmt.Sprintf("middleware: %q is not a scope token; use NoScope if any credential will do", scope))
	}
	g.answers.prepare(scope)
}

// isPreflight reports whether r is a CORS preflight request, as the Fetch
// standard defines it.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header["Origin"] != nil &&
		r.Header["Access-Control-Request-Method"] != nil
}

// validRealm reports whether a realm needs no escapes. Challenge parsers in
// use trip over those.
func validRealm(realm string) bool {
	for i := range len(realm) {
		if c := realm[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// validURL reports whether an absolute http or https URL can stand in a
// quoted string.
func validURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" &&
		validRealm(text) && !strings.Contains(text, " ")
}
