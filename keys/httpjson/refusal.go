package httpjson

import (
	"context"
	"net/http"
	"strconv"

	"github.com/claviger-auth/claviger/scopes"
)

// A Refusal is an answer to a request that is not carried out. Code and
// Description go to the caller: they are fixed text, free of what the caller
// sent, and within the characters of RFC 6749 §5.2 (ASCII without '"' and '\').
//
// A *Refusal is an error, so that functions which read a request can return it.
type Refusal struct {
	Status      int    // of the response, 400 to 599; [Refuse] answers others as 500
	Code        string // "error": for programs, such as "invalid_request"
	Description string // "error_description": for people

	// Scope has the scopes that the credential lacks, with the code
	// insufficient_scope: scope tokens with spaces between them. A guard writes
	// them into its challenge, so an ErrorWriter need not write them.
	Scope string

	// Grant, if not nil, has the names of scopes that cannot be granted. They
	// come from the caller. The answer has them in the lists "reserved" and
	// "unknown", which are there even when they are empty.
	Grant *scopes.GrantError

	// RetryAfter is the number of seconds in the field Retry-After. If zero, there
	// is no such field, except that a 503 has 1 second.
	RetryAfter int64

	// Err is the error behind the refusal, for logs. It may be nil, and is never
	// shown to the caller.
	Err error
}

// Error returns the code, the description and the text of Err, for logs. An answer does
// not have the text of Err.
func (f *Refusal) Error() string {
	text := "httpjson: " + f.Code + ": " + f.Description
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (f *Refusal) Unwrap() error { return f.Err }

func invalidRequest(description string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

func invalidValue(description string) *Refusal {
	return &Refusal{Status: http.StatusUnprocessableEntity, Code: "invalid_value", Description: description}
}

// Refuse answers r with a refusal, and returns the status of the answer. A nil
// write is [WriteJSON].
//
// It sets Cache-Control, and Retry-After unless that is set already. A 401 gets a
// plain challenge if it has none (RFC 9110 §15.5.2). If the client has gone, a 503
// becomes [StatusClientGone], so that a log of statuses does not report a failure of
// the service.
func Refuse(w http.ResponseWriter, r *http.Request, write ErrorWriter, refusal Refusal) (status int) {
	switch {
	case refusal.Status < 400 || refusal.Status > 599:
		refusal.Status = http.StatusInternalServerError
	case refusal.Status == http.StatusServiceUnavailable && ClientGone(r.Context()):
		refusal = Refusal{Status: StatusClientGone, Code: "client_gone", Description: "The client has gone.", Err: refusal.Err}
	case refusal.Status == http.StatusServiceUnavailable && refusal.RetryAfter < 1:
		refusal.RetryAfter = 1
	}
	h := w.Header()
	if h.Get("Cache-Control") != "no-store" {
		h.Set("Cache-Control", "no-store")
	}
	if refusal.RetryAfter > 0 && h.Get("Retry-After") == "" {
		h.Set("Retry-After", strconv.FormatInt(refusal.RetryAfter, 10))
	}
	if refusal.Status == http.StatusUnauthorized && h.Get("Www-Authenticate") == "" {
		challenge := `Bearer realm="api"`
		if refusal.Code == "invalid_token" {
			challenge += `, error="invalid_token"`
		}
		h.Set("Www-Authenticate", challenge)
	}
	if write == nil {
		WriteJSON(w, r, refusal)
		return refusal.Status
	}
	answer := &refusalWriter{w, refusal.Status}
	write(answer, r, refusal)
	answer.writeStatus()
	return refusal.Status
}

// StatusClientGone is the status of an answer to a client that has hung up. It is for
// logs. It is not a status of HTTP, but several servers log the same number.
const StatusClientGone = 499

// ClientGone reports whether the client of a request has hung up, given the context of
// the request. If the context has only reached its deadline, it returns false.
func ClientGone(ctx context.Context) bool { return ctx.Err() == context.Canceled }
