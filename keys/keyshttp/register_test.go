package keyshttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/google/go-cmp/cmp"
)

// deny protects by refusing everything, and so shows what comes before it.
func deny(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpjson.Refuse(w, r, nil, httpjson.Refusal{Status: 401, Code: "unauthorized", Description: "denied"})
	})
}

// TestRoutes compares the routes that are registered with a list.
func TestRoutes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	want := []string{
		"DELETE /v1/keys/{id}",
		"GET /v1/keys",
		"GET /v1/keys/{id}",
		"PATCH /v1/keys/{id}",
		"POST /v1/keys",
		"POST /v1/keys/{id}/rotate",
	}
	if diff := cmp.Diff(want, h.routes.patterns()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.mux = http.NewServeMux()
	h.handler.Register(h.mux, "/v1/keys", deny)
	h.mux.Handle("/", httpjson.NotFound(nil))

	tests := []struct{ name, method, path, allow string }{
		{"create", "POST", "/v1/keys", ""},
		{"list", "GET", "/v1/keys", ""},
		{"head of a list", "HEAD", "/v1/keys", ""},
		{"get", "GET", "/v1/keys/x", ""},
		{"head of a key", "HEAD", "/v1/keys/x", ""},
		{"change", "PATCH", "/v1/keys/x", ""},
		{"revoke", "DELETE", "/v1/keys/x", ""},
		{"rotate", "POST", "/v1/keys/x/rotate", ""},
		{"put on the list", "PUT", "/v1/keys", "GET, HEAD, POST"},
		{"options", "OPTIONS", "/v1/keys", "GET, HEAD, POST"},
		{"delete the list", "DELETE", "/v1/keys", "GET, HEAD, POST"},
		{"post to a key", "POST", "/v1/keys/x", "DELETE, GET, HEAD, PATCH"},
		{"unknown method", "BREW", "/v1/keys/x", "DELETE, GET, HEAD, PATCH"},
		{"get a rotation", "GET", "/v1/keys/x/rotate", "POST"},
		{"unknown path", "GET", "/v1/keys/x/other", "-"},
		{"slash at the end", "GET", "/v1/keys/", "-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := h.send(httptest.NewRequest(tt.method, tt.path, nil))
			switch tt.allow {
			case "":
				a.wantError(t, http.StatusUnauthorized, "unauthorized")
			case "-":
				a.wantError(t, http.StatusNotFound, "not_found")
			default:
				a.wantError(t, http.StatusMethodNotAllowed, "method_not_allowed")
				a.wantHeader(t, "Allow", tt.allow)
			}
		})
	}
}

func TestRegisterPanics(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const path = "keyshttp: the path of Register begins with a slash and does not end in one"
	tests := []struct {
		name    string
		mux     router
		path    string
		protect func(http.Handler) http.Handler
		want    string // the mux's own if empty
	}{
		{"no protection", make(table), "/v1/keys", nil, "keyshttp: Register without protection"},
		{"no path", make(table), "", public, path},
		{"a path without a slash", make(table), "v1/keys", public, path},
		{"a slash at the end", make(table), "/v1/keys/", public, path},
		{"the root", make(table), "/", public, path},
		{"a path that the mux refuses", http.NewServeMux(), "/{id}/keys", public, ""},
		{"twice", h.mux, "/v1/keys", public, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if got := recover(); got == nil || tt.want != "" && got != tt.want {
					t.Errorf("panic %v, want %s", got, tt.want)
				}
			}()
			h.handler.Register(tt.mux, tt.path, tt.protect)
		})
	}
}

// A router is what Register takes.
type router interface {
	Handle(pattern string, handler http.Handler)
}

// TestNothingIsRegisteredWithoutProtection looks at a router whose Register
// panicked.
func TestNothingIsRegisteredWithoutProtection(t *testing.T) {
	t.Parallel()
	routes := make(table)
	func() {
		defer func() { _ = recover() }()
		newHost(t).handler.Register(routes, "/v1/keys", nil)
	}()
	if len(routes) > 0 {
		t.Errorf("%v", routes.patterns())
	}
}

// prefixes is a router that knows no methods and no patterns: it finds a handler
// by the longest prefix of the path.
type prefixes map[string]http.Handler

func (p prefixes) Handle(prefix string, h http.Handler) { p[prefix] = h }

func (p prefixes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	best := ""
	for prefix := range p {
		if strings.HasPrefix(r.URL.Path, prefix) && len(prefix) > len(best) {
			best = prefix
		}
	}
	if best == "" {
		http.NotFound(w, r)
		return
	}
	p[best].ServeHTTP(w, r)
}

// splits is a router of its own kind that takes the patterns of ServeMux.
type splits map[string]http.Handler

func (s splits) Handle(pattern string, h http.Handler) { s[pattern] = h }

func (s splits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{r.Method + " ", ""} {
		for pattern, h := range s {
			path, ok := strings.CutPrefix(pattern, method)
			if id, same := match(path, r.URL.Path); ok && same {
				r.SetPathValue("id", id)
				h.ServeHTTP(w, r)
				return
			}
		}
	}
	http.NotFound(w, r)
}

// match reports whether a path is one of a pattern, and what stands for {id}.
func match(pattern, path string) (id string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return "", false
	}
	for i := range want {
		switch want[i] {
		case "{id}":
			id = got[i]
		case got[i]:
		default:
			return "", false
		}
	}
	return id, true
}

// TestRouters walks through the life of a key behind routers of several kinds.
func TestRouters(t *testing.T) {
	t.Parallel()
	signedIn := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), admin)))
		})
	}
	for _, tt := range []struct {
		name, path string
		build      func(h *host) http.Handler
	}{
		{"a ServeMux", "/v1/keys", func(h *host) http.Handler {
			mux := http.NewServeMux()
			h.handler.Register(mux, "/v1/keys", signedIn)
			return mux
		}},
		{"a ServeMux with a wildcard before", "/teams/7/keys", func(h *host) http.Handler {
			mux := http.NewServeMux()
			h.handler.Register(mux, "/teams/{team}/keys", signedIn)
			return mux
		}},
		{"a ServeMux in a ServeMux", "/api/v1/keys", func(h *host) http.Handler {
			outer, inner := http.NewServeMux(), http.NewServeMux()
			h.handler.Register(inner, "/api/v1/keys", signedIn)
			outer.Handle("/api/", inner)
			return outer
		}},
		{"a router without patterns", "/v1/keys", func(h *host) http.Handler {
			outer, inner := make(prefixes), http.NewServeMux()
			h.handler.Register(inner, "/v1/keys", signedIn)
			outer.Handle("/v1/keys", inner)
			outer.Handle("/v1/", http.NotFoundHandler())
			return outer
		}},
		{"another router with patterns", "/v1/keys", func(h *host) http.Handler {
			router := make(splits)
			h.handler.Register(router, "/v1/keys", signedIn)
			return router
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			service := tt.build(h)
			do := func(method, path, body string, status int) answer {
				t.Helper()
				r := httptest.NewRequest(method, path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				service.ServeHTTP(w, r)
				if w.Code != status {
					t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, status)
				}
				return answer{w.Code, w.Header(), w.Body.String()}
			}
			key := do("POST", tt.path, `{"label":"x"}`, 201).Header.Get("Location")
			if !strings.HasPrefix(key, tt.path+"/vck_live_") {
				t.Fatalf("location %s", key)
			}
			do("GET", key, "", 200)
			do("PATCH", key, `{"label":"y"}`, 200)
			next := do("POST", key+"/rotate", "", 201).Header.Get("Location")
			if ids, _ := do("GET", tt.path, "", 200).ids(t); len(ids) != 2 || next == key {
				t.Errorf("%v, location of the successor %s", ids, next)
			}
			do("GET", next, "", 200)
			do("DELETE", key, "", 204)
			do("PUT", key, "", 405).wantHeader(t, "Allow", "DELETE, GET, HEAD, PATCH")
			do("POST", key+"/other", "", 404)
		})
	}
}

// TestEscapedPath names a key by an ID that is escaped without need.
func TestEscapedPath(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := h.issue(t, "acme", keys.Spec{}).Record.ID
	h.wantIssued(t, h.do(admin, "POST", "/v1/keys/"+strings.ReplaceAll(id, "_", "%5F")+"/rotate", ""))
}

func TestNotFoundIsTheAnswerToUnknownKeys(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	path, key := h.do(admin, "GET", "/nowhere", ""), h.do(admin, "GET", "/v1/keys/nobody", "")
	wantSame(t, path, key)
}
