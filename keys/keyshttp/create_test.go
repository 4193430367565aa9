package keyshttp_test

import (
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/google/go-cmp/cmp"
)

// wantIssued checks an answer with a new key: its form, that the key works and
// that the record is as the answer says. It returns the body.
func (h *host) wantIssued(t *testing.T, a answer) map[string]any {
	t.Helper()
	if a.Status != http.StatusCreated {
		t.Fatalf("status %d, want 201; body %s", a.Status, a.Body)
	}
	o := a.object(t)
	for _, name := range []string{
		"key", "key_id", "org", "label", "scopes", "rate_limit_per_minute", "created_at", "expires_at", "environment", "created_by",
	} {
		if _, ok := o[name]; !ok {
			t.Errorf("no member %s", name)
		}
	}
	a.wantHeader(t, "Cache-Control", "no-store")
	a.wantHeader(t, "Pragma", "no-cache")
	a.wantHeader(t, "Content-Type", "application/json")
	a.wantHeader(t, "Location", "/v1/keys/"+o["key_id"].(string))

	p, err := h.manager.Verifier().Verify(t.Context(), o["key"].(string))
	if err != nil {
		t.Fatalf("the new key is not good: %v", err)
	}
	if p.ID != o["key_id"] || p.Org != o["org"] || p.RateLimit != int(o["rate_limit_per_minute"].(float64)) ||
		p.Scopes.String() != strings.Join(strs(o["scopes"]), " ") {
		t.Errorf("the key is %+v, the answer says %v", p, o)
	}
	return o
}

func strs(list any) []string {
	var s []string
	for _, v := range list.([]any) {
		s = append(s, v.(string))
	}
	return s
}

func TestCreate(t *testing.T) {
	t.Parallel()
	always, both := []any{"identity:read"}, []any{"identity:read", "webhooks:manage"}
	tests := []struct {
		name    string
		caller  keys.Principal
		body    string
		want    map[string]any // members that are not as by default
		prefix  string
		expires time.Duration
	}{
		{"no body", admin, "", nil, "vck_live_", 0},
		{"empty object", admin, "{}", nil, "vck_live_", 0},
		{"label", admin, `{"label":"CI ✓"}`, map[string]any{"label": "CI ✓"}, "vck_live_", 0},
		{"empty label", admin, `{"label":""}`, nil, "vck_live_", 0},
		{"longest label", admin, `{"label":"` + strings.Repeat("é", 256) + `"}`, map[string]any{"label": strings.Repeat("é", 256)}, "vck_live_", 0},
		{"replacement character in a label", admin, `{"label":"\ufffd"}`, map[string]any{"label": "\ufffd"}, "vck_live_", 0},
		{"scopes", admin, `{"scopes":["webhooks:manage"]}`, map[string]any{"scopes": both}, "vck_live_", 0},
		{"scopes twice", admin, `{"scopes":["webhooks:manage","identity:read","webhooks:manage"]}`, map[string]any{"scopes": both}, "vck_live_", 0},
		{"no scopes", admin, `{"scopes":[]}`, nil, "vck_live_", 0},
		{"always-granted scope that the caller does not hold", session, `{"scopes":["identity:read"]}`, map[string]any{"scopes": always}, "vck_live_", 0},
		{"test", admin, `{"environment":"test"}`, nil, "vck_test_", 0},
		{"live", admin, `{"environment":"live"}`, nil, "vck_live_", 0},
		{"shortest life", admin, `{"expires_in":1}`, nil, "vck_live_", time.Second},
		{"longest life", admin, `{"expires_in":315360000}`, nil, "vck_live_", 87600 * time.Hour},
		{"lowest limit", admin, `{"rate_limit_per_minute":1}`, map[string]any{"rate_limit_per_minute": 1.0}, "vck_live_", 0},
		{"the caller's limit", admin, `{"rate_limit_per_minute":1000}`, map[string]any{"rate_limit_per_minute": 1000.0}, "vck_live_", 0},
		{"the caller's limit is below the default", clerk, "", map[string]any{"rate_limit_per_minute": 100.0}, "vck_live_", 0},
		{
			"everything", admin, `{"rate_limit_per_minute":7,"expires_in":60,"environment":"test","scopes":["webhooks:manage"],"label":"x"}`,
			map[string]any{"label": "x", "scopes": both, "rate_limit_per_minute": 7.0},
			"vck_test_", time.Minute,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				time.Sleep(1500 * time.Microsecond) // the test's own clock is then not at a whole millisecond
				got := h.wantIssued(t, h.do(tt.caller, "POST", "/v1/keys", tt.body))
				want := map[string]any{
					"key": got["key"], "key_id": got["key_id"], "org": "acme", "label": "", "scopes": always,
					"rate_limit_per_minute": 600.0, "created_at": "2000-01-01T00:00:00.001Z", "expires_at": nil,
					"environment": strings.Split(tt.prefix, "_")[1], "created_by": "host:" + tt.caller.ID,
				}
				maps.Copy(want, tt.want)
				if tt.expires > 0 {
					end := time.Date(2000, 1, 1, 0, 0, 0, 1e6, time.UTC).Add(tt.expires)
					want["expires_at"] = end.Format("2006-01-02T15:04:05") + ".001Z"
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				id := got["key_id"].(string)
				if key := got["key"].(string); !strings.HasPrefix(id, tt.prefix) || !strings.HasPrefix(key, id+".") {
					t.Errorf("ID %q, want one of %s…, and the key to begin with it", id, tt.prefix)
				}
				if rec := h.record(t, id); rec.Org != "acme" || rec.Kind != keys.KindKey {
					t.Errorf("record %+v", rec)
				}
			})
		})
	}
}

func TestCreateOwner(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	got := h.wantIssued(t, h.do(stranger, "POST", "/v1/keys", ""))
	if rec := h.record(t, got["key_id"].(string)); got["org"] != "evil" || rec.Org != "evil" {
		t.Errorf("the key belongs to %v, in the store to %s; want the caller's organization", got["org"], rec.Org)
	}
}

// TestLargestLimit makes a key with the largest limit that there is.
func TestLargestLimit(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rich := admin
	rich.RateLimit = keys.MaxRateLimit
	h.wantIssued(t, h.do(rich, "POST", "/v1/keys", `{"rate_limit_per_minute":1000000000}`))
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	noLimit := admin
	noLimit.RateLimit = 0
	rich := admin
	rich.RateLimit = math.MaxInt
	tests := []struct {
		name   string
		caller keys.Principal
		body   string
		status int
		code   string
	}{
		{"owner org", admin, `{"org":"evil"}`, 400, "invalid_request"},
		{"owner", admin, `{"owner":"evil"}`, 400, "invalid_request"},
		{"organization", admin, `{"organization":"evil"}`, 400, "invalid_request"},
		{"id", admin, `{"id":"vck_live_x"}`, 400, "invalid_request"},
		{"key_id", admin, `{"key_id":"vck_live_x"}`, 400, "invalid_request"},
		{"key", admin, `{"key":"vck_live_x.y"}`, 400, "invalid_request"},
		{"secret", admin, `{"secret":"x"}`, 400, "invalid_request"},
		{"created_at", admin, `{"created_at":"2026-01-01T00:00:00.000Z"}`, 400, "invalid_request"},
		{"other case", admin, `{"Label":"x"}`, 400, "invalid_request"},
		{"member twice", admin, `{"label":"x","label":"y"}`, 400, "invalid_request"},
		{"null", admin, `{"label":null}`, 400, "invalid_request"},
		{"no object", admin, `[]`, 400, "invalid_request"},
		{"broken", admin, `{"label":`, 400, "invalid_request"},
		{"scopes as text", admin, `{"scopes":"webhooks:manage"}`, 400, "invalid_request"},
		{"expires_in as text", admin, `{"expires_in":"60"}`, 400, "invalid_request"},
		{"limit as text", admin, `{"rate_limit_per_minute":"60"}`, 400, "invalid_request"},
		{"too large", admin, `{"label":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "payload_too_large"},
		{"reserved scope", admin, `{"scopes":["leads:read"]}`, 422, "invalid_scope"},
		{"unknown scope", admin, `{"scopes":["nope"]}`, 422, "invalid_scope"},
		{"unknown comes before insufficient", clerk, `{"scopes":["webhooks:manage","nope"]}`, 422, "invalid_scope"},
		{"scope beyond the caller", clerk, `{"scopes":["webhooks:manage"]}`, 403, "insufficient_scope"},
		{"one of two beyond the caller", clerk, `{"scopes":["keys:manage","webhooks:manage"]}`, 403, "insufficient_scope"},
		{"caller without scopes", session, `{"scopes":["keys:manage"]}`, 403, "insufficient_scope"},
		{"label of 257 characters", admin, `{"label":"` + strings.Repeat("é", 257) + `"}`, 422, "invalid_value"},
		{"NUL in a label", admin, `{"label":"a\u0000"}`, 422, "invalid_value"},
		{"half a surrogate pair in a label", admin, `{"label":"\ud800"}`, 422, "invalid_value"},
		{"half a surrogate pair in a scope", admin, `{"scopes":["\ud800"]}`, 422, "invalid_value"},
		{"unknown environment", admin, `{"environment":"prod"}`, 422, "invalid_value"},
		{"environment in capitals", admin, `{"environment":"Live"}`, 422, "invalid_value"},
		{"empty environment", admin, `{"environment":""}`, 422, "invalid_value"},
		{"no life", admin, `{"expires_in":0}`, 422, "invalid_value"},
		{"negative life", admin, `{"expires_in":-1}`, 422, "invalid_value"},
		{"life of ten years and a second", admin, `{"expires_in":315360001}`, 422, "invalid_value"},
		{"life that overflows a duration", admin, `{"expires_in":9223372036854775807}`, 422, "invalid_value"},
		{"life beyond int64", admin, `{"expires_in":1e30}`, 422, "invalid_value"},
		{"fraction of a second", admin, `{"expires_in":1.5}`, 422, "invalid_value"},
		{"no limit", admin, `{"rate_limit_per_minute":0}`, 422, "invalid_value"},
		{"negative limit", admin, `{"rate_limit_per_minute":-1}`, 422, "invalid_value"},
		{"limit above the caller's", admin, `{"rate_limit_per_minute":1001}`, 422, "invalid_value"},
		{"default limit above the caller's, asked for", clerk, `{"rate_limit_per_minute":600}`, 422, "invalid_value"},
		{"limit that overflows 32 bits", admin, `{"rate_limit_per_minute":4294967297}`, 422, "invalid_value"},
		{"limit that no record can hold", rich, `{"rate_limit_per_minute":1000000001}`, 422, "invalid_value"},
		{"caller without a limit", noLimit, ``, 403, "insufficient_scope"},
		{"caller without a limit asks for one", noLimit, `{"rate_limit_per_minute":1}`, 422, "invalid_value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			a := h.do(tt.caller, "POST", "/v1/keys", tt.body)
			a.wantError(t, tt.status, tt.code)
			a.wantHeader(t, "WWW-Authenticate")
			if h.count() != 0 || h.log.Len() > 0 {
				t.Errorf("a key was made, or the caller's mistake was logged: %s", h.log)
			}
		})
	}
}

// TestDescriptions checks that the texts for people name the member, and not its
// value.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tests := []struct{ name, body, value string }{
		{"label", `{"label":"` + strings.Repeat("zq", 200) + `"}`, "zq"},
		{"environment", `{"environment":"zq"}`, "zq"},
		{"expires_in is not from 1 to 315360000 seconds", `{"expires_in":-77}`, "77"},
		{"overlap is not from 0 to 315360000 seconds", `{"overlap":-77}`, "77"},
		{"networks", `{"networks":["zq"]}`, "zq"},
		{"metadata", `{"metadata":{"zq":"` + strings.Repeat("z", 5000) + `"}}`, "z"},
		{"rate_limit_per_minute", `{"rate_limit_per_minute":7777}`, "77"},
		{"scopes", `{"scopes":{"zq":1}}`, "zq"},
		{"the caller has no rate limit to hand on", "", "zq"},
	}
	noLimit := admin
	noLimit.RateLimit = 0
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := "/v1/keys"
			if strings.HasPrefix(tt.name, "overlap") {
				path += "/vck_live_x/rotate"
			}
			caller := admin
			if tt.body == "" {
				caller = noLimit
			}
			got := h.do(caller, "POST", path, tt.body).object(t)["error_description"].(string)
			if !strings.HasPrefix(got+" ", tt.name+" ") || strings.Contains(got, tt.value) {
				t.Errorf("description %q, want one of %s without the value", got, tt.name)
			}
		})
	}
}

func TestCreateListsRefusedScopes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tests := []struct {
		name, scopes      string
		reserved, unknown []any
	}{
		{"reserved", `["leads:write","leads:read","leads:write"]`, []any{"leads:read", "leads:write"}, []any{}},
		{"unknown", `["leads","identity:read"]`, []any{}, []any{"leads"}},
		{"malformed", `["","a b","<i>","Identity:read","é"]`, []any{}, []any{"", "<i>", "Identity:read", "a b", "é"}},
		{"both", `["leads:read","x","webhooks:manage"]`, []any{"leads:read"}, []any{"x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range []keys.Principal{admin, session} {
				a := h.do(p, "POST", "/v1/keys", `{"scopes":`+tt.scopes+`}`)
				a.wantError(t, http.StatusUnprocessableEntity, "invalid_scope")
				o := a.object(t)
				if diff := cmp.Diff([]any{tt.reserved, tt.unknown}, []any{o["reserved"], o["unknown"]}); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestCreateMediaTypes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r := httptest.NewRequest("POST", "/v1/keys", strings.NewReader("{}"))
	r = r.WithContext(keys.NewContext(r.Context(), admin))
	h.send(r).wantError(t, http.StatusUnsupportedMediaType, "unsupported_media_type")
}

func TestMaxBody(t *testing.T) {
	t.Parallel()
	h := newHostWith(t, keys.Options{}, keyshttp.Options{MaxBody: 20})
	issued := h.wantIssued(t, h.do(admin, "POST", "/v1/keys", `{"label":"12345678"}`))
	id := issued["key_id"].(string)
	long := `{          "label":""}`
	for _, route := range []struct{ method, path string }{
		{"POST", "/v1/keys"}, {"PATCH", "/v1/keys/" + id}, {"POST", "/v1/keys/" + id + "/rotate"},
	} {
		h.do(admin, route.method, route.path, long).wantError(t, http.StatusRequestEntityTooLarge, "payload_too_large")
	}
}

// TestLocation checks that locations are paths of the host, wherever the handler is.
func TestLocation(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, tt := range []struct{ name, path, want string }{
		{"collection", "/v1/keys", "/v1/keys/"},
		{"slash at the end", "/v1/keys/", "/v1/keys/"},
		{"two slashes at the start", "//evil.example/keys", "/evil.example/keys/"},
		{"escapes", "/a%20b%0d%0aX:/keys", "/a%20b%0d%0aX:/keys/"},
		{"root", "/", "/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "http://host"+tt.path, nil)
			w := httptest.NewRecorder()
			h.routes["POST /v1/keys"].ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), admin)))
			a := answer{w.Code, w.Header(), w.Body.String()}
			id := a.object(t)["key_id"].(string)
			a.wantHeader(t, "Location", tt.want+id)

			r = httptest.NewRequest("POST", "http://host"+strings.TrimSuffix(tt.path, "/")+"/"+id+"/rotate", nil)
			r.SetPathValue("id", id)
			w = httptest.NewRecorder()
			h.routes["POST /v1/keys/{id}/rotate"].ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), admin)))
			a = answer{w.Code, w.Header(), w.Body.String()}
			a.wantHeader(t, "Location", tt.want+a.object(t)["key_id"].(string))
		})
	}
}
