package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// must returns a value that an example cannot do without.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// newExampleServer returns a server with a scope, over a store in memory.
func newExampleServer(opts *oauth.Options) (*oauth.Server, *keys.Manager) {
	catalog := scopes.MustCatalog(scopes.Scope{Name: "orders:read"}, scopes.Scope{Name: "orders:write"})
	manager := must(keys.NewManager(new(store.Memory), &keys.Options{Catalog: catalog}))
	return must(oauth.NewServer(manager, opts)), manager
}

// anna is the session of somebody who manages clients.
var anna = keys.Principal{Org: "acme", ID: "anna", Scopes: scopes.MustParse("orders:read orders:write"), RateLimit: 600}

// A client gets a token, which is checked as an API key is.
func Example() {
	ctx := context.Background()
	server, manager := newExampleServer(nil)
	client := must(server.Register(ctx, anna, oauth.ClientSpec{Name: "warehouse", Scopes: []string{"orders:read"}}))

	grant := must(server.Exchange(ctx, oauth.Request{
		GrantType:    oauth.GrantType,
		ClientID:     client.Record.ID,
		ClientSecret: client.Text,
	}))
	fmt.Println(grant.Scope, grant.ExpiresIn)

	caller := must(manager.Verifier().Verify(ctx, grant.AccessToken.Reveal()))
	fmt.Println(caller.Org, caller.Label, caller.Client == client.Record.ID)
	// Output:
	// orders:read 1h0m0s
	// acme warehouse true
}

// The handlers on a mux: the protocol's are open, those for clients are behind
// what the host protects its own routes with.
func ExampleHandler_Register() {
	server, _ := newExampleServer(nil)
	handler := must(oauth.NewHandler(server, "https://api.example.com", nil))
	signedIn := func(next http.Handler) http.Handler { // stands for a guard, or the host's session
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), anna)))
		})
	}
	mux := http.NewServeMux()
	handler.Register(mux)
	handler.RegisterClients(mux, signedIn)

	post := func(path string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	fmt.Println(post("/oauth/clients", nil).Code)
	fmt.Print(post("/oauth/token", url.Values{"grant_type": {"password"}, "client_id": {"cc_1"}, "client_secret": {"x"}}).Body)
	// Output:
	// 201
	// {"error":"unsupported_grant_type","error_description":"The grant_type must be client_credentials."}
}

// Deleting a client ends its tokens with it.
func ExampleServer_Delete() {
	ctx := context.Background()
	server, manager := newExampleServer(nil)
	client := must(server.Register(ctx, anna, oauth.ClientSpec{}))
	grant := must(server.Exchange(ctx, oauth.Request{GrantType: oauth.GrantType, ClientID: client.Record.ID, ClientSecret: client.Text}))

	if err := server.Delete(ctx, anna, client.Record.ID); err != nil {
		panic(err)
	}
	_, err := manager.Verifier().Verify(ctx, grant.AccessToken.Reveal())
	fmt.Println(err)
	// Output: keys: credential was revoked
}

// A client gets a new secret while its old one stays good for a while.
func ExampleServer_RotateSecret() {
	ctx := context.Background()
	server, _ := newExampleServer(nil)
	first := must(server.Register(ctx, anna, oauth.ClientSpec{}))
	second := must(server.RotateSecret(ctx, anna, first.Record.ID, time.Hour))

	for _, secret := range []keys.Secret{first.Text, second.Text} {
		_, err := server.Exchange(ctx, oauth.Request{GrantType: oauth.GrantType, ClientID: first.Record.ID, ClientSecret: secret})
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
}

// A client that gives a token up (RFC 7009).
func ExampleServer_Revoke() {
	ctx := context.Background()
	server, _ := newExampleServer(nil)
	client := must(server.Register(ctx, anna, oauth.ClientSpec{}))
	grant := must(server.Exchange(ctx, oauth.Request{GrantType: oauth.GrantType, ClientID: client.Record.ID, ClientSecret: client.Text}))

	fmt.Println(server.Revoke(ctx, client.Record, grant.AccessToken))
	fmt.Println(must(server.Introspect(ctx, client.Record, grant.AccessToken)).Active)
	// Output:
	// <nil>
	// false
}

// A gateway asks about the credentials of all organizations (RFC 7662), because
// the host lets it.
func ExampleOptions_mayInspect() {
	ctx := context.Background()
	server, manager := newExampleServer(&oauth.Options{
		MayInspect: func(_ context.Context, client keys.Record, about keys.Principal) bool {
			return client.Org == "infrastructure" || client.Org == about.Org
		},
	})
	ops := keys.Principal{Org: "infrastructure", ID: "ops", RateLimit: 600}
	gateway := must(server.Register(ctx, ops, oauth.ClientSpec{Name: "gateway"}))
	key := must(manager.Create(ctx, "acme", keys.Spec{Scopes: []string{"orders:read"}}))

	found := must(server.Introspect(ctx, gateway.Record, key.Text))
	fmt.Println(found.Active, found.Org, found.Scope)
	// Output: true acme orders:read
}

// Clients that are picky about the metadata (RFC 8414) get the members they want.
func ExampleHandlerOptions_metadata() {
	server, _ := newExampleServer(nil)
	handler := must(oauth.NewHandler(server, "https://api.example.com", &oauth.HandlerOptions{
		Metadata: map[string]any{"authorization_endpoint": "https://api.example.com/none"},
	}))
	mux := http.NewServeMux()
	handler.Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
	fmt.Println(strings.Contains(w.Body.String(), `"authorization_endpoint":"https://api.example.com/none"`))
	// Output: true
}
