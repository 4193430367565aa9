package benchmarks_test

import (
	"net/http"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
)

// A path is middleware around a handler that answers 204, and requests to it.
type path struct {
	handler http.Handler
	good    *http.Request
	bad     *http.Request // nil if the middleware knows no credentials
	refusal int           // the status of the answer to bad
}

// A pathImpl is one row: how to make a path, with fields about the quota or
// without.
type pathImpl struct {
	name string
	new  func(tb testing.TB, quota bool) path
}

// guards check everything that a route needs: key, expiry, revocation, limit
// and scope. A token is looked up with its client, which may have been revoked.
var guards = []pathImpl{
	{"floor", func(_ testing.TB, quota bool) path {
		text := must(newKeyText())
		g := newFloorGuard(text, plenty)
		return path{g.require(scope, quota, nothing), bearer(text), bearer(text[:len(text)-1] + "~"), 401}
	}},
	{"claviger", func(_ testing.TB, quota bool) path {
		h := newHost(&middleware.Options{OmitQuota: !quota})
		c := h.credentials()
		return path{h.guard.Require(scope)(nothing), bearer(c.good), bearer(c.wrong), 401}
	}},
	{"claviger-token", func(_ testing.TB, quota bool) path {
		h := newHost(&middleware.Options{OmitQuota: !quota})
		e := clavigerEndpoint(h.db)
		token := e.token()
		return path{h.guard.Require(scope)(nothing), bearer(token), bearer(damaged(token)), 401}
	}},
	{"floor-typed", func(_ testing.TB, quota bool) path {
		text := must(newKeyText())
		g := newFloorGuard(text, plenty)
		typed := func(w http.ResponseWriter, _ *http.Request, _ principal) { w.WriteHeader(http.StatusNoContent) }
		return path{g.requireTyped(scope, quota, typed), bearer(text), bearer(text[:len(text)-1] + "~"), 401}
	}},
	{"claviger-typed", func(_ testing.TB, quota bool) path {
		h := newHost(&middleware.Options{OmitQuota: !quota})
		c := h.credentials()
		return path{typed(h.guard, quota), bearer(c.good), bearer(c.wrong), 401}
	}},
}

// pathGroups are the benchmarks and their rows. Middleware for authentication
// alone has no fields about a quota, so it stands in both; middleware for limits
// alone has them, and stands where they are.
var pathGroups = map[bool][]pathImpl{
	true:  concat(guards, authenticators, limitMiddleware),
	false: concat(guards, authenticators),
}

func concat(lists ...[]pathImpl) (all []pathImpl) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

func benchmarkPath(b *testing.B, quota bool) {
	for _, impl := range pathGroups[quota] {
		b.Run("impl="+impl.name, func(b *testing.B) {
			p := impl.new(b, quota)
			w := newWriter()
			b.ReportAllocs()
			for b.Loop() {
				if status := w.serve(p.handler, p.good); status != http.StatusNoContent {
					b.Fatalf("status %d", status)
				}
			}
		})
	}
}

// BenchmarkPath is one request through middleware: a key or a token, its expiry
// and revocation, the scope, the limit, the principal in the context, and the
// fields about the quota.
func BenchmarkPath(b *testing.B) { benchmarkPath(b, true) }

// BenchmarkPathBare is BenchmarkPath without the fields about the quota.
func BenchmarkPathBare(b *testing.B) { benchmarkPath(b, false) }

func TestPath(t *testing.T) {
	t.Parallel()
	for quota, impls := range pathGroups {
		for _, impl := range impls {
			t.Run(impl.name, func(t *testing.T) {
				t.Parallel()
				p, w := impl.new(t, quota), newWriter()
				for range 3 {
					if status := w.serve(p.handler, p.good); status != http.StatusNoContent {
						t.Fatalf("a good request: status %d: %s", status, w.body)
					}
				}
				if p.bad == nil {
					return
				}
				if status := w.serve(p.handler, p.bad); status != p.refusal {
					t.Errorf("a bad credential: status %d, want %d", status, p.refusal)
				}
				if status := w.serve(p.handler, bearer("")); status/100 != 4 {
					t.Errorf("no credential: status %d, want 4xx", status)
				}
			})
		}
	}
}

// TestPathFields checks that the floors write the fields that Claviger writes,
// and write none when they should not.
func TestPathFields(t *testing.T) {
	t.Parallel()
	for _, impl := range guards {
		for _, quota := range []bool{true, false} {
			p, w := impl.new(t, quota), newWriter()
			w.serve(p.handler, p.good)
			want, got := "", w.header.Get("RateLimit-Policy")
			if quota {
				want = `"default";q=1000000000;w=60`
			}
			if got != want {
				t.Errorf("%s: RateLimit-Policy %q, want %q", impl.name, got, want)
			}
			if has := w.header.Get("RateLimit") != ""; has != quota {
				t.Errorf("%s: RateLimit %q, want one: %v", impl.name, w.header.Get("RateLimit"), quota)
			}
		}
	}
}

// TestPathPrincipal checks that the handlers of both find out who calls.
func TestPathPrincipal(t *testing.T) {
	t.Parallel()
	var got []string
	h := newHost(nil)
	_, text := h.key(org, plenty)
	newWriter().serve(h.guard.Require(scope)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, _ := keys.FromContext(r.Context())
		got = append(got, p.Org)
	})), bearer(text))
	newWriter().serve(newFloorGuard(text, plenty).require(scope, true, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, _ := r.Context().Value(principalKey{}).(*principal)
		got = append(got, p.org)
	})), bearer(text))
	if len(got) != 2 || got[0] != org || got[1] != org {
		t.Errorf("principals of %q, want %q twice", got, org)
	}
}

// TestPathLimit checks that both refuse what is over the limit.
func TestPathLimit(t *testing.T) {
	t.Parallel()
	h := newHost(nil)
	_, text := h.key(org, 2)
	for name, handler := range map[string]http.Handler{
		"claviger": h.guard.Require(scope)(nothing),
		"floor":    newFloorGuard(text, 2).require(scope, true, nothing),
	} {
		w := newWriter()
		for i, want := range []int{204, 204, 429} {
			if got := w.serve(handler, bearer(text)); got != want {
				t.Errorf("%s: request %d: status %d, want %d", name, i+1, got, want)
			}
		}
	}
}
