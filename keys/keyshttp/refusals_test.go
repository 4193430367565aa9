package keyshttp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/google/go-cmp/cmp"
)

// refused are requests that are refused, each in another way.
var refused = []struct {
	name           string
	caller         keys.Principal
	method, target string
	body           string
	status         int
	code           string
}{
	{"a body", admin, "POST", "/v1/keys", `{"nope":1}`, 400, "invalid_request"},
	{"a query", admin, "GET", "/v1/keys?nope=1", ``, 400, "invalid_request"},
	{"no principal", keys.Principal{}, "GET", "/v1/keys", ``, 401, "unauthorized"},
	{"an ended caller", keys.Principal{Org: "acme", ID: "vck_live_x", Kind: keys.KindKey}, "POST", "/v1/keys", ``, 401, "invalid_token"},
	{"scopes", clerk, "POST", "/v1/keys", `{"scopes":["webhooks:manage"]}`, 403, "insufficient_scope"},
	{"what a key has", clerk, "POST", "/v1/keys/vck_live_wide/rotate", ``, 403, "insufficient_scope"},
	{"an ID", admin, "GET", "/v1/keys/x", ``, 404, "not_found"},
	{"a path", admin, "GET", "/x", ``, 404, "not_found"},
	{"a method", admin, "PUT", "/v1/keys", ``, 405, "method_not_allowed"},
	{"a revoked key", admin, "PATCH", "/v1/keys/vck_live_revoked", `{}`, 409, "conflict"},
	{"a long body", admin, "POST", "/v1/keys", `{"label":"` + strings.Repeat("x", 1000) + `"}`, 413, "payload_too_large"},
	{"a value", admin, "POST", "/v1/keys", `{"expires_in":0}`, 422, "invalid_value"},
	{"scopes that nobody has", admin, "POST", "/v1/keys", `{"scopes":["leads:read","nope"]}`, 422, "invalid_scope"},
	{"a store that fails", admin, "DELETE", "/v1/keys/vck_live_fails", ``, 503, "temporarily_unavailable"},
}

// refuse sends the requests above, and hands over their answers.
func refuse(t *testing.T, write httpjson.ErrorWriter, check func(t *testing.T, name string, status int, code string, a answer)) {
	t.Helper()
	h := newHostWith(t, keys.Options{}, keyshttp.Options{MaxBody: 500, WriteError: write})
	h.plant(t, keys.KindKey, "acme", "vck_live_revoked", "")
	h.store.edit("vck_live_revoked", func(r *keys.Record) { r.RevokedAt = r.CreatedAt })
	h.plant(t, keys.KindKey, "acme", "vck_live_fails", "")
	h.plant(t, keys.KindKey, "acme", "vck_live_wide", "")
	h.store.edit("vck_live_wide", func(r *keys.Record) { r.RateLimit = 1000 })
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			h.store.before = func(string) error {
				if tt.status == 503 {
					return errors.New("s3cret")
				}
				return nil
			}
			check(t, tt.name, tt.status, tt.code, h.do(tt.caller, tt.method, tt.target, tt.body))
		})
	}
}

// TestProblems writes refusals in the form of RFC 9457.
func TestProblems(t *testing.T) {
	t.Parallel()
	refuse(t, httpjson.WriteProblem, func(t *testing.T, name string, status int, code string, a answer) {
		var problem struct {
			Type, Title, Detail, Error string
			Status                     int
			Reserved, Unknown          []string
		}
		if err := json.Unmarshal([]byte(a.Body), &problem); err != nil {
			t.Fatal(err)
		}
		if a.Status != status || problem.Status != status || problem.Error != code || problem.Title != http.StatusText(status) ||
			problem.Type != "about:blank" || problem.Detail == "" || strings.Contains(a.Body, "s3cret") {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		a.wantHeader(t, "Content-Type", "application/problem+json")
		a.wantHeader(t, "Cache-Control", "no-store")
		if lists := code == "invalid_scope"; lists != cmp.Equal(problem.Reserved, []string{"leads:read"}) || lists != cmp.Equal(problem.Unknown, []string{"nope"}) {
			t.Errorf("%s", a.Body)
		}
		if (status == 401) != (a.Header.Get("WWW-Authenticate") != "") || (status == 405) != (a.Header.Get("Allow") != "") ||
			(status == 503) != (a.Header.Get("Retry-After") != "") {
			t.Errorf("header %v", a.Header)
		}
	})
}

// TestWriteError hands all refusals, and the errors behind them, to the host's
// writer.
func TestWriteError(t *testing.T) {
	t.Parallel()
	var last httpjson.Refusal
	write := func(w http.ResponseWriter, r *http.Request, refusal httpjson.Refusal) {
		last = refusal
		w.WriteHeader(refusal.Status)
		fmt.Fprint(w, "no: ", r.Method)
	}
	behind := map[string]error{
		"an ended caller": keys.ErrCallerEnded, "scopes": keys.ErrBeyond, "what a key has": keys.ErrBeyond, "an ID": keys.ErrNotFound, "a path": keys.ErrNotFound, "a revoked key": keys.ErrRevoked,
	}
	refuse(t, write, func(t *testing.T, name string, status int, code string, a answer) {
		if a.Status != status || last.Status != status || last.Code != code || !strings.HasPrefix(a.Body, "no: ") {
			t.Errorf("%+v, answer %d %s", last, a.Status, a.Body)
		}
		if want := behind[name]; want != nil && !errors.Is(last.Err, want) {
			t.Errorf("behind it is %v, want %v", last.Err, want)
		}
		if (last.Grant != nil) != (code == "invalid_scope") || status == 503 && !strings.Contains(fmt.Sprint(last.Err), "s3cret") {
			t.Errorf("%+v", last)
		}
	})
}

// TestWhatCouldNotBeTakenBack fails to take back what a caller did whose key was
// revoked meanwhile: the caller hears what it did wrong, and the host of the rest.
func TestWhatCouldNotBeTakenBack(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p := h.caller(t, keys.Spec{Scopes: all})
	target := h.issue(t, "acme", keys.Spec{}).Record.ID
	h.store.after = func(method string) {
		if method == "Update" {
			h.store.edit(p.ID, func(r *keys.Record) { r.RevokedAt = r.CreatedAt })
			h.store.before = func(method string) error {
				if method == "Update" {
					return errors.New("no route to host")
				}
				return nil
			}
		}
	}
	h.do(p, "PATCH", "/v1/keys/"+target, `{"label":"new"}`).wantError(t, 401, "invalid_token")
	if log := h.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "no route to host") {
		t.Errorf("log %q", log)
	}
}

// TestMistakesOfTheHost sends requests of principals that no record can belong to.
func TestMistakesOfTheHost(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]keys.Principal{
		"a long organization": {Org: strings.Repeat("x", 256), RateLimit: 1},
		"a NUL in the ID":     {Org: "acme", ID: "a\x00", RateLimit: 1},
	} {
		h := newHost(t)
		h.do(p, "POST", "/v1/keys", "").wantError(t, 503, "temporarily_unavailable")
		if !strings.Contains(h.log.String(), "level=ERROR") || h.count() > 0 {
			t.Errorf("%s: log %q, %d records", name, h.log, h.count())
		}
	}
}

// TestQueries sends each route a query parameter that it does not know.
func TestQueries(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := h.issue(t, "acme", keys.Spec{}).Record.ID
	before := h.record(t, id)
	touched := 0
	h.store.before = func(string) error { touched++; return nil }
	for _, r := range requests(h, id) {
		for _, query := range []string{"color=red", "Limit=1", "x", "=", "limit=1;include=revoked", "x=%zz", "access_token=x"} {
			r := httptest.NewRequest(r.Method, r.URL.Path+"?"+query, nil)
			a := h.send(r.WithContext(keys.NewContext(r.Context(), admin)))
			if a.Status != 400 {
				t.Errorf("%s %s: %d %s", r.Method, r.URL, a.Status, a.Body)
				continue
			}
			a.wantError(t, 400, "invalid_request")
		}
		if descendants := "?descendants=true"; r.Method != "DELETE" {
			h.do(admin, r.Method, r.URL.Path+descendants, "").wantError(t, 400, "invalid_request")
		}
		if r.Method != "GET" || r.URL.Path != "/v1/keys" {
			h.do(admin, r.Method, r.URL.Path+"?limit=1", "").wantError(t, 400, "invalid_request")
		}
	}
	if touched > 0 || h.count() != 1 || h.record(t, id) != before {
		t.Errorf("%d calls of the store, %d keys", touched, h.count())
	}
}

// TestConflicts sends requests for a key in each state that refuses some.
func TestConflicts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state       string
		set         func(*keys.Record)
		rotate      int
		change, end int // of the label and of the end
	}{
		{"good", func(*keys.Record) {}, 201, 200, 200},
		{"revoked", func(r *keys.Record) { r.RevokedAt = r.CreatedAt }, 409, 409, 409},
		{"expired", func(r *keys.Record) { r.ExpiresAt = r.CreatedAt }, 409, 200, 409},
		{"paused", func(r *keys.Record) { r.DisabledAt = r.CreatedAt }, 409, 200, 200},
		{"replaced", func(r *keys.Record) { r.ReplacedBy = "vck_live_x" }, 201, 200, 409},
	} {
		h := newHost(t)
		for _, request := range []struct {
			method, suffix, body string
			status               int
		}{
			{"POST", "/rotate", "", tt.rotate},
			{"PATCH", "", `{"label":"x"}`, tt.change},
			{"PATCH", "", `{"expires_in":60}`, tt.end},
			{"GET", "", "", 200},
			{"DELETE", "", "", 204},
		} {
			id := h.issue(t, "acme", keys.Spec{}).Record.ID
			h.store.edit(id, tt.set)
			a := h.do(admin, request.method, "/v1/keys/"+id+request.suffix, request.body)
			if a.Status != request.status {
				t.Errorf("%s %s of a key that is %s: %d %s, want %d", request.method, request.body, tt.state, a.Status, a.Body, request.status)
			}
			if a.Status == 409 {
				a.wantError(t, 409, "conflict")
			}
		}
	}
}
