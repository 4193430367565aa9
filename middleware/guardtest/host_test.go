package guardtest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
)

// orders is a service as a host has it.
func orders(guard *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := keys.FromContext(r.Context())
		fmt.Fprintf(w, "orders of %s", p.Org)
	})))
	return mux
}

var options = &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "orders:read"})}

func get(h http.Handler, key string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest("GET", "/orders", nil), httptest.NewRecorder()
	r.Header.Set("Authorization", "Bearer "+key)
	h.ServeHTTP(w, r)
	return w
}

// A host's own test: who may do what, a database that is down, one that is slow, and
// a quota that is used up and comes back.
func TestHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host := guardtest.New(t, options, nil)
		service := orders(host.Guard)
		key := host.Key("acme", "orders:read")
		expect := func(status int, key string) {
			t.Helper()
			if w := get(service, key); w.Code != status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, status)
			}
		}

		expect(200, key)
		expect(403, host.Key("acme"))
		expect(401, "no key")
		if w := get(service, key); w.Body.String() != "orders of acme" {
			t.Errorf("%s", w.Body)
		}

		host.Faults.Fail(storetest.Get, 1, errors.New("down"))
		expect(503, key)
		expect(200, key)

		release := host.Faults.Block(storetest.Get)
		before := time.Now()
		expect(503, key) // the library waits for as long as keys.Options.Timeout says
		if waited := time.Since(before); waited != keys.DefaultTimeout {
			t.Errorf("waited for %v", waited)
		}
		release()

		host.Faults.Corrupt(storetest.Get, 1, func(r *keys.Record) { r.Org = "" })
		expect(503, key) // a damaged record lets nobody in
		host.Faults.Fail(storetest.Take, storetest.Always, errors.New("down"))
		expect(200, key) // by buckets of the process
		host.Faults.Heal()

		lost := host.Issue("acme", keys.Spec{Scopes: []string{"orders:read"}})
		host.Faults.Lose(storetest.Update, 1, errors.New("connection reset"))
		err := host.Manager.Revoke(t.Context(), "acme", keys.KindKey, lost.Record.ID)
		if !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		expect(401, lost.Text.Reveal()) // it was written all the same

		few := host.Issue("globex", keys.Spec{Scopes: []string{"orders:read"}, RateLimit: 1})
		expect(200, few.Text.Reveal())
		expect(429, few.Text.Reveal())
		time.Sleep(time.Minute) // on the test's own clock
		expect(200, few.Text.Reveal())
		host.Revoke(few)
		expect(401, few.Text.Reveal())
		if n := host.Faults.Calls(storetest.Insert); n != 4 {
			t.Errorf("%d keys were made", n)
		}
	})
}

// Options that are wrong end a test.
func TestNewEndsTheTest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(t testing.TB)
	}{
		{"keys", func(t testing.TB) { guardtest.New(t, &keys.Options{RateLimit: -1}, nil) }},
		{"guard", func(t testing.TB) { guardtest.New(t, nil, &middleware.Options{Realm: `"`}) }},
		{"scope", func(t testing.TB) { guardtest.New(t, nil, nil).Key("acme", "orders:read") }},
		{"credential", func(t testing.TB) { guardtest.New(t, nil, nil).Revoke(keys.Issued{}) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if !guardtest.Fails(t, tt.make) {
				t.Error("went well")
			}
		})
	}
}
