package httpjson_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

func TestRefusalOf(t *testing.T) {
	t.Parallel()
	own := &httpjson.Refusal{Status: 418, Code: "teapot", Description: "d", Scope: "s", RetryAfter: 3, Grant: &scopes.GrantError{Unknown: []string{"x"}}, Err: errors.New("behind")}
	grant := &scopes.GrantError{Reserved: []string{"leads:read"}, Unknown: []string{"nope"}}
	invalid := func(field string) error { return &keys.InvalidError{Field: field, Reason: "is wrong"} }
	beyond := func(field string) error { return &keys.BeyondError{Field: field} }
	const (
		value, scope, conflict = "422 invalid_value: ", "403 insufficient_scope: the caller does not hold all of the scopes", "409 conflict: "
		down                   = "503 temporarily_unavailable: the service cannot answer now, try again"
	)
	tests := []struct {
		name string
		err  error
		want string // status, code and description
	}{
		{"a refusal", own, "418 teapot: d"},
		{"scopes that cannot be granted", grant, "422 invalid_scope: some of the scopes cannot be granted"},
		{"beyond: scopes", beyond(keys.FieldScopes), scope},
		{"beyond: a limit", beyond(keys.FieldRateLimit), value + "rate_limit_per_minute is not from 1 to the limit of the caller"},
		{"beyond: an environment", beyond(keys.FieldEnvironment), value + "environment is not one that the caller may use"},
		{"beyond: networks", beyond(keys.FieldNetworks), value + "networks are not within those of the caller"},
		{"beyond: a lifetime", beyond(keys.FieldLifetime), value + "expires_in is beyond what the caller may give"},
		{"beyond: something else", beyond("colour"), scope},
		{"beyond: nothing in particular", keys.ErrBeyond, scope},
		{"invalid: label", invalid(keys.FieldLabel), value + "label is wrong"},
		{"invalid: environment", invalid(keys.FieldEnvironment), value + "environment is wrong"},
		{"invalid: networks", invalid(keys.FieldNetworks), value + "networks is wrong"},
		{"invalid: metadata", invalid(keys.FieldMetadata), value + "metadata is wrong"},
		{"invalid: scopes", invalid(keys.FieldScopes), value + "scopes is wrong"},
		{"invalid: what no body has", invalid(keys.FieldOrg), down},
		{"invalid: something else", invalid("colour"), down},
		{"invalid: nothing in particular", keys.ErrInvalid, down},
		{"caller ended", keys.ErrCallerEnded, "401 invalid_token: the credential has ended"},
		{"not found", keys.ErrNotFound, "404 not_found: there is no such resource"},
		{"revoked", keys.ErrRevoked, conflict + "the credential was revoked"},
		{"expired", keys.ErrExpired, conflict + "the credential has expired"},
		{"paused", keys.ErrPaused, conflict + "the credential is paused"},
		{"replaced", keys.ErrReplaced, conflict + "the key has a successor, which has an end of its own"},
		{"conflict", keys.ErrConflict, conflict + "the credential was changed meanwhile, try again"},
		{"limit reached", keys.ErrLimitReached, "409 limit_reached: the organization has as many credentials of this kind as it may have"},
		{"exists", keys.ErrExists, down},
		{"corrupt", keys.ErrCorrupt, down},
		{"unavailable", keys.ErrUnavailable, down},
		{"unsupported", errors.ErrUnsupported, down},
		{"a deadline", context.DeadlineExceeded, down},
		{"a client that has gone", context.Canceled, down}, // Refuse makes 499 of it
		{"any other", errors.New("s3cret"), down},
		{"none", nil, down},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for depth, err := range []error{tt.err, fmt.Errorf("s3cret: %w", tt.err), errors.Join(errors.New("s3cret"), tt.err)} {
				if tt.err == nil && depth > 0 {
					break
				}
				got := httpjson.RefusalOf(err)
				if text := fmt.Sprintf("%d %s: %s", got.Status, got.Code, got.Description); text != tt.want {
					t.Errorf("%s, want %s", text, tt.want)
				}
				want := httpjson.Refusal{Status: got.Status, Code: got.Code, Description: got.Description, Err: err}
				if err == own {
					want.Err = own.Err // and not own, whose text would then be there twice
				}
				switch tt.err {
				case own:
					want.Scope, want.RetryAfter, want.Grant = own.Scope, own.RetryAfter, own.Grant
				case grant:
					want.Grant = grant
				}
				if got != want {
					t.Errorf("%+v, want %+v", got, want)
				}
				if strings.Contains(got.Code+got.Description, "s3cret") || strings.ContainsAny(got.Description, `"\`) {
					t.Errorf("description %s", got.Description)
				}
			}
		})
	}
	if own.Err.Error() != "behind" {
		t.Error("a refusal was changed")
	}
}

// TestRefusalOfSeveral joins every two errors: the one that comes first in the
// documentation decides.
func TestRefusalOfSeveral(t *testing.T) {
	t.Parallel()
	inOrder := []error{
		&httpjson.Refusal{Status: 418, Code: "teapot"},
		&scopes.GrantError{Unknown: []string{"x"}},
		&keys.BeyondError{Field: keys.FieldNetworks},
		&keys.InvalidError{Field: keys.FieldLabel, Reason: "is wrong"},
		keys.ErrCallerEnded,
		keys.ErrNotFound,
		keys.ErrRevoked,
		keys.ErrLimitReached,
		errors.New("down"),
	}
	for i, first := range inOrder {
		want := httpjson.RefusalOf(first)
		for _, later := range inOrder[i+1:] {
			for _, err := range []error{errors.Join(first, later), errors.Join(later, first)} {
				got := httpjson.RefusalOf(err)
				got.Err = want.Err
				if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return a == b })); diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			}
		}
	}
}
