package middleware_test

import (
	"context"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

var catalog = scopes.MustCatalog(
	scopes.Scope{Name: "identity:read", Status: scopes.Always},
	scopes.Scope{Name: "webhooks:manage"},
)

// env is a guard over a store whose faults a test can choose.
type env struct {
	t       testing.TB
	faults  *storetest.Faults
	manager *keys.Manager
	guard   *middleware.Guard

	mu     sync.Mutex
	events []keys.Event
}

func newEnv(t testing.TB, opts *middleware.Options) *env {
	t.Helper()
	e := &env{t: t, faults: storetest.NewFaults(new(store.Memory))}
	hook := func(_ context.Context, event keys.Event) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.events = append(e.events, event)
	}
	var err error
	if e.manager, err = keys.NewManager(e.faults, &keys.Options{Catalog: catalog}); err != nil {
		t.Fatal(err)
	}
	limiter, err := ratelimit.NewLimiter(e.faults, &ratelimit.Options{OnFailure: ratelimit.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	var o middleware.Options
	if opts != nil {
		o = *opts
	}
	o.Hook = hook
	if e.guard, err = middleware.NewGuard(e.manager.Verifier(), limiter, &o); err != nil {
		t.Fatal(err)
	}
	return e
}

// key makes a key for org and returns its text.
func (e *env) key(org string, limit int, names ...string) string {
	e.t.Helper()
	issued, err := e.manager.Create(context.Background(), org, keys.Spec{Scopes: names, RateLimit: limit})
	if err != nil {
		e.t.Fatal(err)
	}
	return issued.Text.Reveal()
}

// last returns the newest event.
func (e *env) last() keys.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.events[len(e.events)-1]
}

// all is the need of some scopes.
func all(names ...string) middleware.Need { return middleware.Need{All: names} }

// networks returns a set of networks.
func networks(tb testing.TB, text string) keys.Networks {
	tb.Helper()
	n, err := keys.ParseNetworks(text)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func hookNothing(context.Context, keys.Event) {}

// request returns a request with an Authorization field for each line.
func request(method string, lines ...string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	for _, line := range lines {
		r.Header.Add("Authorization", line)
	}
	return r
}

// serve has h answer r.
func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// ok answers 204 and the caller's ID in the field X-Caller.
var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if p, found := keys.FromContext(r.Context()); found {
		w.Header().Set("X-Caller", p.ID)
	}
	w.WriteHeader(http.StatusNoContent)
})

// checksumOf returns the checksum of a key, after its documentation.
func checksumOf(text string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := ""
	for n, i := crc32.ChecksumIEEE([]byte(text)), 0; i < 6; n, i = n/62, i+1 {
		sum = string(digits[n%62]) + sum
	}
	return sum
}
