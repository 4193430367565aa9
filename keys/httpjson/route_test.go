package httpjson_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/google/go-cmp/cmp"
)

// answering answers with a name.
func answering(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Route", name) })
}

func TestRegister(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	httpjson.Register(mux, nil,
		httpjson.Route{Pattern: "POST /things", Handler: answering("create")},
		httpjson.Route{Pattern: "GET /things", Handler: answering("list")},
		httpjson.Route{Pattern: "DELETE /things/{id}", Handler: answering("end")},
		httpjson.Route{Pattern: "HEAD /both", Handler: answering("head")},
		httpjson.Route{Pattern: "GET /both", Handler: answering("get")},
		httpjson.Route{Pattern: "GET example.com/things", Handler: answering("host")},
	)
	for _, tt := range []struct{ method, target, route, allow string }{
		{"POST", "/things", "create", ""},
		{"GET", "/things", "list", ""},
		{"HEAD", "/things", "list", ""},
		{"DELETE", "/things/x", "end", ""},
		{"HEAD", "/both", "head", ""},
		{"GET", "/both", "get", ""},
		{"GET", "http://example.com/things", "host", ""},
		{"PUT", "/things", "", "GET, HEAD, POST"},
		{"OPTIONS", "/things", "", "GET, HEAD, POST"},
		{"GET", "/things/x", "", "DELETE"},
		{"HEAD", "/things/x", "", "DELETE"},
		{"POST", "/both", "", "GET, HEAD"},
		{"POST", "http://example.com/things", "", "GET, HEAD"},
		{"get", "/things", "", "GET, HEAD, POST"},
	} {
		r := httptest.NewRequest(tt.method, tt.target, nil)
		if r.URL.Host == "" {
			r.Host = "localhost"
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if got := w.Header().Get("X-Route"); got != tt.route {
			t.Errorf("%s %s: route %q, want %q", tt.method, tt.target, got, tt.route)
		}
		if tt.route != "" {
			continue
		}
		const body = `{"error":"method_not_allowed","error_description":"this path has other methods, see Allow"}` + "\n"
		want := http.Header{
			"Allow": {tt.allow}, "Cache-Control": {"no-store"}, "Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"},
		}
		if diff := cmp.Diff(want, w.Header()); w.Code != 405 || w.Body.String() != body || diff != "" {
			t.Errorf("%s %s: %d %s %s", tt.method, tt.target, w.Code, w.Body, diff)
		}
	}
}

// list is a router that notes what is registered, in order.
type list struct{ patterns []string }

func (l *list) Handle(pattern string, _ http.Handler) { l.patterns = append(l.patterns, pattern) }

// TestRegisterOrder registers with a router that is no ServeMux.
func TestRegisterOrder(t *testing.T) {
	t.Parallel()
	l := new(list)
	httpjson.Register(l, nil,
		httpjson.Route{Pattern: "POST /b", Handler: answering("")}, httpjson.Route{Pattern: "GET /c", Handler: answering("")},
		httpjson.Route{Pattern: "GET /a", Handler: answering("")}, httpjson.Route{Pattern: "GET /b", Handler: answering("")})
	if want := []string{"POST /b", "GET /c", "GET /a", "GET /b", "/a", "/b", "/c"}; !slices.Equal(l.patterns, want) {
		t.Errorf("%v, want %v", l.patterns, want)
	}
	httpjson.Register(l, nil)
	if len(l.patterns) != 7 {
		t.Errorf("no routes give %v", l.patterns[7:])
	}
}

func TestRegisterPanics(t *testing.T) {
	t.Parallel()
	route := httpjson.Route{Pattern: "GET /x", Handler: answering("")}
	for name, routes := range map[string][]httpjson.Route{
		"a route twice":          {route, route},
		"a route without method": {{Pattern: "/x", Handler: answering("")}},
		"no pattern":             {{Handler: answering("")}},
		"no handler":             {{Pattern: "GET /x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			httpjson.Register(http.NewServeMux(), nil, routes...)
		})
	}
}

// TestWritersOfRoutes writes 405 and 404 as the host does.
func TestWritersOfRoutes(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	httpjson.Register(mux, httpjson.WriteProblem, httpjson.Route{Pattern: "GET /x", Handler: answering("")})
	mux.Handle("/", httpjson.NotFound(httpjson.WriteProblem))
	for target, want := range map[string]string{
		"/x": `{"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"this path has other methods, see Allow","error":"method_not_allowed"}`,
		"/y": `{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such resource","error":"not_found"}`,
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("POST", target, nil))
		if got := w.Body.String(); got != want+"\n" || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %v", target, got, w.Header())
		}
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	httpjson.NotFound(nil).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	want := http.Header{"Cache-Control": {"no-store"}, "Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"}}
	const body = `{"error":"not_found","error_description":"there is no such resource"}` + "\n"
	if diff := cmp.Diff(want, w.Header()); w.Code != 404 || w.Body.String() != body || diff != "" {
		t.Errorf("%d %s %s", w.Code, w.Body, diff)
	}
}
