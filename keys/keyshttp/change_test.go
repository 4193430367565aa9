package keyshttp_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
)

// wide is the spec of a key that admin could have made and clerk could not.
// tester is a session that may do as much as admin, in the environment test alone.
var tester = keys.Principal{Org: "acme", ID: "tester", Environment: "test", RateLimit: 1000, Scopes: admin.Scopes}

var wide = keys.Spec{Label: "old", Scopes: []string{"webhooks:manage"}, RateLimit: 500}

func TestChange(t *testing.T) {
	t.Parallel()
	both := []any{"identity:read", "webhooks:manage"}
	tests := []struct {
		name   string
		caller keys.Principal
		body   string
		want   map[string]any
	}{
		{"no body", clerk, ``, nil},
		{"empty object", clerk, `{}`, nil},
		{"label", clerk, `{"label":"new"}`, map[string]any{"label": "new"}},
		{"empty label", clerk, `{"label":""}`, map[string]any{"label": ""}},
		{"no scopes", clerk, `{"scopes":[]}`, map[string]any{"scopes": []any{"identity:read"}}},
		{"always-granted scope alone", session, `{"scopes":["identity:read"]}`, map[string]any{"scopes": []any{"identity:read"}}},
		{"other scopes", clerk, `{"scopes":["keys:manage"]}`, map[string]any{"scopes": []any{"identity:read", "keys:manage"}}},
		{"same scopes", admin, `{"scopes":["webhooks:manage"]}`, map[string]any{"scopes": both}},
		{"wider", admin, `{"scopes":["webhooks:manage","keys:manage"]}`, map[string]any{"scopes": []any{"identity:read", "keys:manage", "webhooks:manage"}}},
		{"lower limit", clerk, `{"rate_limit_per_minute":100}`, map[string]any{"rate_limit_per_minute": 100.0}},
		{"higher limit", admin, `{"rate_limit_per_minute":1000}`, map[string]any{"rate_limit_per_minute": 1000.0}},
		{"all", admin, `{"label":"n","scopes":[],"rate_limit_per_minute":1}`, map[string]any{"label": "n", "scopes": []any{"identity:read"}, "rate_limit_per_minute": 1.0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			id := h.issue(t, "acme", wide).Record.ID
			before := h.record(t, id)
			want := h.do(admin, "GET", "/v1/keys/"+id, "").object(t)
			maps.Copy(want, tt.want)
			a := h.do(tt.caller, "PATCH", "/v1/keys/"+id, tt.body)
			if a.Status != http.StatusOK {
				t.Fatalf("status %d, want 200; body %s", a.Status, a.Body)
			}
			if diff := cmp.Diff(want, a.object(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			wantSame(t, a, h.do(admin, "GET", "/v1/keys/"+id, ""))
			if after := h.record(t, id); tt.want == nil && after != before {
				t.Errorf("nothing to change, but the record was written: %v, before %v", after, before)
			}
		})
	}
}

func TestChangeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		caller keys.Principal
		body   string
		status int
		code   string
	}{
		{"owner", admin, `{"org":"evil"}`, 400, "invalid_request"},
		{"expiry as a time", admin, `{"expires_at":"2030-01-01T00:00:00.000Z"}`, 400, "invalid_request"},
		{"environment", admin, `{"environment":"test"}`, 400, "invalid_request"},
		{"revocation", admin, `{"revoked_at":null}`, 400, "invalid_request"},
		{"null", admin, `{"scopes":null}`, 400, "invalid_request"},
		{"reserved", admin, `{"scopes":["leads:read"]}`, 422, "invalid_scope"},
		{"unknown", clerk, `{"scopes":["nope","webhooks:manage"]}`, 422, "invalid_scope"},
		{"scope that the key has and the caller has not", clerk, `{"scopes":["webhooks:manage"]}`, 403, "insufficient_scope"},
		{"long label", admin, `{"label":"` + strings.Repeat("x", 257) + `"}`, 422, "invalid_value"},
		{"NUL in a label", admin, `{"label":"\u0000"}`, 422, "invalid_value"},
		{"no limit", admin, `{"rate_limit_per_minute":0}`, 422, "invalid_value"},
		{"limit above the caller's", admin, `{"rate_limit_per_minute":1001}`, 422, "invalid_value"},
		{"limit that the key has and the caller has not", clerk, `{"rate_limit_per_minute":500}`, 422, "invalid_value"},
		{"a scope, by a caller of another environment", tester, `{"scopes":["keys:manage","webhooks:manage"]}`, 422, "invalid_value"},
		{"the same, and a pause", clerk, `{"rate_limit_per_minute":500,"disabled":true}`, 422, "invalid_value"},
		{"one bad of three", admin, `{"label":"new","scopes":[],"rate_limit_per_minute":0}`, 422, "invalid_value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			id := h.issue(t, "acme", wide).Record.ID
			before := h.record(t, id)
			h.do(tt.caller, "PATCH", "/v1/keys/"+id, tt.body).wantError(t, tt.status, tt.code)
			if after := h.record(t, id); after != before {
				t.Errorf("the record was changed to %+v", after)
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := h.issue(t, "acme", wide).Record.ID
	var first time.Time
	for _, try := range []string{"first", "again"} {
		a := h.do(clerk, "DELETE", "/v1/keys/"+id, "")
		want := answer{http.StatusNoContent, http.Header{"Cache-Control": {"no-store"}}, ""}
		if diff := cmp.Diff(want, a); diff != "" {
			t.Errorf("%s (-want +got):\n%s", try, diff)
		}
		rec := h.record(t, id)
		if !rec.Revoked() || !first.IsZero() && rec.RevokedAt != first {
			t.Errorf("%s: revoked at %v, first %v", try, rec.RevokedAt, first)
		}
		first = rec.RevokedAt
	}
	h.do(admin, "PATCH", "/v1/keys/"+id, `{"label":"x"}`).wantError(t, http.StatusConflict, "conflict")
	h.do(admin, "PATCH", "/v1/keys/"+id, `{}`).wantError(t, http.StatusConflict, "conflict")
	h.do(admin, "POST", "/v1/keys/"+id+"/rotate", "").wantError(t, http.StatusConflict, "conflict")
	got := h.do(admin, "GET", "/v1/keys/"+id, "").object(t)["revoked_at"]
	if want := first.Format("2006-01-02T15:04:05.000Z"); got != want {
		t.Errorf("revoked_at %v, want %s", got, want)
	}
	if h.count() != 1 {
		t.Error("a revoked key was rotated")
	}
}

func TestRevokeSelf(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rec := h.issue(t, "acme", wide).Record
	self := keys.Principal{Org: rec.Org, ID: rec.ID, Kind: rec.Kind, Scopes: rec.Scopes, RateLimit: rec.RateLimit}
	if a := h.do(self, "DELETE", "/v1/keys/"+rec.ID, ""); a.Status != http.StatusNoContent {
		t.Errorf("status %d, want 204", a.Status)
	}
	if after := h.record(t, rec.ID); !after.Revoked() {
		t.Error("not revoked")
	}
}
