package middleware_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// must is for examples, whose errors are mistakes in the example.
func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// setUp returns what every host has: a manager of credentials, and a limiter.
func setUp() (*keys.Manager, *ratelimit.Limiter) {
	var db store.Memory
	manager := must(keys.NewManager(&db, &keys.Options{Catalog: scopes.MustCatalog(
		scopes.Scope{Name: "orders:read"}, scopes.Scope{Name: "orders:write"},
		scopes.Scope{Name: "export"}, scopes.Scope{Name: "admin"}, scopes.Scope{Name: "keys:manage"},
	)}))
	return manager, must(ratelimit.NewLimiter(&db.Memory, nil))
}

// newKey makes a key for the organization acme with a limit of 6 requests a minute.
func newKey(m *keys.Manager, names ...string) string {
	issued := must(m.Create(context.Background(), "acme", keys.Spec{Scopes: names, RateLimit: 6}))
	return issued.Text.Reveal()
}

// hello greets the organization that calls.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	p, _ := keys.FromContext(r.Context())
	fmt.Fprintln(w, "hello,", p.Org)
})

// get sends a request with a key, and prints the answer.
func get(h http.Handler, key string) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
}

func ExampleGuard_Require() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))

	mux := http.NewServeMux()
	mux.Handle("GET /", guard.Require("orders:read", "orders:write")(hello))

	get(mux, newKey(manager, "orders:read", "orders:write"))
	get(mux, newKey(manager, "orders:read"))
	get(mux, "junk")
	// Output:
	// 200 hello, acme
	// 403 {"error":"insufficient_scope","error_description":"The credential does not hold the scope that this request needs."}
	// 401 {"error":"invalid_token","error_description":"The credential is not valid."}
}

// An authStatus is a response to nginx's auth_request, which takes statuses other
// than 2xx, 401 and 403 for a failure of the server.
type authStatus struct{ http.ResponseWriter }

// WriteHeader answers 403 in place of those, and says which one was meant.
func (w authStatus) WriteHeader(status int) {
	if status == http.StatusBadRequest || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("X-Guard-Status", strconv.Itoa(status))
		status = http.StatusForbidden
	}
	w.ResponseWriter.WriteHeader(status)
}

// The handler that nginx asks with auth_request. See the package comment for what
// nginx is told.
func ExampleGuard_Require_nginx() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))
	allowed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	require := guard.Require("orders:read")(allowed)
	auth := func(w http.ResponseWriter, r *http.Request) { require.ServeHTTP(authStatus{w}, r) }

	r := request("GET", "Bearer "+newKey(manager, "orders:read"))
	for range 7 {
		w := httptest.NewRecorder()
		auth(w, r)
		fmt.Print(w.Code, w.Header()["X-Guard-Status"], w.Header()["Retry-After"], " ")
	}
	// Output: 204 [] [] 204 [] [] 204 [] [] 204 [] [] 204 [] [] 204 [] [] 403 [429] [10]
}

func ExampleGuard_RequireAny() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))
	h := guard.RequireAny("orders:write", "admin")(hello)

	get(h, newKey(manager, "admin"))
	get(h, newKey(manager, "orders:read"))
	// Output:
	// 200 hello, acme
	// 403 {"error":"insufficient_scope","error_description":"The credential does not hold the scope that this request needs."}
}

func ExampleGuard_Authenticated() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))

	get(guard.Authenticated()(hello), newKey(manager)) // any good credential
	// Output:
	// 200 hello, acme
}

// An export costs as much as two other requests.
func ExampleGuard_Need() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))
	export := guard.Need(middleware.Need{All: []string{"export"}, Cost: 2})
	h := export(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		access, _ := middleware.FromContext(r.Context())
		fmt.Fprintln(w, access.Quota.Remaining, "of", access.Quota.Limit.Burst(), "left")
	}))

	key := newKey(manager, "export")
	get(h, key)
	get(h, key)
	// Output:
	// 200 4 of 6 left
	// 200 2 of 6 left
}

// Management has a quota of its own: a flood of other requests, as with a leaked
// key, does not keep anybody from revoking it.
func ExampleGuard_Manage() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))
	orders, revoke := guard.Require("orders:read")(hello), guard.Manage("keys:manage")(hello)

	leaked := newKey(manager, "orders:read")
	for range 6 {
		orders.ServeHTTP(httptest.NewRecorder(), request("GET", "Bearer "+leaked))
	}
	get(orders, leaked)
	get(revoke, newKey(manager, "keys:manage"))
	// Output:
	// 429 {"error":"rate_limit_exceeded","error_description":"Too many requests. Retry after the time in the Retry-After header."}
	// 200 hello, acme
}

// For a router that is not built on net/http handlers: on an error, answer and
// return. Without the return, the request would go on.
func ExampleGuard_Check() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		access, err := guard.Check(r, middleware.Need{All: []string{"orders:read"}})
		if err != nil {
			guard.Refuse(w, r, access, err)
			return
		}
		access.SetHeader(w.Header())
		fmt.Fprintln(w, "hello,", access.Principal.Org)
	})

	get(h, newKey(manager, "orders:read"))
	get(h, newKey(manager))
	// Output:
	// 200 hello, acme
	// 403 {"error":"insufficient_scope","error_description":"The credential does not hold the scope that this request needs."}
}

// A stream of events ends with its credential. To check again costs nothing.
func ExampleGuard_Check_stream() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))
	issued := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"orders:read"}}))
	events := []string{"one", "two", "three"}
	need := middleware.Need{All: []string{"orders:read"}}
	stream := guard.Need(need)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range events {
			if _, err := guard.Check(r, need); err != nil {
				return
			}
			fmt.Fprintf(w, "data: %s\n", event)
			_ = http.NewResponseController(w).Flush()
			if event == "two" { // meanwhile, somebody revokes the key
				_ = manager.Revoke(context.Background(), "acme", keys.KindKey, issued.Record.ID)
			}
		}
	}))

	get(stream, issued.Text.Reveal())
	get(stream, issued.Text.Reveal())
	// Output:
	// 200 data: one
	// data: two
	// 401 {"error":"invalid_token","error_description":"The credential was revoked."}
}

func ExampleAccess_SetHeader() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))
	access, err := guard.Check(request("GET", "Bearer "+newKey(manager)), middleware.Need{})
	if err != nil {
		log.Fatal(err)
	}
	h := make(http.Header)
	access.SetHeader(h)
	fmt.Println(h.Get("RateLimit-Policy")) // 6 requests in 60 seconds
	fmt.Println(h.Get("RateLimit"))        // 5 are left; one more in 10 seconds
	// Output:
	// "default";q=6;w=60
	// "default";r=5;t=10
}

// In gRPC, the credential is in the metadata "authorization", and the fields about
// the quota go into the metadata of the answer.
func ExampleGuard_CheckText() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))
	metadata := map[string][]string{"authorization": {"Bearer " + newKey(manager, "orders:read")}}
	peer := netip.MustParseAddr("192.0.2.1")

	intercept := func(ctx context.Context) error {
		text, err := middleware.Bearer(metadata["authorization"])
		if err != nil {
			return err // codes.Unauthenticated
		}
		access, err := guard.CheckText(ctx, text, peer, middleware.Need{All: []string{"orders:read"}})
		for name, value := range access.Fields() {
			fmt.Println(strings.ToLower(name), value)
		}
		if err != nil {
			return err
		}
		p, _ := keys.FromContext(middleware.NewContext(ctx, access)) // the context for the handler
		fmt.Println("hello,", p.Org)
		return nil
	}
	fmt.Println(intercept(context.Background()))
	// Output:
	// ratelimit-policy "default";q=6;w=60
	// ratelimit "default";r=5;t=10
	// hello, acme
	// <nil>
}

// A sessions knows the sessions of people who have logged in.
type sessions map[string]string // the organization by the session

// VerifyAt implements middleware.Verifier.
func (s sessions) VerifyAt(_ context.Context, text string, _ time.Time) (keys.Principal, error) {
	id, isSession := strings.CutPrefix(text, "sess_")
	if !isSession {
		return keys.Principal{}, keys.ErrMalformed // of no form that we know
	}
	org, known := s[id]
	if !known {
		return keys.Principal{}, keys.ErrUnknown
	}
	return keys.Principal{Org: org, ID: "sess_" + id, Scopes: scopes.MustParse("orders:read"), RateLimit: 600}, nil
}

// Sessions of the host's own work beside keys and tokens.
func ExampleAnyOf() {
	manager, limiter := setUp()
	verifier := middleware.AnyOf(manager.Verifier(), sessions{"4711": "globex"})
	guard := must(middleware.NewGuard(verifier, limiter, nil))
	h := guard.Require("orders:read")(hello)

	get(h, newKey(manager, "orders:read"))
	get(h, "sess_4711")
	get(h, "sess_4712")
	// Output:
	// 200 hello, acme
	// 200 hello, globex
	// 401 {"error":"invalid_token","error_description":"The credential is not valid."}
}

// Behind a load balancer, addresses come from its X-Forwarded-For.
func ExampleProxies() {
	balancers := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	proxies := must(middleware.NewProxies(balancers, false))

	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.7:43210"
	r.Header.Set("X-Forwarded-For", "1.1.1.1, 198.51.100.4") // the first is the client's invention
	fmt.Println(proxies.Addr(r))

	r.RemoteAddr = "192.0.2.9:43210" // somebody else
	fmt.Println(proxies.Addr(r))
	// Output:
	// 198.51.100.4
	// 192.0.2.9
}

// An endpoint that is open to all, two requests a minute for each address.
func ExampleThrottle() {
	_, limiter := setUp()
	addresses := must(limiter.In("addr"))
	throttle := must(middleware.NewThrottle(addresses, ratelimit.MustPerMinute(2), nil))
	h := throttle.Limit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "welcome") }))

	for range 3 {
		get(h, "")
	}
	// Output:
	// 200 welcome
	// 200 welcome
	// 429 {"error":"rate_limit_exceeded","error_description":"Too many requests. Retry after the time in the Retry-After header."}
}

// In front of a reverse proxy: what is behind it does not see the caller's key,
// and its own fields about a quota do not come through beside ours.
func ExampleOptions_removeCredential() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("RateLimit", `"backend";r=7;t=1`)
		fmt.Fprintf(w, "authorization %q, organization %s\n", r.Header.Get("Authorization"), r.Header.Get("X-Org"))
	}))
	defer backend.Close()
	target := must(url.Parse(backend.URL))
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			p, _ := keys.FromContext(r.In.Context())
			r.Out.Header.Set("X-Org", p.Org) // Set, or a caller could add another
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("RateLimit")
			r.Header.Del("RateLimit-Policy")
			return nil
		},
	}

	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, &middleware.Options{RemoveCredential: true}))
	h := guard.Require("orders:read")(proxy)

	r := request("GET", "Bearer "+newKey(manager, "orders:read"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Print(w.Body)
	fmt.Println(w.Header()["Ratelimit"])
	// Output:
	// authorization "", organization acme
	// ["default";r=5;t=10]
}

// Keys in another field, and refusals in the form of RFC 9457.
func ExampleOptions_writeError() {
	manager, limiter := setUp()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, &middleware.Options{
		Sources:    []middleware.Source{{Header: "X-API-Key"}},
		WriteError: httpjson.WriteProblem,
	}))
	w := httptest.NewRecorder()
	guard.Authenticated()(hello).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Header().Get("Content-Type"))
	fmt.Print(w.Body)
	// Output:
	// application/problem+json
	// {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Send an API key or an access token in the X-API-Key header.","error":"unauthorized"}
}

// A rotation is done once nobody uses the old key any more. Until then its use is an
// event, and after its end it is an alarm.
func ExampleOptions_hook() {
	manager, limiter := setUp()
	ctx := context.Background()
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, &middleware.Options{
		Hook: func(_ context.Context, e keys.Event) {
			switch e.Type {
			case keys.UsedReplaced:
				fmt.Println(e.Org, "still uses a replaced key; its successor is known:", e.ReplacedBy != "")
			case keys.UsedEnded:
				fmt.Println("alarm: a replaced key is used after its end:", e.Reason)
			}
		},
	}))
	h := guard.Authenticated()(hello)

	old := must(manager.Create(ctx, "acme", keys.Spec{}))
	must(manager.Rotate(ctx, "acme", old.Record.ID, keys.Rotation{Overlap: time.Hour}))
	get(h, old.Text.Reveal())
	get(h, old.Text.Reveal()) // is told of once a minute
	if err := manager.Revoke(ctx, "acme", keys.KindKey, old.Record.ID); err != nil {
		log.Fatal(err)
	}
	get(h, old.Text.Reveal())
	// Output:
	// acme still uses a replaced key; its successor is known: true
	// 200 hello, acme
	// 200 hello, acme
	// alarm: a replaced key is used after its end: revoked
	// 401 {"error":"invalid_token","error_description":"The credential was revoked."}
}
