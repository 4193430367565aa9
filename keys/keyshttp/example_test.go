package keyshttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// signedIn stands for what protects the routes, such as guard.Manage("keys:manage")
// or the host's own session code. Here all requests come from one user.
func signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := keys.Principal{
			Org: "acme", ID: "anna", RateLimit: 600,
			Scopes: scopes.MustParse("identity:read webhooks:manage"),
		}
		next.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), p)))
	})
}

func Example() {
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{
		Catalog: scopes.MustCatalog(
			scopes.Scope{Name: "identity:read", Status: scopes.Always},
			scopes.Scope{Name: "webhooks:manage"},
			scopes.Scope{Name: "leads:read", Status: scopes.Reserved},
		),
	})
	if err != nil {
		panic(err)
	}
	handler, err := keyshttp.NewHandler(manager, nil)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	handler.Register(mux, "/v1/keys", signedIn)
	mux.Handle("/", httpjson.NotFound(nil))

	post := func(body string) {
		r := httptest.NewRequest("POST", "/v1/keys", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code == http.StatusCreated {
			fmt.Println(w.Code, w.Header().Get("Cache-Control"))
			return
		}
		fmt.Print(w.Code, " ", w.Body)
	}
	post(`{"label": "CI", "scopes": ["webhooks:manage"]}`)
	post(`{"scopes": ["leads:read"]}`)
	post(`{"org": "other"}`)
	// Output:
	// 201 no-store
	// 422 {"error":"invalid_scope","error_description":"some of the scopes cannot be granted","reserved":["leads:read"],"unknown":[]}
	// 400 {"error":"invalid_request","error_description":"the body has a member that is not known here"}
}
