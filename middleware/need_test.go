package middleware_test

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
)

// TestNeeds checks each need in each way in which it can be asked for.
func TestNeeds(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	holders := map[string]string{
		"":             env.key("acme", 0),
		"export":       env.key("acme", 0, "export"),
		"admin":        env.key("acme", 0, "admin"),
		"export admin": env.key("acme", 0, "export", "admin"),
	}
	g := env.guard
	for _, tt := range []struct {
		name    string
		need    middleware.Need
		require func(http.Handler) http.Handler
		let     string // who is let in, one letter each: nobody's scope, export, admin, both
		scope   string
	}{
		{"nothing", middleware.Need{}, g.Authenticated(), "neab", ""},
		{"one", all("export"), g.Require("export"), "eb", "export"},
		{"two", all("export", "admin"), g.Require("export", "admin"), "b", "export admin"},
		{"the granted one", all("identity:read"), g.Require("identity:read"), "neab", ""},
		{"three", all("identity:read", "admin", "export"), g.Require("identity:read", "admin", "export"), "b", "identity:read admin export"},
		{"any of one", middleware.Need{Any: []string{"admin"}}, g.RequireAny("admin"), "ab", "admin"},
		{"any of two", middleware.Need{Any: []string{"admin", "export"}}, g.RequireAny("admin", "export"), "eab", "admin export"},
		{"any of nobody's", middleware.Need{Any: []string{"x", "y"}}, g.RequireAny("x", "y"), "", "x y"},
		{"both kinds", middleware.Need{All: []string{"export"}, Any: []string{"x", "admin"}}, g.Need(middleware.Need{All: []string{"export"}, Any: []string{"x", "admin"}}), "b", "export x admin"},
		{"both kinds, one unmet", middleware.Need{All: []string{"export"}, Any: []string{"x"}}, g.Need(middleware.Need{All: []string{"export"}, Any: []string{"x"}}), "", "export x"},
		{"a cost alone", middleware.Need{Cost: 2}, g.Need(middleware.Need{Cost: 2}), "neab", ""},
		{"management", all("admin"), g.Manage("admin"), "ab", "admin"},
		{"management, two", all("admin", "export"), g.Manage("admin", "export"), "b", "admin export"},
		{"management, any caller", middleware.Need{}, g.Manage(), "neab", ""},
	} {
		for holder, text := range holders {
			letter := map[string]string{"": "n", "export": "e", "admin": "a", "export admin": "b"}[holder]
			let := strings.Contains(tt.let, letter)
			r := request("GET", "Bearer "+text)
			a, err := g.Check(r, tt.need)
			if let != (err == nil) || !let && (err != middleware.ErrScope || a.Scope != tt.scope) || let && a.Scope != "" {
				t.Errorf("%s, Check for %q: %v, scope %q", tt.name, holder, err, a.Scope)
			}
			w := serve(tt.require(ok), r)
			challenge := w.Header().Get("WWW-Authenticate")
			if let && w.Code != 204 || !let && (w.Code != 403 || !strings.HasSuffix(challenge, `, scope="`+tt.scope+`"`)) {
				t.Errorf("%s for %q: %d %s", tt.name, holder, w.Code, challenge)
			}
			w = httptest.NewRecorder()
			if !let {
				g.Refuse(w, r, a, err)
				if got := w.Header().Get("WWW-Authenticate"); got != challenge {
					t.Errorf("%s, Refuse for %q: %s, want %s", tt.name, holder, got, challenge)
				}
			}
		}
	}
}

func TestRoutesPanic(t *testing.T) {
	t.Parallel()
	g := newEnv(t, nil).guard
	panics := func(name string, mount func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s does not panic", name)
			}
		}()
		mount()
	}
	for _, scope := range []string{"", " ", "a b", "ü", `a"b`, `a\b`, "a\n"} {
		for name, mount := range map[string]func(){
			"Require":       func() { g.Require(scope) },
			"Require later": func() { g.Require("a", scope) },
			"RequireAny":    func() { g.RequireAny(scope) },
			"Any later":     func() { g.RequireAny("a", scope) },
			"Need":          func() { g.Need(middleware.Need{All: []string{"a", scope}}) },
			"Need Any":      func() { g.Need(middleware.Need{Any: []string{"a", scope}}) },
			"Manage":        func() { g.Manage("a", scope) },
		} {
			panics(name+" of "+strconv.Quote(scope), mount)
		}
	}
	panics("an empty Need", func() { g.Need(middleware.Need{}) })
	panics("a negative cost", func() { g.Need(middleware.Need{All: []string{"a"}, Cost: -1}) })
}

// A rule does not change if the lists that it was made of do.
func TestNeedIsCopied(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	all, either := []string{"admin"}, []string{"admin"}
	for name, h := range map[string]http.Handler{
		"all": env.guard.Need(middleware.Need{All: all})(ok), "any": env.guard.Need(middleware.Need{Any: either})(ok),
	} {
		all[0], either[0] = "identity:read", "identity:read"
		if w := serve(h, request("GET", "Bearer "+env.key("acme", 0))); w.Code != 403 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in which time stands still
		for _, tt := range []struct {
			name       string
			limit, gap int // the requests a minute, and what is taken first
			cost       int
			want       string // of RateLimit
			code       int
			retry      string
		}{
			{"one by default", 60, 0, 0, `"default";r=59;t=1`, 204, ""},
			{"one", 60, 0, 1, `"default";r=59;t=1`, 204, ""},
			{"ten", 60, 0, 10, `"default";r=50;t=1`, 204, ""},
			{"all", 60, 0, 60, `"default";r=0;t=1`, 204, ""},
			{"more than all", 60, 0, 61, `"default";r=0;t=1`, 204, ""},
			{"far more than all", 60, 0, math.MaxInt, `"default";r=0;t=1`, 204, ""},
			{"more than is left", 60, 55, 10, `"default";r=5;t=1`, 429, "5"},
			{"more than all, of a part", 60, 1, 100, `"default";r=59;t=1`, 429, "1"},
			{"negative", 60, 0, -5, `"default";r=59;t=1`, 204, ""},
		} {
			env := newEnv(t, nil)
			r := request("GET", "Bearer "+env.key("acme", tt.limit))
			for range tt.gap {
				serve(env.guard.Authenticated()(ok), r)
			}
			a, err := env.guard.Check(r, middleware.Need{Cost: tt.cost})
			w := httptest.NewRecorder()
			w.Code = 204
			if a.SetHeader(w.Header()); err != nil {
				w = httptest.NewRecorder()
				env.guard.Refuse(w, r, a, err)
			}
			if got := w.Header().Get("RateLimit"); got != tt.want || w.Code != tt.code || w.Header().Get("Retry-After") != tt.retry {
				t.Errorf("%s: %d %s, retry after %q, want %d %s %q", tt.name, w.Code, got, w.Header().Get("Retry-After"), tt.code, tt.want, tt.retry)
			}
			if tt.cost < 0 {
				continue
			}
			// The same by a handler.
			env = newEnv(t, nil)
			r = request("GET", "Bearer "+env.key("acme", tt.limit))
			for range tt.gap {
				serve(env.guard.Authenticated()(ok), r)
			}
			w = serve(env.guard.Need(middleware.Need{All: []string{"identity:read"}, Cost: tt.cost})(ok), r)
			if got := w.Header().Get("RateLimit"); got != tt.want || w.Code != tt.code || w.Header().Get("Retry-After") != tt.retry {
				t.Errorf("%s, behind Need: %d %s", tt.name, w.Code, got)
			}
		}
	})
}

func TestLimitAndBucketOfTheHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &middleware.Options{
			Limit:  func(p keys.Principal) (ratelimit.Limit, error) { return ratelimit.PerMinute(p.RateLimit * 2) },
			Bucket: func(p keys.Principal) string { return p.ID },
		})
		h := env.guard.Authenticated()(ok)
		a, b := request("GET", "Bearer "+env.key("acme", 10)), request("GET", "Bearer "+env.key("acme", 10))
		for i, r := range []*http.Request{a, a, b, a} {
			want := []string{`"default";r=19;t=3`, `"default";r=18;t=3`, `"default";r=19;t=3`, `"default";r=17;t=3`}[i]
			if w := serve(h, r); w.Header().Get("RateLimit") != want || w.Header().Get("RateLimit-Policy") != `"default";q=20;w=60` {
				t.Errorf("request %d: %v, want %s", i+1, w.Header(), want)
			}
		}
		empty := env.another(&middleware.Options{Bucket: func(keys.Principal) string { return "" }})
		if w := serve(empty.Authenticated()(ok), a); w.Code != 503 {
			t.Errorf("a bucket without a name: %d", w.Code)
		}
	})
}
