package keyshttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/google/go-cmp/cmp"
)

// wantSame checks that two answers are the same, byte for byte.
func wantSame(tb testing.TB, want, got answer) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("answers differ (-want +got):\n%s", diff)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	manager, err := keys.NewManager(newMapStore(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyshttp.NewHandler(nil, nil); err == nil {
		t.Error("a nil manager was accepted")
	}
	if _, err := keyshttp.NewHandler(manager, &keyshttp.Options{MaxBody: -1}); err == nil {
		t.Error("a negative MaxBody was accepted")
	}
	h, err := keyshttp.NewHandler(manager, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/keys", nil)
	r = r.WithContext(keys.NewContext(r.Context(), admin))
	w := httptest.NewRecorder()
	routes := make(table)
	h.Register(routes, "/keys", public)
	routes["POST /keys"].ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		t.Errorf("nil options: status %d, want 201", w.Code)
	}
}

// requests returns one request for each route, which a caller like admin may
// make, for the key id.
func requests(h *host, id string) []*http.Request {
	var all []*http.Request
	for _, pattern := range h.routes.patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		all = append(all, httptest.NewRequest(method, strings.Replace(path, "{id}", id, 1), nil))
	}
	return all
}

func TestWithoutPrincipal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	issued := h.issue(t, "acme", keys.Spec{})
	h.plant(t, keys.KindKey, "x", "vck_live_x", "")
	before := h.record(t, issued.Record.ID)
	touched := false
	h.store.before = func(string) error { touched = true; return nil }
	for _, r := range requests(h, issued.Record.ID) {
		nobody := r.WithContext(keys.NewContext(r.Context(), keys.Principal{ID: "anna", Scopes: admin.Scopes, RateLimit: 1000}))
		for name, r := range map[string]*http.Request{"none": r, "without an organization": nobody} {
			a := h.send(r)
			a.wantError(t, http.StatusUnauthorized, "unauthorized")
			a.wantHeader(t, "WWW-Authenticate", `Bearer realm="api"`)
			if t.Failed() {
				t.Fatalf("%s %s, principal: %s", r.Method, r.URL, name)
			}
		}
	}
	if touched || h.record(t, issued.Record.ID) != before {
		t.Error("a request without a principal reached the store")
	}
}

func TestStoreFailure(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, method := range []string{"Insert", "Get", "Update", "List"} {
		h.store.before = nil
		id := h.issue(t, "acme", keys.Spec{}).Record.ID
		h.store.before = func(called string) error {
			if called == method {
				return errors.New("dial db:5432: password s3cret")
			}
			return nil
		}
		hits := 0
		for _, r := range requests(h, id) {
			if r.Method == http.MethodDelete && method != "Update" && method != "Get" {
				continue // would end the key that the next route rotates
			}
			r = r.WithContext(keys.NewContext(r.Context(), admin))
			h.log.Reset()
			a := h.send(r)
			if a.Status < 300 {
				continue // a route that does without the method
			}
			hits++
			a.wantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			a.wantHeader(t, "Retry-After", "1")
			if strings.Contains(a.Body, "db") {
				t.Errorf("%s %s: body %s shows the store's error", r.Method, r.URL, a.Body)
			}
			for _, part := range []string{"level=ERROR", "dial db:5432", "method=" + r.Method, "principal.org=acme", "principal.id=vck_live_admin"} {
				if !strings.Contains(h.log.String(), part) {
					t.Errorf("%s %s: log %q lacks %q", r.Method, r.URL, h.log, part)
				}
			}
		}
		if hits == 0 {
			t.Errorf("no route failed with %s", method)
		}
	}
}

func TestPersistentConflict(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, method, path, body string }{
		{"change", "PATCH", "", `{"label":"x"}`},
		{"revoke", "DELETE", "", ""},
		{"rotate", "POST", "/rotate", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				id := h.issue(t, "acme", keys.Spec{}).Record.ID
				h.store.before = func(method string) error {
					if method == "Update" {
						return keys.ErrConflict
					}
					return nil
				}
				h.do(admin, tt.method, "/v1/keys/"+id+tt.path, tt.body).wantError(t, http.StatusConflict, "conflict")
				if h.log.Len() > 0 {
					t.Errorf("a conflict was logged: %s", h.log)
				}
			})
		})
	}
}

// TestNotFound checks that the routes with an ID have one answer for everything that
// is not a key of the caller's organization.
func TestNotFound(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	foreign := h.issue(t, "evil", keys.Spec{}).Record.ID
	revoked := h.issue(t, "evil", keys.Spec{}).Record.ID
	if err := h.manager.Revoke(t.Context(), "evil", keys.KindKey, revoked); err != nil {
		t.Fatal(err)
	}
	client := h.plant(t, keys.KindClient, "acme", "cc_0123456789abcdef", "")
	h.plant(t, keys.KindToken, "acme", "oauth_0123456789abcdef01234567", client.ID)
	before := h.count()

	ids := []struct{ name, id string }{
		{"unknown", "vck_live_0123456789ABCDEFGHIJKL"},
		{"foreign", foreign},
		{"foreign and revoked", revoked},
		{"client", client.ID},
		{"token", "oauth_0123456789abcdef01234567"},
		{"other case", strings.ToUpper(client.ID)},
		{"short", "x"},
		{"dot", "vck.x"},
		{"NUL", "vck_%00"},
		{"invalid UTF-8", "vck_%ff"},
		{"slash", "vck%2Fx"},
		{"long", strings.Repeat("a", 256)},
		{"very long", strings.Repeat("a", 5000)},
	}
	for _, route := range []struct{ method, suffix, body string }{
		{"GET", "", ""},
		{"HEAD", "", ""},
		{"PATCH", "", `{"label":"mine"}`},
		{"PATCH", "", `{}`},
		{"DELETE", "", ""},
		{"POST", "/rotate", ""},
		{"POST", "/rotate", `{"overlap":0}`},
	} {
		want := h.do(admin, route.method, "/v1/keys/nobody"+route.suffix, route.body)
		want.wantError(t, http.StatusNotFound, "not_found")
		for _, tt := range ids {
			t.Run(route.method+route.suffix+" "+tt.name, func(t *testing.T) {
				wantSame(t, want, h.do(admin, route.method, "/v1/keys/"+tt.id+route.suffix, route.body))
			})
		}
	}
	if h.count() != before {
		t.Error("a key was made on the way")
	}
	for id, rec := range h.store.records {
		if rec.Label != "" || rec.Revoked() != (id == revoked) {
			t.Errorf("%s was changed", id)
		}
	}
}

func TestJunkIDsCostNoRead(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.store.before = func(method string) error { return errors.New("read") }
	for _, id := range []string{"vck_%00", "vck+x", "%ff", "a%2Fb", strings.Repeat("a", 256)} {
		h.do(admin, "GET", "/v1/keys/"+id, "").wantError(t, http.StatusNotFound, "not_found")
	}
	h.do(admin, "GET", "/v1/keys/"+strings.Repeat("a", 255), "").wantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
}

// TestServer runs the handlers behind a real server, which is where HEAD loses
// its body and paths are taken apart.
func TestServer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.fill(t, 2)
	server := httptest.NewServer(authenticated(h, admin))
	defer server.Close()
	for _, path := range []string{"/v1/keys", "/v1/keys/vck_live_00000", "/v1/keys/nobody"} {
		get, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		get.Body.Close()
		head, err := server.Client().Head(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		head.Body.Close()
		if head.StatusCode != get.StatusCode || head.ContentLength != get.ContentLength || head.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: HEAD %v, GET %v", path, head, get)
		}
	}
}
