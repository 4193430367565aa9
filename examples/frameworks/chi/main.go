// Chi is a service in chi whose routes need a key. Chi takes the middleware of a guard
// without an adapter.
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
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
)

var catalog = scopes.MustCatalog(scopes.Scope{Name: "orders:read"}, scopes.Scope{Name: "admin"})

// service returns the service behind a guard. One guard is around a group, and another
// around each route in it; together they charge a request once.
func service(guard *middleware.Guard) http.Handler {
	r := chi.NewRouter()
	r.Use(chimiddleware.Recoverer) // and CORS, in front of guards
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	r.Group(func(r chi.Router) {
		r.Use(guard.Authenticated())
		r.With(guard.Require("orders:read")).Get("/orders", orders)
		r.With(guard.Require("admin")).Get("/stats", stats)
	})
	return r
}

func orders(w http.ResponseWriter, r *http.Request) {
	caller, _ := keys.FromContext(r.Context())
	fmt.Fprintf(w, "orders of %s\n", caller.Org)
}

func stats(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "no stats") }

func main() {
	db := new(store.Memory)
	manager := must(keys.NewManager(db, &keys.Options{Catalog: catalog}))
	guard := must(middleware.NewGuard(manager.Verifier(), must(ratelimit.NewLimiter(db, nil)), nil))
	key := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"orders:read"}}))
	fmt.Printf("curl -i http://localhost:8080/orders -H 'Authorization: Bearer %s'\n", key.Text.Reveal())
	log.Fatal(http.ListenAndServe("localhost:8080", service(guard)))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
