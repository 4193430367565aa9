package guardtest_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/google/go-cmp/cmp"
)

// netHTTP starts servers with nothing but net/http.
func netHTTP(http2 bool) guardtest.Start {
	return func(t testing.TB, routes []guardtest.Route) guardtest.Client {
		mux := http.NewServeMux()
		for _, r := range routes {
			h := r.Handler()
			for _, m := range slices.Backward(r.Middleware()) {
				h = m(h)
			}
			mux.Handle("GET /"+r.Name, h)
		}
		return guardtest.Serve(t, mux, http2)
	}
}

func TestNetHTTP(t *testing.T) {
	t.Parallel()
	t.Run("HTTP/1.1", func(t *testing.T) {
		t.Parallel()
		guardtest.Test(t, netHTTP(false), nil)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		guardtest.Test(t, netHTTP(true), nil)
	})
}

// byHand starts servers whose handlers ask a guard themselves.
func byHand(handle func(w http.ResponseWriter, r *http.Request, route *guardtest.Route)) guardtest.Start {
	return func(t testing.TB, routes []guardtest.Route) guardtest.Client {
		mux := http.NewServeMux()
		for _, route := range routes {
			mux.HandleFunc("GET /"+route.Name, func(w http.ResponseWriter, r *http.Request) { handle(w, r, &route) })
		}
		return guardtest.Serve(t, mux, false)
	}
}

// check asks the guards of a route, and answers refusals.
func check(w http.ResponseWriter, r *http.Request, route *guardtest.Route) (_ *http.Request, ok bool) {
	for _, n := range route.Needs {
		a, err := route.Guard.Check(r, n)
		if err != nil {
			route.Guard.Refuse(w, r, a, err)
			return r, false
		}
		a.SetHeader(w.Header())
		r = r.WithContext(middleware.NewContext(r.Context(), a))
	}
	return r, true
}

// An adapter that is right passes, and each mistake breaks the rules that are about it.
func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		handle func(w http.ResponseWriter, r *http.Request, route *guardtest.Route)
		want   []string
	}{
		{"none", func(w http.ResponseWriter, r *http.Request, route *guardtest.Route) {
			if r, ok := check(w, r, route); ok {
				route.Handler().ServeHTTP(w, r)
			}
		}, nil},
		{"the handler runs after a refusal", func(w http.ResponseWriter, r *http.Request, route *guardtest.Route) {
			r, _ = check(w, r, route)
			route.Handler().ServeHTTP(w, r)
		}, []string{
			"refuses-credentials", "refuses-addresses", "refuses-over-the-limit", "refuses-without-scope",
			"checks-in-order", "refuses-if-the-store-fails", "takes-the-cost", "manages-on-another-bucket", "checks-again-inside",
			"survives-panics", "streams", "refuses-clients-that-have-gone",
		}},
		{"the handler gets the request without the principal", func(w http.ResponseWriter, r *http.Request, route *guardtest.Route) {
			if _, ok := check(w, r, route); ok {
				route.Handler().ServeHTTP(w, r)
			}
		}, []string{"admits", "keeps-requests-apart", "streams"}},
		{"a guard inside is on its own", func(w http.ResponseWriter, r *http.Request, route *guardtest.Route) {
			admitted := r
			for _, n := range route.Needs {
				a, err := route.Guard.Check(r, n)
				if err != nil {
					route.Guard.Refuse(w, r, a, err)
					return
				}
				a.SetHeader(w.Header())
				admitted = r.WithContext(middleware.NewContext(r.Context(), a))
			}
			route.Handler().ServeHTTP(w, admitted)
		}, []string{"charges-once", "checks-again-inside"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			broken := guardtest.Check(t, byHand(tt.handle), nil)
			if diff := cmp.Diff(tt.want, broken); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Refusals that the wrapper makes up break nearly everything.
func TestMadeUpRefusalsAreFound(t *testing.T) {
	t.Parallel()
	broken := guardtest.Check(t, byHand(func(w http.ResponseWriter, r *http.Request, route *guardtest.Route) {
		if _, err := route.Guard.Check(r, route.Needs[0]); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		route.Handler().ServeHTTP(w, r)
	}), nil)
	for _, name := range []string{"admits", "refuses-credentials", "refuses-over-the-limit", "refuses-if-the-store-fails"} {
		if !slices.Contains(broken, name) {
			t.Errorf("%s is not found", name)
		}
	}
}
