package keyshttp

import (
	"errors"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// An Error is an answer that refuses a request. Its text goes to the caller:
// keep it fixed, free of what the caller sent, and within the characters of
// RFC 6749 §5.2 (ASCII without '"' and '\').
type Error struct {
	Status      int    // 400 to 599; other values are answered as 500
	Code        string // "error": for programs, such as "invalid_request"
	Description string // "error_description": for people
}

// Error returns the code and the description.
func (e *Error) Error() string { return "keyshttp: " + e.Code + ": " + e.Description }

// WriteError answers with the error that err stands for:
//
//   - an [*Error] as it says;
//   - a [*scopes.GrantError] as 422 invalid_scope with the lists "reserved" and
//     "unknown", which are there even when they are empty;
//   - a [*keys.InvalidError] about a label or an environment as 422
//     invalid_value;
//   - [keys.ErrNotFound] as 404 not_found;
//   - [keys.ErrRevoked], [keys.ErrExpired] and [keys.ErrConflict] as 409
//     conflict;
//   - all others, those of stores among them, as 503 temporarily_unavailable
//     with "Retry-After: 1".
//
// The text of errors other than Error is never shown to the caller. The status
// is returned: an error behind a 503 belongs into the host's log. A 401 gets a
// plain WWW-Authenticate header if none is set (RFC 9110 §11.6.1).
func WriteError(w http.ResponseWriter, err error) (status int) {
	var refused *scopes.GrantError
	if errors.As(err, &refused) {
		WriteJSON(w, http.StatusUnprocessableEntity, scopeBody{
			errorBody: errorBody{"invalid_scope", "some of the scopes cannot be granted"},
			Reserved:  append([]string{}, refused.Reserved...),
			Unknown:   append([]string{}, refused.Unknown...),
		})
		return http.StatusUnprocessableEntity
	}
	e := answerTo(err)
	if e.Status < 400 || e.Status > 599 {
		e.Status = http.StatusInternalServerError
	}
	if e.Status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	if e.Status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		challenge := `Bearer realm="api"`
		if e.Code == errGone.Code {
			challenge += `, error="` + e.Code + `"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	WriteJSON(w, e.Status, errorBody{e.Code, e.Description})
	return e.Status
}

type errorBody struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

type scopeBody struct {
	errorBody
	Reserved []string `json:"reserved"`
	Unknown  []string `json:"unknown"`
}

// answerTo returns the answer to an error that is not about scopes.
func answerTo(err error) Error {
	var e *Error
	var invalid *keys.InvalidError
	switch {
	case errors.As(err, &e):
		return *e
	case errors.As(err, &invalid) && (invalid.Field == "label" || invalid.Field == "environment"):
		return *invalidValue(invalid.Field + " " + invalid.Reason)
	case errors.Is(err, keys.ErrNotFound):
		return Error{http.StatusNotFound, "not_found", "there is no such resource"}
	case errors.Is(err, keys.ErrRevoked):
		return Error{http.StatusConflict, "conflict", "the credential was revoked"}
	case errors.Is(err, keys.ErrExpired):
		return Error{http.StatusConflict, "conflict", "the credential has expired"}
	case errors.Is(err, keys.ErrConflict):
		return *errMeanwhile
	}
	return Error{http.StatusServiceUnavailable, "temporarily_unavailable", "the service cannot answer now, try again"}
}

// errMeanwhile is for requests that lost against others.
var errMeanwhile = &Error{http.StatusConflict, "conflict", "the credential was changed meanwhile, try again"}

func invalidRequest(description string) *Error {
	return &Error{http.StatusBadRequest, "invalid_request", description}
}

func invalidValue(description string) *Error {
	return &Error{http.StatusUnprocessableEntity, "invalid_value", description}
}

func insufficientScope(description string) *Error {
	return &Error{http.StatusForbidden, "insufficient_scope", description}
}
