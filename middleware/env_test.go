package middleware_test

import (
	"context"
	"encoding/json"
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
	scopes.Scope{Name: "export"},
	scopes.Scope{Name: "admin"},
)

// env is a guard over a store whose faults a test can choose.
type env struct {
	t       testing.TB
	faults  *storetest.Faults
	manager *keys.Manager
	limiter *ratelimit.Limiter
	guard   *middleware.Guard

	mu     sync.Mutex
	events []keys.Event
}

func newEnv(t testing.TB, opts *middleware.Options) *env {
	t.Helper()
	e := &env{t: t, faults: storetest.NewFaults(new(store.Memory))}
	var err error
	if e.manager, err = keys.NewManager(e.faults, &keys.Options{Catalog: catalog}); err != nil {
		t.Fatal(err)
	}
	if e.limiter, err = ratelimit.NewLimiter(e.faults, &ratelimit.Options{OnFailure: ratelimit.FailClosed}); err != nil {
		t.Fatal(err)
	}
	e.guard = e.another(opts)
	return e
}

// another returns one more guard over the same verifier and limiter, which tells
// the same events.
func (e *env) another(opts *middleware.Options) *middleware.Guard {
	e.t.Helper()
	var o middleware.Options
	if opts != nil {
		o = *opts
	}
	o.Hook = func(_ context.Context, event keys.Event) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.events = append(e.events, event)
	}
	g, err := middleware.NewGuard(e.manager.Verifier(), e.limiter, &o)
	if err != nil {
		e.t.Fatal(err)
	}
	return g
}

// issue makes a key.
func (e *env) issue(org string, spec keys.Spec) keys.Issued {
	e.t.Helper()
	issued, err := e.manager.Create(context.Background(), org, spec)
	if err != nil {
		e.t.Fatal(err)
	}
	return issued
}

// key makes a key for org and returns its text.
func (e *env) key(org string, limit int, names ...string) string {
	e.t.Helper()
	return e.issue(org, keys.Spec{Scopes: names, RateLimit: limit}).Text.Reveal()
}

// told returns the events since it was last called.
func (e *env) told() []keys.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	events := e.events
	e.events = nil
	return events
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

// answer is what a client sees of a refusal.
type answer struct {
	Status      int
	Challenge   string
	Error       string
	Description string
}

func answerOf(t *testing.T, w *httptest.ResponseRecorder) answer {
	t.Helper()
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	h := w.Header()
	if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("header %v", h)
	}
	if n := len(h.Values("WWW-Authenticate")); n > 1 {
		t.Errorf("%d challenges", n)
	}
	return answer{w.Code, h.Get("WWW-Authenticate"), body.Error, body.Description}
}

// The answers of the table in the package comment.
var (
	unauthorized = answer{
		401, `Bearer realm="api"`, "unauthorized",
		"Send an API key or an access token as a Bearer credential in the Authorization header.",
	}
	invalidToken = tokenError("The credential is not valid.")
	severalCreds = answer{
		400, `Bearer realm="api", error="invalid_request", error_description="The request has more than one credential."`,
		"invalid_request", "The request has more than one credential.",
	}
)

func tokenError(description string) answer {
	return answer{401, `Bearer realm="api", error="invalid_token", error_description="` + description + `"`, "invalid_token", description}
}
