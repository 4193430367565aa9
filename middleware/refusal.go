package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

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

// WriteJSON is the ErrorWriter that hosts get without asking. It writes
//
//	{"error":"<code>","error_description":"<description>"}
func WriteJSON(w http.ResponseWriter, _ *http.Request, refusal Refusal) {
	body := make([]byte, 0, 256)
	body = append(body, `{"error":"`...)
	body = append(body, refusal.Code...)
	body = append(body, `","error_description":"`...)
	body = append(body, refusal.Description...)
	body = append(body, '"', '}', '\n')
	writeBody(w, refusal.Status, "application/json", body)
}

// WriteProblem is the ErrorWriter of RFC 9457. It writes
//
//	{"type":"about:blank","title":"Unauthorized","status":401,"detail":"<description>","error":"<code>"}
//
// as application/problem+json.
func WriteProblem(w http.ResponseWriter, _ *http.Request, refusal Refusal) {
	body := make([]byte, 0, 320)
	body = append(body, `{"type":"about:blank","title":"`...)
	body = append(body, http.StatusText(refusal.Status)...)
	body = append(body, `","status":`...)
	body = strconv.AppendInt(body, int64(refusal.Status), 10)
	body = append(body, `,"detail":"`...)
	body = append(body, refusal.Description...)
	body = append(body, `","error":"`...)
	body = append(body, refusal.Code...)
	body = append(body, '"', '}', '\n')
	writeBody(w, refusal.Status, "application/problem+json", body)
}

func writeBody(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// The refusals, by what Check returns.
var (
	noCredential = Refusal{
		Status: http.StatusUnauthorized, Code: "unauthorized",
		Description: "Send an API key or an access token as a Bearer credential in the Authorization header.",
	}
	invalid = Refusal{
		Status: http.StatusUnauthorized, Code: "invalid_token",
		Description: "The credential is not valid.",
	}
	expired = Refusal{
		Status: http.StatusUnauthorized, Code: "invalid_token",
		Description: "The credential has expired.",
	}
	revoked = Refusal{
		Status: http.StatusUnauthorized, Code: "invalid_token",
		Description: "The credential was revoked.",
	}
	several = Refusal{
		Status: http.StatusBadRequest, Code: "invalid_request",
		Description: "The request has more than one credential.",
	}
	overLimit = Refusal{
		Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded",
		Description: "Too many requests. Retry after the time in the Retry-After header.",
	}
	scopeMissing = Refusal{
		Status: http.StatusForbidden, Code: "insufficient_scope",
		Description: "The credential does not hold the scope that this request needs.",
	}
	unavailable = Refusal{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", RetryAfter: 1,
		Description: "The request cannot be authorized at the moment. Try again.",
	}
)

// refusalOf returns the answer to an error of Check. Whatever it does not know
// is a failure of ours, and says nothing about the credential.
func refusalOf(err error) Refusal {
	switch {
	case errors.Is(err, ErrNoCredential):
		return noCredential
	case errors.Is(err, ErrSeveralCredentials):
		return several
	case errors.Is(err, keys.ErrUnavailable):
		return unavailable
	case errors.Is(err, keys.ErrMalformed), errors.Is(err, keys.ErrUnknown), errors.Is(err, keys.ErrMismatch):
		return invalid
	case errors.Is(err, keys.ErrExpired):
		return expired
	case errors.Is(err, keys.ErrRevoked):
		return revoked
	case errors.Is(err, ErrLimit):
		return overLimit
	case errors.Is(err, ErrScope):
		return scopeMissing
	}
	return unavailable
}

// answers hold what the refusals of one guard have in common.
type answers struct {
	write     ErrorWriter
	challenge string // scheme and realm
	metadata  string // the parameter resource_metadata with its comma, or ""
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
	a.challenge = `Bearer realm="` + realm + `"`
	if url := opts.ResourceMetadata; url != "" {
		if !validURL(url) {
			return nil, fmt.Errorf("middleware: resource metadata %q is not an absolute URL", url)
		}
		a.metadata = `, resource_metadata="` + url + `"`
	}
	return a, nil
}

// Refuse answers a request that [Guard.Check] did not let through, with what it
// returned.
func (g *Guard) Refuse(w http.ResponseWriter, r *http.Request, a Access, err error) {
	refusal := refusalOf(err)
	refusal.Err = err
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch refusal.Status {
	case http.StatusForbidden:
		refusal.Scope = a.Scope
		fallthrough
	case http.StatusUnauthorized, http.StatusBadRequest:
		h.Set("WWW-Authenticate", g.answers.challengeFor(&refusal))
	case http.StatusTooManyRequests:
		refusal.RetryAfter = a.Quota.RetryAfterSeconds()
	}
	if refusal.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(refusal.RetryAfter, 10))
	}
	if g.quota.wanted(&a) || refusal.Status == http.StatusTooManyRequests {
		g.quota.set(h, new(quotaText), &a.Quota)
	}
	g.answers.write(w, r, refusal)
}

// challengeFor returns the challenge of RFC 6750 §3. It has no error code when
// the request had no credential.
func (a *answers) challengeFor(refusal *Refusal) string {
	if refusal.Code == noCredential.Code {
		return a.challenge + a.metadata
	}
	c := a.challenge + `, error="` + refusal.Code + `", error_description="` + refusal.Description + `"`
	if scopes.Valid(refusal.Scope) { // or it could break out of the quotes
		c += `, scope="` + refusal.Scope + `"`
	}
	return c + a.metadata
}
