package keyshttp_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyshttp"
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

func Example() {
	var db store.Memory
	manager := must(keys.NewManager(&db, &keys.Options{
		Catalog: scopes.MustCatalog(
			scopes.Scope{Name: "keys:manage"},
			scopes.Scope{Name: "webhooks:manage"},
			scopes.Scope{Name: "leads:read", Status: scopes.Reserved},
		),
	}))
	guard := must(middleware.NewGuard(manager.Verifier(), must(ratelimit.NewLimiter(&db.Memory, nil)), nil))
	handler := must(keyshttp.NewHandler(manager, nil))

	mux := http.NewServeMux()
	handler.Register(mux, "/v1/keys", guard.Manage("keys:manage"))
	mux.Handle("/", httpjson.NotFound(nil))

	// The host makes the first key itself. All others can be made with that one.
	first := must(manager.Create(context.Background(), "acme", keys.Spec{
		Scopes: []string{"keys:manage", "webhooks:manage"}, CreatedBy: "host:bootstrap",
	}))
	post := func(key, body string) {
		r := httptest.NewRequest("POST", "/v1/keys", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code == http.StatusCreated {
			fmt.Println(w.Code, w.Header().Get("Cache-Control"))
			return
		}
		fmt.Print(w.Code, " ", w.Body)
	}
	post(first.Text.Reveal(), `{"label": "CI", "scopes": ["webhooks:manage"]}`)
	post(first.Text.Reveal(), `{"scopes": ["leads:read"]}`)
	post(first.Text.Reveal(), `{"org": "other"}`)
	// Output:
	// 201 no-store
	// 422 {"error":"invalid_scope","error_description":"some of the scopes cannot be granted","reserved":["leads:read"],"unknown":[]}
	// 400 {"error":"invalid_request","error_description":"the body has a member that is not known here"}
}
