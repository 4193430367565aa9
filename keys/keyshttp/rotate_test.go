package keyshttp_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

func TestRotate(t *testing.T) {
	t.Parallel()
	const never = time.Duration(-1)
	tests := []struct {
		name, body string
		lifetime   time.Duration
		end        time.Duration // of the old key, from now
	}{
		{"no body", ``, 0, never},
		{"empty object", `{}`, 0, never},
		{"no overlap, expiring key", ``, 2 * time.Hour, 2 * time.Hour},
		{"overlap", `{"overlap":3600}`, 0, time.Hour},
		{"at once", `{"overlap":0}`, 0, 0},
		{"overlap within the life", `{"overlap":3600}`, 2 * time.Hour, time.Hour},
		{"overlap beyond the life", `{"overlap":7201}`, 2 * time.Hour, 2 * time.Hour},
		{"longest overlap", `{"overlap":315360000}`, 0, 87600 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				spec := wide
				spec.Environment, spec.Lifetime = "test", tt.lifetime
				old := h.issue(t, "acme", spec)
				want := h.do(admin, "GET", "/v1/keys/"+old.Record.ID, "").object(t)

				got := h.wantIssued(t, h.do(admin, "POST", "/v1/keys/"+old.Record.ID+"/rotate", tt.body))
				if got["key_id"] == old.Record.ID || got["key"] == old.Text.Reveal() {
					t.Error("the key was not replaced")
				}
				if !strings.HasPrefix(got["key_id"].(string), "vck_test_") {
					t.Errorf("ID %v, want one of the same environment", got["key_id"])
				}
				want["key"], want["key_id"] = got["key"], got["key_id"]
				want["created_by"], want["replaces"] = "host:"+admin.ID, old.Record.ID
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				rec := h.record(t, old.Record.ID)
				if rec.ReplacedBy != got["key_id"] {
					t.Errorf("the old key names %q as its successor", rec.ReplacedBy)
				}
				if tt.end == never {
					if !rec.ExpiresAt.IsZero() || rec.Revoked() {
						t.Errorf("the old key ends at %v", rec.ExpiresAt)
					}
				} else if end := time.Now().Add(tt.end); !rec.ExpiresAt.Equal(end) {
					t.Errorf("the old key ends at %v, want %v", rec.ExpiresAt, end)
				}
			})
		})
	}
}

func TestRotateRefuses(t *testing.T) {
	t.Parallel()
	slow := admin
	slow.RateLimit = 499
	tester := admin
	tester.Environment = "test"
	confined := admin
	confined.Networks = elsewhere
	tests := []struct {
		name   string
		caller keys.Principal
		body   string
		status int
		code   string
	}{
		{"label", admin, `{"label":"x"}`, 400, "invalid_request"},
		{"no life", admin, `{"expires_in":0}`, 422, "invalid_value"},
		{"life above ten years", admin, `{"expires_in":315360001}`, 422, "invalid_value"},
		{"life as text", admin, `{"expires_in":"60"}`, 400, "invalid_request"},
		{"scopes", admin, `{"scopes":[]}`, 400, "invalid_request"},
		{"overlap as text", admin, `{"overlap":"60"}`, 400, "invalid_request"},
		{"null", admin, `{"overlap":null}`, 400, "invalid_request"},
		{"negative", admin, `{"overlap":-1}`, 422, "invalid_value"},
		{"above ten years", admin, `{"overlap":315360001}`, 422, "invalid_value"},
		{"overflows a duration", admin, `{"overlap":9223372036854775807}`, 422, "invalid_value"},
		{"fraction", admin, `{"overlap":0.5}`, 422, "invalid_value"},
		{"caller lacks a scope", clerk, ``, 403, "insufficient_scope"},
		{"caller has no scopes", session, ``, 403, "insufficient_scope"},
		{"limit above the caller's", slow, ``, 403, "insufficient_scope"},
		{"networks beyond the caller's", confined, ``, 403, "insufficient_scope"},
		{"another environment than the caller's", tester, ``, 403, "insufficient_scope"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			id := h.issue(t, "acme", wide).Record.ID
			before := h.record(t, id)
			h.do(tt.caller, "POST", "/v1/keys/"+id+"/rotate", tt.body).wantError(t, tt.status, tt.code)
			if after := h.record(t, id); after != before || h.count() != 1 {
				t.Errorf("a key was made or changed: %+v", after)
			}
		})
	}
}

// TestRotateLifetimes rotates keys a quarter of an hour after they were made.
func TestRotateLifetimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		old, want  time.Duration // of the old key from when it was made, and of the new one from now; 0 for none
	}{
		{"as long as the old one had", `{}`, time.Hour, time.Hour},
		{"without an end", `{}`, 0, 0},
		{"a shorter life", `{"expires_in":60}`, time.Hour, time.Minute},
		{"a longer life", `{"expires_in":86400}`, time.Hour, 24 * time.Hour},
		{"an end where there was none", `{"expires_in":60}`, 0, time.Minute},
		{"the longest life", `{"expires_in":315360000}`, time.Hour, 87600 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				old := h.issue(t, "acme", keys.Spec{Lifetime: tt.old}).Record
				time.Sleep(15 * time.Minute) // on the test's own clock
				want := any(nil)
				if tt.want > 0 {
					want = time.Now().UTC().Add(tt.want).Format("2006-01-02T15:04:05.000Z")
				}
				if o := h.wantIssued(t, h.do(admin, "POST", "/v1/keys/"+old.ID+"/rotate", tt.body)); o["expires_at"] != want {
					t.Errorf("until %v, want %v", o["expires_at"], want)
				}
				if rec := h.record(t, old.ID); !rec.ExpiresAt.Equal(old.ExpiresAt) {
					t.Errorf("the old key ends at %v, was %v", rec.ExpiresAt, old.ExpiresAt)
				}
			})
		})
	}
}

// TestRotateKeepsAll looks for all that a key has in its successor.
func TestRotateKeepsAll(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	old := h.made(t, admin, `{"label":"CI","scopes":["webhooks:manage"],"rate_limit_per_minute":7,"environment":"test","networks":["10.0.0.0/8"],"metadata":{"a":1}}`)
	id := old["key_id"].(string)
	second := admin
	second.ID = "second"
	got := h.wantIssued(t, h.do(second, "POST", "/v1/keys/"+id+"/rotate", `{"overlap":60}`))
	want := maps.Clone(old)
	for _, name := range []string{"key", "key_id", "created_at"} {
		want[name] = got[name]
	}
	want["replaces"], want["created_by"] = id, "host:second"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if o := h.do(admin, "GET", "/v1/keys/"+id, "").object(t); o["replaced_by"] != got["key_id"] || o["created_by"] != "host:"+admin.ID || o["expires_at"] == nil {
		t.Errorf("the old key is %v", o)
	}
}

func TestRotateAlwaysGrantedScope(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := h.issue(t, "acme", keys.Spec{}).Record.ID
	h.wantIssued(t, h.do(session, "POST", "/v1/keys/"+id+"/rotate", ""))
}

func TestRotateExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		id := h.issue(t, "acme", keys.Spec{Lifetime: time.Hour}).Record.ID
		time.Sleep(time.Hour) // on the test's own clock
		h.do(admin, "POST", "/v1/keys/"+id+"/rotate", "").wantError(t, http.StatusConflict, "conflict")
		if h.count() != 1 {
			t.Error("a key was made")
		}
	})
}

// TestRotateOfAWidenedKey has another writer widen the key after the caller's
// right to rotate it was checked.
func TestRotateOfAWidenedKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		widen func(*keys.Record)
	}{
		{"scope", func(r *keys.Record) { r.Scopes = scopes.MustParse("identity:read webhooks:manage") }},
		{"limit", func(r *keys.Record) { r.RateLimit = 101 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			id := h.issue(t, "acme", keys.Spec{RateLimit: 100}).Record.ID
			widened := false
			h.store.before = func(method string) error {
				if method == "Insert" && !widened {
					widened = true
					h.store.edit(id, tt.widen)
				}
				return nil
			}
			h.do(clerk, "POST", "/v1/keys/"+id+"/rotate", "").wantError(t, http.StatusForbidden, "insufficient_scope")
			if !widened || h.count() != 2 {
				t.Fatalf("widened %t, %d keys", widened, h.count())
			}
			for successor, rec := range h.store.records {
				if successor != id && !rec.Revoked() {
					t.Errorf("%s is good, with %v at %d", successor, rec.Scopes, rec.RateLimit)
				}
			}
		})
	}
}
