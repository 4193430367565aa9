package middleware_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
)

// TestGuardInsideAGuard puts guards around each other, the outermost first.
func TestGuardInsideAGuard(t *testing.T) {
	t.Parallel()
	type layer struct {
		cost int
		wrap func(e *env, need middleware.Need) func(http.Handler) http.Handler
	}
	same := func(e *env, n middleware.Need) func(http.Handler) http.Handler { return e.guard.Need(n) }
	twin := func(e *env, n middleware.Need) func(http.Handler) http.Handler { return e.another(nil).Need(n) }
	manage := func(e *env, _ middleware.Need) func(http.Handler) http.Handler { return e.guard.Manage() }
	byKey := func(e *env, n middleware.Need) func(http.Handler) http.Handler {
		return e.another(&middleware.Options{Bucket: func(p keys.Principal) string { return p.ID }}).Need(n)
	}
	otherSpace := func(e *env, n middleware.Need) func(http.Handler) http.Handler {
		l, err := e.limiter.In("daily")
		return with(t, e, l, err).Need(n)
	}
	sameSpace := func(e *env, n middleware.Need) func(http.Handler) http.Handler {
		l, err := e.limiter.In("org")
		return with(t, e, l, err).Need(n)
	}
	otherLimiter := func(e *env, n middleware.Need) func(http.Handler) http.Handler {
		l, err := ratelimit.NewLimiter(e.faults, nil)
		return with(t, e, l, err).Need(n)
	}
	unlimited := func(e *env, n middleware.Need) func(http.Handler) http.Handler {
		return with(t, e, nil, nil).Need(n)
	}
	perMinute := func(limit int) func(e *env, n middleware.Need) func(http.Handler) http.Handler {
		return func(e *env, n middleware.Need) func(http.Handler) http.Handler {
			return e.another(&middleware.Options{Limit: func(keys.Principal) (ratelimit.Limit, error) { return ratelimit.PerMinute(limit) }}).Need(n)
		}
	}
	for _, tt := range []struct {
		name   string
		layers []layer
		left   int // of 100 in the organization's bucket
	}{
		{"one", []layer{{1, same}}, 99},
		{"the same cost", []layer{{1, same}, {1, same}}, 99},
		{"dearer inside", []layer{{1, same}, {10, same}}, 90},
		{"cheaper inside", []layer{{10, same}, {1, same}}, 90},
		{"up and down and up", []layer{{2, same}, {10, same}, {5, same}, {12, same}}, 88},
		{"another guard over the same limiter", []layer{{1, same}, {10, twin}}, 90},
		{"the same space by another way", []layer{{1, same}, {10, sameSpace}}, 90},
		{"another space", []layer{{1, same}, {10, otherSpace}}, 99},
		{"another space between", []layer{{3, same}, {10, otherSpace}, {4, same}}, 96},
		{"another limiter over the same store", []layer{{1, same}, {10, otherLimiter}}, 89},
		{"another bucket", []layer{{1, same}, {10, byKey}}, 99},
		{"another bucket between", []layer{{3, same}, {10, byKey}, {4, same}}, 96},
		{"management around", []layer{{1, manage}, {10, same}}, 90},
		{"management inside", []layer{{10, same}, {1, manage}}, 90},
		{"no limiter around", []layer{{10, unlimited}, {3, same}}, 97},
		{"no limiter inside", []layer{{3, same}, {10, unlimited}}, 97},
		{"another limit inside", []layer{{1, same}, {2, perMinute(10)}}, 79},
		{"another limit between", []layer{{3, same}, {1, perMinute(10)}, {4, same}}, 86},
		{"the same limit by another way", []layer{{1, same}, {10, perMinute(100)}}, 90},
		{"above the burst, twice", []layer{{500, same}, {1000, same}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, nil)
				h := http.Handler(ok)
				for i := len(tt.layers) - 1; i >= 0; i-- {
					h = tt.layers[i].wrap(e, middleware.Need{All: []string{"identity:read"}, Cost: tt.layers[i].cost})(h)
				}
				r := request("GET", "Bearer "+e.key("acme", 100))
				if w := serve(h, r); w.Code != 204 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				d, err := e.limiter.Take(t.Context(), "acme", ratelimit.MustPerMinute(100), 1)
				if left := d.Remaining + 1; err != nil || d.Allowed && left != tt.left || !d.Allowed && tt.left != 0 {
					t.Errorf("%+v, %v, want %d left", d, err, tt.left)
				}
			})
		})
	}
}

// A limit that a guard has for some routes holds inside a guard with a higher one. A check
// by the same guard takes nothing, also if the limit has changed since: it is the same
// request.
func TestStricterLimitInside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		perMinute := 2
		e := newEnv(t, nil)
		inner := e.another(&middleware.Options{Limit: func(keys.Principal) (ratelimit.Limit, error) { return ratelimit.PerMinute(perMinute) }})
		var again error
		h := e.guard.Authenticated()(inner.Authenticated()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			perMinute = 1
			_, again = inner.Check(r, middleware.Need{})
			perMinute = 2
		})))
		r := request("GET", "Bearer "+e.key("acme", 100))
		for i, want := range []int{200, 429} {
			if w := serve(h, r); w.Code != want || again != nil {
				t.Errorf("request %d: %d, and then %v", i, w.Code, again)
			}
		}
	})
}

// The requests of a batch are charged one by one, if their contexts have the zero Access.
// Until a guard has let them in, they come from nobody.
func TestBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, nil)
		guard := e.guard.Authenticated()
		batch := guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner := r.WithContext(middleware.NewContext(r.Context(), middleware.Access{}))
			if p, found := keys.FromContext(inner.Context()); found {
				t.Errorf("in front of the guard the request comes from %+v", p)
			}
			for range 5 {
				serve(guard(ok), inner)
			}
		}))
		r := request("GET", "Bearer "+e.key("acme", 100))
		serve(batch, r)
		if a, err := e.guard.Check(r, middleware.Need{}); err != nil || a.Quota.Remaining != 93 {
			t.Errorf("%+v, %v, want 93 left", a.Quota, err)
		}
	})
}

// with returns a guard over another limiter.
func with(t *testing.T, e *env, l *ratelimit.Limiter, err error) *middleware.Guard {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	g, err := middleware.NewGuard(e.manager.Verifier(), l, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// If the inner guard charges nothing, its decision on the quota is that of the outer one.
func TestInnerGuardKnowsTheQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		inner := env.another(&middleware.Options{LegacyQuota: true}).Authenticated()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if a, found := middleware.FromContext(r.Context()); !found || !a.Quota.Allowed || a.Quota.Remaining != 95 {
				t.Errorf("%+v", a.Quota)
			}
		}))
		w := serve(env.guard.Need(middleware.Need{Cost: 5})(inner), request("GET", "Bearer "+env.key("acme", 100)))
		if got := w.Header().Get("X-RateLimit-Remaining"); got != "95" || w.Header().Get("RateLimit") != `"default";r=95;t=1` {
			t.Errorf("%v", w.Header())
		}
	})
}

// The fields of the outer guard that the inner one does not write would be about another
// quota. They go, unless the inner guard writes none.
func TestInnerGuardReplacesTheFields(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	outer := env.another(&middleware.Options{LegacyQuota: true}).Need(middleware.Need{Cost: 3})
	byKey := func(p keys.Principal) string { return p.ID }
	for _, tt := range []struct {
		name          string
		inner         *middleware.Guard
		quota, legacy string
	}{
		{"new fields alone", env.another(&middleware.Options{Bucket: byKey}), `"default";r=9;t=6`, ""},
		{"all", env.another(&middleware.Options{Bucket: byKey, LegacyQuota: true}), `"default";r=9;t=6`, "9"},
		{"none", env.another(&middleware.Options{Bucket: byKey, OmitQuota: true}), `"default";r=7;t=6`, "7"},
		{"no limiter", with(t, env, nil, nil), `"default";r=7;t=6`, "7"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := serve(outer(tt.inner.Authenticated()(ok)), request("GET", "Bearer "+env.key(tt.name, 10)))
			if h := w.Header(); w.Code != 204 || h.Get("RateLimit") != tt.quota || h.Get("X-RateLimit-Remaining") != tt.legacy {
				t.Errorf("%s: %d %v", tt.name, w.Code, h)
			}
		})
	}
}

// The inner guard decides anew: a credential that was let in by the outer one may
// be revoked meanwhile, or lack a scope.
func TestInnerGuardChecksAgain(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.issue("acme", keys.Spec{})
	r := request("GET", "Bearer "+issued.Text.Reveal())
	outer := env.guard.Authenticated()
	if w := serve(outer(env.guard.Require("admin")(ok)), r); w.Code != 403 {
		t.Errorf("without the scope: %d", w.Code)
	}
	inner := env.guard.Authenticated()(ok)
	w := serve(outer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := env.manager.Revoke(r.Context(), "acme", keys.KindKey, issued.Record.ID); err != nil {
			t.Error(err)
		}
		inner.ServeHTTP(w, r)
	})), r)
	if w.Code != 401 {
		t.Errorf("revoked between the two: %d", w.Code)
	}
	bound := env.issue("acme", keys.Spec{Networks: networks(t, "192.0.2.0/24")})
	w = serve(outer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "198.51.100.1:1"
		inner.ServeHTTP(w, r)
	})), request("GET", "Bearer "+bound.Text.Reveal()))
	if w.Code != 403 {
		t.Errorf("another address inside: %d", w.Code)
	}
}

// The additional cost of the inner guard can be more than what is left.
func TestInnerGuardIsOverTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		h := env.guard.Authenticated()(env.guard.Need(middleware.Need{Cost: 4})(ok))
		r := request("GET", "Bearer "+env.key("acme", 6))
		w := serve(h, r)
		if got := w.Header()["Ratelimit"]; w.Code != 204 || len(got) != 1 || got[0] != `"default";r=2;t=10` {
			t.Errorf("%d %q", w.Code, got)
		}
		w = serve(h, r)
		if got := w.Header()["Ratelimit"]; w.Code != 429 || len(got) != 1 || got[0] != `"default";r=1;t=10` || w.Header().Get("Retry-After") != "20" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

// Two requests in a row, and two organizations, share nothing.
func TestOtherRequestsPayInFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		acme, globex := env.key("acme", 100), env.key("globex", 100)
		var inner *httptest.ResponseRecorder
		h := env.guard.Authenticated()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			other := request("GET", "Bearer "+globex).WithContext(r.Context())
			inner = serve(env.guard.Authenticated()(ok), other)
		}))
		serve(h, request("GET", "Bearer "+acme))
		if got := inner.Header().Get("RateLimit"); got != `"default";r=99;t=1` || inner.Code != 204 {
			t.Errorf("another organization inside: %d %s", inner.Code, got)
		}
		w := serve(h, request("GET", "Bearer "+acme))
		if got := w.Header().Get("RateLimit"); got != `"default";r=98;t=1` {
			t.Errorf("the next request: %s", got)
		}
	})
}

// NewContext hands an Access on as a guard does.
func TestNewContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		r := request("GET", "Bearer "+env.key("acme", 100))
		a, err := env.guard.Check(r, middleware.Need{Cost: 5})
		if err != nil {
			t.Fatal(err)
		}
		ctx := middleware.NewContext(r.Context(), a)
		if got, found := middleware.FromContext(ctx); !found || got != a {
			t.Errorf("%+v, want %+v", got, a)
		}
		if got, found := keys.FromContext(ctx); !found || got != a.Principal {
			t.Errorf("%+v, want %+v", got, a.Principal)
		}
		b, err := env.guard.Check(r.WithContext(ctx), middleware.Need{Cost: 6})
		if err != nil || b.Quota.Remaining != 94 {
			t.Errorf("%+v, %v", b.Quota, err)
		}
		// The zero Access does no harm, and pays for nothing.
		r = r.WithContext(middleware.NewContext(r.Context(), middleware.Access{}))
		if _, err := env.guard.Check(r, middleware.Need{}); err != nil {
			t.Error(err)
		}
		nameless := env.another(&middleware.Options{Bucket: func(keys.Principal) string { return "" }})
		if _, err := nameless.Check(r, middleware.Need{}); !errors.Is(err, middleware.ErrUnavailable) {
			t.Error(err)
		}
	})
}
