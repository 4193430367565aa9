package keyshttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Location", "/x")
	w.Header().Set("Cache-Control", "public")
	keyshttp.WriteJSON(w, http.StatusAccepted, map[string]string{"a": "<b>"})
	want := http.Header{
		"Location": {"/x"}, "Cache-Control": {"no-store"}, "Content-Type": {"application/json"},
		"X-Content-Type-Options": {"nosniff"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if got, want := w.Body.String(), `{"a":"\u003cb\u003e"}`+"\n"; w.Code != http.StatusAccepted || got != want {
		t.Errorf("%d %q, want 202 %q", w.Code, got, want)
	}
}

func TestWriteJSONOfWhatHasNoJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	keyshttp.WriteJSON(w, http.StatusOK, func() {})
	answer{w.Code, w.Header(), w.Body.String()}.wantError(t, http.StatusInternalServerError, "server_error")
}

func TestWriteError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"own", &keyshttp.Error{Status: 418, Code: "teapot", Description: "short and stout"}, 418, "teapot"},
		{"own, wrapped", fmt.Errorf("x: %w", &keyshttp.Error{Status: 400, Code: "a", Description: "b"}), 400, "a"},
		{"own without a status", &keyshttp.Error{Code: "a", Description: "b"}, 500, "a"},
		{"own with a good status", &keyshttp.Error{Status: 200, Code: "a", Description: "b"}, 500, "a"},
		{"own with a status that is none", &keyshttp.Error{Status: 600, Code: "a", Description: "b"}, 500, "a"},
		{"label", &keys.InvalidError{Field: "label", Reason: "is too long"}, 422, "invalid_value"},
		{"environment", &keys.InvalidError{Field: "environment", Reason: "is unknown"}, 422, "invalid_value"},
		{"other field", &keys.InvalidError{Field: "organization", Reason: "s3cret"}, 503, "temporarily_unavailable"},
		{"not found", fmt.Errorf("s3cret: %w", keys.ErrNotFound), 404, "not_found"},
		{"revoked", keys.ErrRevoked, 409, "conflict"},
		{"expired", keys.ErrExpired, 409, "conflict"},
		{"conflict", errors.Join(keys.ErrConflict, errors.New("s3cret")), 409, "conflict"},
		{"corrupt", fmt.Errorf("%w: s3cret", keys.ErrCorrupt), 503, "temporarily_unavailable"},
		{"used before", keys.ErrExists, 503, "temporarily_unavailable"},
		{"unknown", errors.New("s3cret"), 503, "temporarily_unavailable"},
		{"nil", nil, 503, "temporarily_unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			keyshttp.WriteError(w, tt.err)
			a := answer{w.Code, w.Header(), w.Body.String()}
			a.wantError(t, tt.status, tt.code)
			if strings.Contains(a.Body, "s3cret") {
				t.Errorf("body %s shows the text of the error", a.Body)
			}
			var retry []string
			if tt.status == http.StatusServiceUnavailable {
				retry = []string{"1"}
			}
			a.wantHeader(t, "Retry-After", retry...)
			a.wantHeader(t, "WWW-Authenticate")
		})
	}
}

func TestWriteErrorLeavesTheErrorAlone(t *testing.T) {
	t.Parallel()
	err := &keyshttp.Error{Code: "a", Description: "b"}
	keyshttp.WriteError(httptest.NewRecorder(), err)
	if err.Status != 0 {
		t.Errorf("status was set to %d", err.Status)
	}
}

func TestWriteErrorKeepsRetryAfter(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Retry-After", "30")
	keyshttp.WriteError(w, &keyshttp.Error{Status: 503, Code: "a", Description: "b"})
	answer{w.Code, w.Header(), w.Body.String()}.wantHeader(t, "Retry-After", "30")
}

func TestWriteErrorScopes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  scopes.GrantError
		want string
	}{
		{"reserved", scopes.GrantError{Reserved: []string{"a"}}, `"reserved":["a"],"unknown":[]}`},
		{"unknown", scopes.GrantError{Unknown: []string{"b", `c"`}}, `"reserved":[],"unknown":["b","c\""]}`},
		{"none", scopes.GrantError{}, `"reserved":[],"unknown":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			keyshttp.WriteError(w, fmt.Errorf("x: %w", &tt.err))
			a := answer{w.Code, w.Header(), w.Body.String()}
			a.wantError(t, http.StatusUnprocessableEntity, "invalid_scope")
			if !strings.HasSuffix(strings.TrimSpace(a.Body), tt.want) {
				t.Errorf("body %s, want …%s", a.Body, tt.want)
			}
		})
	}
}
