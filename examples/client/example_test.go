package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/examples/client"
	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

var needNothing = middleware.Need{}

// A key is a token that never expires.
func Example_key() {
	api, key, _ := serve()
	defer api.Close()

	ctx := context.Background()
	c := oauth2.NewClient(ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: key}))
	fmt.Println(get(c, api.URL+"/hello"))
	// Output: 200 Hello, acme.
}

// A client fetches a token, uses it for all requests, and fetches another one when it is
// about to expire.
func Example_clientCredentials() {
	api, _, config := serve()
	defer api.Close()

	ctx := context.Background()
	c := config.Client(ctx)
	for range 2 {
		fmt.Println(get(c, api.URL+"/hello"))
	}
	fmt.Println("tokens fetched:", api.fetched)
	// Output:
	// 200 Hello, acme.
	// 200 Hello, acme.
	// tokens fetched: 1
}

// A client that waits when it is over the limit. The transport is put under the one that
// adds the token.
func ExampleRetry() {
	api, _, config := serve()
	defer api.Close()

	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: new(client.Retry)})
	c := config.Client(ctx)
	for range 3 { // one more than the limit allows at once
		fmt.Println(get(c, api.URL+"/hello"))
	}
	fmt.Println("refused:", api.refused)
	// Output:
	// 200 Hello, acme.
	// 200 Hello, acme.
	// 200 Hello, acme.
	// refused: 1
}

// An api is one with a guard, and a token endpoint.
type api struct {
	*httptest.Server
	fetched, refused int
}

// serve starts an API, and returns a key of it, and the settings of a client.
func serve() (a *api, key string, config *clientcredentials.Config) {
	a = new(api)
	db := new(store.Memory)
	manager := must(keys.NewManager(db, nil))
	limit := func(keys.Principal) (ratelimit.Limit, error) { return ratelimit.Per(60, time.Minute, 2) }
	guard := must(middleware.NewGuard(manager.Verifier(), must(ratelimit.NewLimiter(db, nil)), &middleware.Options{
		Limit: limit,
		Hook: func(_ context.Context, e keys.Event) {
			if e.Reason == keys.ReasonLimit {
				a.refused++
			}
		},
	}))
	mux := http.NewServeMux()
	mux.Handle("GET /hello", guard.Authenticated()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := keys.FromContext(r.Context())
		fmt.Fprintf(w, "Hello, %s.", caller.Org)
	})))
	must(oauth.NewHandler(must(oauth.NewServer(manager, nil)), "http://issuer.example", nil)).Register(mux)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			a.fetched++
		}
		mux.ServeHTTP(w, r)
	}))
	ctx := context.Background()
	issued := must(manager.Create(ctx, "acme", keys.Spec{}))
	made := must(manager.Create(ctx, "acme", keys.Spec{Kind: keys.KindClient}))
	return a, issued.Text.Reveal(), &clientcredentials.Config{
		ClientID: made.Record.ID, ClientSecret: made.Text.Reveal(), TokenURL: a.URL + "/oauth/token",
	}
}

// get returns the status and the body of an answer.
func get(c *http.Client, url string) string {
	resp := must(c.Get(url))
	defer resp.Body.Close()
	return fmt.Sprint(resp.StatusCode, " ", string(must(io.ReadAll(resp.Body))))
}

func newRequest(ctx context.Context, body io.Reader) *http.Request {
	return must(http.NewRequestWithContext(ctx, http.MethodPost, "http://api.example/", body))
}

func withKey(r *http.Request, key string) *http.Request {
	r.Header.Set("Authorization", "Bearer "+key)
	return r
}

// send sends a request with a key, and returns the status and the body of the answer.
func send(t *testing.T, through http.RoundTripper, r *http.Request, key string) string {
	t.Helper()
	resp, err := through.RoundTrip(withKey(r, key))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(body))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
