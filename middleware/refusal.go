package middleware

import (
	"errors"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/ratelimit"
)

// The answers of a guard, in its tables.
const (
	noCredential = iota
	several
	invalid
	expired
	revoked
	paused
	network
	tooMany
	scopeMissing
	unavailable
	answerCount
)

var refusals = [answerCount]httpjson.Refusal{
	noCredential: {
		Status: http.StatusUnauthorized, Code: "unauthorized", // with the advice of a guard's sources
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
	paused: {
		Status: http.StatusUnauthorized, Code: "invalid_token",
		Description: "The credential is paused.",
	},
	network: {
		Status: http.StatusForbidden, Code: "address_not_allowed",
		Description: "The credential may not be used from this address.",
	},
	tooMany: {
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

// A verdict says what becomes of a request because of an error of Check.
type verdict struct {
	err    error
	answer int
	reason string // for events
}

// verdicts has the verdict on each error of Check. If an error wraps several of them,
// the first in this list counts. So a failure of the store comes before what is wrong
// with the credential. For a client that has gone, httpjson.Refuse answers 499 in
// place of unavailable.
var verdicts = [...]verdict{
	{ErrNoCredential, noCredential, keys.ReasonNoCredential},
	{ErrSeveralCredentials, several, keys.ReasonSeveral},
	{ErrClientGone, unavailable, keys.ReasonCanceled},
	{ErrUnavailable, unavailable, keys.ReasonUnavailable},
	{keys.ErrUnavailable, unavailable, keys.ReasonUnavailable},
	{keys.ErrMalformed, invalid, keys.ReasonMalformed},
	{keys.ErrUnknown, invalid, keys.ReasonUnknown},
	{keys.ErrMismatch, invalid, keys.ReasonMismatch},
	{keys.ErrExpired, expired, keys.ReasonExpired},
	{keys.ErrRevoked, revoked, keys.ReasonRevoked},
	{keys.ErrPaused, paused, keys.ReasonPaused},
	{ErrNetwork, network, keys.ReasonNetwork},
	{ErrOverLimit, tooMany, keys.ReasonLimit},
	{ErrScope, scopeMissing, keys.ReasonScope},
}

// answerTo returns the verdict on an error of Check. An error that is not in the list
// is a failure of the service.
func answerTo(err error) verdict {
	for i := range verdicts {
		if err == verdicts[i].err { // most errors are not wrapped
			return verdicts[i]
		}
	}
	for i := range verdicts {
		if errors.Is(err, verdicts[i].err) {
			return verdicts[i]
		}
	}
	return verdict{err, unavailable, keys.ReasonUnavailable}
}

// answers hold what the refusals of one guard have in common.
type answers struct {
	write      httpjson.ErrorWriter
	advice     string              // the description of noCredential
	challenges [answerCount]string // "" for none; for scopeMissing without scope and metadata
	metadata   string              // the parameter resource_metadata with its comma, or ""
}

func newAnswers(opts *Options, from sources) (*answers, error) {
	realm, err := opts.challengeSettings()
	if err != nil {
		return nil, err
	}
	a := &answers{write: opts.WriteError, advice: from.advice()}
	if opts.ResourceMetadata != "" {
		a.metadata = `, resource_metadata="` + opts.ResourceMetadata + `"`
	}
	for i, refusal := range refusals {
		c := from.scheme() + ` realm="` + realm + `"`
		if i != noCredential { // RFC 6750 §3: no error code without a credential
			c += `, error="` + refusal.Code + `", error_description="` + refusal.Description + `"`
		}
		switch i {
		case network, tooMany, unavailable:
		case scopeMissing: // challenge adds the scope and the metadata
			a.challenges[i] = c
		default:
			a.challenges[i] = c + a.metadata
		}
	}
	return a, nil
}

// challenge returns the challenge of RFC 6750 §3, or "" if there is none.
func (a *answers) challenge(answer int, scope string) string {
	c := a.challenges[answer]
	switch {
	case answer != scopeMissing:
		return c
	case scope == "":
		return c + a.metadata
	}
	return c + `, scope="` + scope + `"` + a.metadata
}

// A refused request holds the header fields of a refusal, in one allocation.
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

// Refuse answers a request that [Guard.Check] did not let through. Give it the Access
// and the error that Check returned.
func (g *Guard) Refuse(w http.ResponseWriter, r *http.Request, a Access, err error) {
	g.refuse(w, r, &a, err)
}

func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, a *Access, err error) {
	answer := answerTo(err).answer
	refusal := g.refusal(answer, a, err)
	x, h := new(refused), w.Header()
	if answer == tooMany {
		x.set(h, "Retry-After", retryAfter(refusal.RetryAfter))
	}
	x.set(h, "Cache-Control", "no-store")
	if c := g.answers.challenge(answer, a.Scope); c != "" {
		x.set(h, "Www-Authenticate", c)
	}
	if a.Quota.Limit != (ratelimit.Limit{}) && (!g.omit || answer == tooMany) {
		x.quota.set(h, a)
	}
	httpjson.Refuse(w, r, g.answers.write, refusal)
}

// Refusal returns what [Guard.Refuse] says about a request that [Guard.Check] did
// not let through, for answers that are not written to an http.ResponseWriter, such
// as the status of gRPC. The error must not be nil. If it is [ErrClientGone], the
// status is [httpjson.StatusClientGone].
func (g *Guard) Refusal(a Access, err error) httpjson.Refusal {
	if errors.Is(err, ErrClientGone) {
		return httpjson.Refusal{
			Status: httpjson.StatusClientGone, Code: "client_gone",
			Description: "The client has gone.", Err: err,
		}
	}
	return g.refusal(answerTo(err).answer, &a, err)
}

// refusal returns one of the refusals, with the scope, the time to wait and the error
// of a request.
func (g *Guard) refusal(answer int, a *Access, err error) httpjson.Refusal {
	refusal := refusals[answer]
	refusal.Err = err
	switch answer {
	case noCredential:
		refusal.Description = g.answers.advice
	case scopeMissing:
		refusal.Scope = a.Scope
	case tooMany:
		refusal.RetryAfter = a.Quota.RetryAfterSeconds()
	}
	return refusal
}
