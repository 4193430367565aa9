package middleware

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// A Refusal is an answer to a request that does not go on.
type Refusal struct {
	Status      int    // of the response, such as 401
	Code        string // "invalid_token", after RFC 6750 §3.1 where it has one
	Description string // fixed text for people, ASCII without quotes and backslashes
	Scope       string // what is missing, with the code "insufficient_scope"
	RetryAfter  int64  // seconds, as in the Retry-After field; 0 for none
	Err         error  // what Check returned; for logs, not for clients
}

// An ErrorWriter writes the status and the body of a refusal. The fields
// WWW-Authenticate, Retry-After, Cache-Control and those of the quota are set
// when it is called. It must write nothing of Refusal.Err.
type ErrorWriter func(w http.ResponseWriter, r *http.Request, refusal Refusal)

// The refusals of a guard, in its tables.
const (
	noCredential = iota
	several
	invalid
	expired
	revoked
	overLimit
	scopeMissing
	unavailable
	refusalCount
)

var refusals = [refusalCount]Refusal{
	noCredential: {
		Status: http.StatusUnauthorized, Code: "unauthorized",
		Description: "Send an API key or an access token as a Bearer credential in the Authorization header.",
	},
	several: {
		Status: http.StatusBadRequest, Code: "invalid_request",
		Description: "The request has more than one credential.",
	},
	invalid: {
		Status: http.StatusUnauthorized, Code: "invalid_token",
		Description: "The credential is not valid.",
	},
	expired: {
		Status: http.StatusUnauthorized, Code: "invalid_token",
		Description: "The credential has expired.",
	},
	revoked: {
		Status: http.StatusUnauthorized, Code: "invalid_token",
		Description: "The credential was revoked.",
	},
	overLimit: {
		Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded",
		Description: "Too many requests. Retry after the time in the Retry-After header.",
	},
	scopeMissing: {
		Status: http.StatusForbidden, Code: "insufficient_scope",
		Description: "The credential does not hold the scope that this request needs.",
	},
	unavailable: {
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", RetryAfter: 1,
		Description: "The request cannot be authorized at the moment. Try again.",
	},
}

// errorAnswers has the answer to each error of Check. If an error wraps several,
// the first counts: that a store cannot be asked says nothing about a credential.
var errorAnswers = [...]struct {
	err    error
	answer int
}{
	{ErrNoCredential, noCredential},
	{ErrSeveralCredentials, several},
	{keys.ErrUnavailable, unavailable},
	{keys.ErrMalformed, invalid},
	{keys.ErrUnknown, invalid},
	{keys.ErrMismatch, invalid},
	{keys.ErrExpired, expired},
	{keys.ErrRevoked, revoked},
	{ErrOverLimit, overLimit},
	{ErrScope, scopeMissing},
}

// refusalOf returns which answer an error of Check gets. Whatever it does not
// know is a failure of ours.
func refusalOf(err error) int {
	for i := range errorAnswers {
		if e := &errorAnswers[i]; err == e.err { // as most errors come
			return e.answer
		}
	}
	for i := range errorAnswers {
		if e := &errorAnswers[i]; errors.Is(err, e.err) {
			return e.answer
		}
	}
	return unavailable
}

// answers hold what the refusals of one guard have in common.
type answers struct {
	write      ErrorWriter
	challenges [refusalCount]string // in front of the scope, if there is one
	metadata   string               // the parameter resource_metadata with its comma, or ""

	// Challenges with the scopes of routes, by scope. The map is not changed;
	// a route that is registered puts another one in its place.
	scoped   atomic.Pointer[map[string]string]
	scopedMu sync.Mutex // held to do so
}

func newAnswers(opts *Options) (*answers, error) {
	a := &answers{write: opts.WriteError}
	if a.write == nil {
		a.write = WriteJSON
	}
	realm := opts.Realm
	if realm == "" {
		realm = "api"
	}
	if !validRealm(realm) {
		return nil, errors.New("middleware: the realm is not printable ASCII without quotes and backslashes")
	}
	if url := opts.ResourceMetadata; url != "" {
		if !validURL(url) {
			return nil, fmt.Errorf("middleware: resource metadata %q is not an absolute URL", url)
		}
		a.metadata = `, resource_metadata="` + url + `"`
	}
	for i, refusal := range refusals {
		c := `Bearer realm="` + realm + `"`
		if i != noCredential { // RFC 6750 §3: no error code without a credential
			c += `, error="` + refusal.Code + `", error_description="` + refusal.Description + `"`
		}
		if i != scopeMissing {
			c += a.metadata
		}
		a.challenges[i] = c
	}
	a.scoped.Store(new(make(map[string]string)))
	return a, nil
}

// challenge returns the challenge of RFC 6750 §3.
func (a *answers) challenge(refusal int, scope string) string {
	if refusal != scopeMissing {
		return a.challenges[refusal]
	}
	if c, ok := (*a.scoped.Load())[scope]; ok {
		return c
	}
	return a.scopeChallenge(scope)
}

func (a *answers) scopeChallenge(scope string) string {
	c := a.challenges[scopeMissing]
	if scopes.Valid(scope) { // or it could break out of the quotes
		c += `, scope="` + scope + `"`
	}
	return c + a.metadata
}

// prepare makes the challenge for the scope of a route.
func (a *answers) prepare(scope string) {
	a.scopedMu.Lock()
	defer a.scopedMu.Unlock()
	if _, done := (*a.scoped.Load())[scope]; done {
		return
	}
	scoped := maps.Clone(*a.scoped.Load())
	scoped[scope] = a.scopeChallenge(scope)
	a.scoped.Store(&scoped)
}

// A refused request is all the memory that the fields of a refusal take, in one
// object.
type refused struct {
	values [3]string
	n      int // how many of values are used
	quota  quotaText
}

// set sets a field to one value. The key is in canonical form.
func (x *refused) set(h http.Header, key, value string) {
	x.values[x.n] = value
	h[key] = x.values[x.n : x.n+1 : x.n+1]
	x.n++
}

// Refuse answers a request that [Guard.Check] did not let through, with what it
// returned.
func (g *Guard) Refuse(w http.ResponseWriter, r *http.Request, a Access, err error) {
	i := refusalOf(err)
	refusal := refusals[i]
	refusal.Err = err
	x, h := new(refused), w.Header()
	x.set(h, "Cache-Control", "no-store")
	switch refusal.Status {
	case http.StatusForbidden:
		refusal.Scope = a.Scope
		fallthrough
	case http.StatusUnauthorized, http.StatusBadRequest:
		x.set(h, "Www-Authenticate", g.answers.challenge(i, a.Scope))
	case http.StatusTooManyRequests:
		refusal.RetryAfter = a.Quota.RetryAfterSeconds()
	}
	if refusal.RetryAfter > 0 {
		x.set(h, "Retry-After", strconv.FormatInt(refusal.RetryAfter, 10))
	}
	if g.quota.wanted(&a) || refusal.Status == http.StatusTooManyRequests {
		g.quota.set(h, &x.quota, &a.Quota)
	}
	g.answers.write(w, r, refusal)
}
