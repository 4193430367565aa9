// Echo is a service in echo whose routes need a key. Echo takes the middleware of a
// guard with echo.WrapMiddleware.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"
)

var catalog = scopes.MustCatalog(scopes.Scope{Name: "orders:read"}, scopes.Scope{Name: "admin"}, scopes.Scope{Name: "keys:manage"})

// service returns the service behind a guard. Organizations manage their keys under
// /v1/keys.
func service(guard *middleware.Guard, management *keyshttp.Handler) *echo.Echo {
	e := echo.New()
	e.Use(echomiddleware.Recover()) // and CORS, in front of guards
	e.GET("/orders", orders, echo.WrapMiddleware(guard.Require("orders:read")))
	e.GET("/healthz", func(c *echo.Context) error { return c.NoContent(http.StatusNoContent) })

	admin := e.Group("/admin", echo.WrapMiddleware(guard.Require("admin")))
	admin.GET("/stats", func(c *echo.Context) error { return c.String(http.StatusOK, "no stats\n") })

	mux := http.NewServeMux()
	management.Register(mux, "/v1/keys", guard.Manage("keys:manage"))
	e.Any("/v1/keys*", echo.WrapHandler(mux))
	return e
}

func orders(c *echo.Context) error {
	caller, _ := keys.FromContext(c.Request().Context())
	return c.String(http.StatusOK, "orders of "+caller.Org+"\n")
}

func main() {
	db := new(store.Memory)
	manager := must(keys.NewManager(db, &keys.Options{Catalog: catalog}))
	guard := must(middleware.NewGuard(manager.Verifier(), must(ratelimit.NewLimiter(db, nil)), nil))
	management := must(keyshttp.NewHandler(manager, nil))
	key := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"orders:read", "keys:manage"}}))
	fmt.Printf("curl -i http://localhost:8080/orders -H 'Authorization: Bearer %s'\n", key.Text.Reveal())
	fmt.Printf("curl http://localhost:8080/v1/keys -H 'Authorization: Bearer %s'\n", key.Text.Reveal())
	log.Fatal(http.ListenAndServe("localhost:8080", service(guard, management)))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
