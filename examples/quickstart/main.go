// Quickstart is the least program that protects a handler: one key, one scope,
// the limit of 600 requests a minute, and everything in memory.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

func main() {
	db := new(store.Memory)
	opts := &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "hello:read"})}
	manager := must(keys.NewManager(db, opts))
	limiter := must(ratelimit.NewLimiter(db, nil))
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))
	key := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"hello:read"}}))

	fmt.Printf("curl -i http://localhost:8080/hello -H 'Authorization: Bearer %s'\n", key.Text.Reveal())
	http.Handle("GET /hello", guard.Require("hello:read")(http.HandlerFunc(hello)))
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

func hello(w http.ResponseWriter, r *http.Request) {
	caller, _ := keys.FromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s.\n", caller.Org)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
