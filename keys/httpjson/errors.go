package httpjson

import (
	"errors"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// names are the fields that a refusal may name, with their names in bodies.
var names = map[string]string{
	keys.FieldLabel:       "label",
	keys.FieldEnvironment: "environment",
	keys.FieldNetworks:    "networks",
	keys.FieldMetadata:    "metadata",
	keys.FieldScopes:      "scopes",
}

// beyond are the descriptions of refusals of what needs more than the caller has.
var beyond = map[string]string{
	keys.FieldRateLimit:   "rate_limit_per_minute is not from 1 to the limit of the caller",
	keys.FieldEnvironment: "environment is not one that the caller may use",
	keys.FieldNetworks:    "networks are not within those of the caller",
	keys.FieldLifetime:    "expires_in is beyond what the caller may give",
}

// RefusalOf returns the answer to an error of package keys:
//
//   - a [*Refusal] as it is;
//   - a [*scopes.GrantError] as 422 invalid_scope with its lists;
//   - a [*keys.BeyondError] about scopes as 403 insufficient_scope, and about
//     another value as 422 invalid_value;
//   - a [*keys.InvalidError] about a value that a body can have as 422
//     invalid_value;
//   - [keys.ErrCallerEnded] as 401 invalid_token;
//   - [keys.ErrNotFound] as 404 not_found;
//   - [keys.ErrRevoked], [keys.ErrExpired], [keys.ErrPaused], [keys.ErrReplaced]
//     and [keys.ErrConflict] as 409 conflict, and [keys.ErrLimitReached] as 409
//     limit_reached;
//   - all others, those of stores among them, as 503 temporarily_unavailable.
//
// If an error wraps several of these, the first in this list counts. The error is in
// the field Err of the result, and its text is in no other field. A [*Refusal] that
// nothing wraps keeps its own Err.
func RefusalOf(err error) Refusal {
	if ready, ok := err.(*Refusal); ok {
		return *ready
	}
	refusal := refusalOf(err)
	refusal.Err = err
	return refusal
}

func refusalOf(err error) Refusal {
	var ready *Refusal
	var grant *scopes.GrantError
	var more *keys.BeyondError
	var invalid *keys.InvalidError
	switch {
	case errors.As(err, &ready):
		return *ready
	case errors.As(err, &grant):
		return Refusal{
			Status: http.StatusUnprocessableEntity, Code: "invalid_scope",
			Description: "some of the scopes cannot be granted", Grant: grant,
		}
	case errors.As(err, &more) && beyond[more.Field] != "":
		return *invalidValue(beyond[more.Field])
	case errors.Is(err, keys.ErrBeyond):
		return Refusal{
			Status: http.StatusForbidden, Code: "insufficient_scope",
			Description: "the caller does not hold all of the scopes",
		}
	case errors.As(err, &invalid) && names[invalid.Field] != "":
		return *invalidValue(names[invalid.Field] + " " + invalid.Reason)
	}
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return a.refusal
		}
	}
	return Refusal{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "the service cannot answer now, try again",
	}
}

// answers are the refusals for errors without details.
var answers = []struct {
	err     error
	refusal Refusal
}{
	{keys.ErrCallerEnded, Refusal{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "the credential has ended"}},
	{keys.ErrNotFound, Refusal{Status: http.StatusNotFound, Code: "not_found", Description: "there is no such resource"}},
	{keys.ErrRevoked, conflict("the credential was revoked")},
	{keys.ErrExpired, conflict("the credential has expired")},
	{keys.ErrPaused, conflict("the credential is paused")},
	{keys.ErrReplaced, conflict("the key has a successor, which has an end of its own")},
	{keys.ErrConflict, conflict("the credential was changed meanwhile, try again")},
	{keys.ErrLimitReached, Refusal{
		Status: http.StatusConflict, Code: "limit_reached",
		Description: "the organization has as many credentials of this kind as it may have",
	}},
}

func conflict(description string) Refusal {
	return Refusal{Status: http.StatusConflict, Code: "conflict", Description: description}
}
