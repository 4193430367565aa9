package ginguard_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/ginguard"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/gin-gonic/gin"
)

// A service with one route, for which a key needs a scope.
func Example() {
	db := new(store.Memory)
	opts := &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "orders:read"})}
	manager := must(keys.NewManager(db, opts))
	limiter := must(ratelimit.NewLimiter(db, nil))
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))

	r := gin.New()
	r.GET("/orders", ginguard.Wrap(guard.Require("orders:read")), func(c *gin.Context) {
		caller, _ := keys.FromContext(c.Request.Context())
		c.String(200, "orders of %s", caller.Org)
	})

	key := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"orders:read"}}))
	for _, authorization := range []string{"Bearer " + key.Text.Reveal(), "Bearer junk"} {
		req := httptest.NewRequest("GET", "/orders", nil)
		req.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		fmt.Println(w.Code, w.Header().Get("RateLimit"), w.Body)
	}
	// Output:
	// 200 "default";r=599;t=1 orders of acme
	// 401  {"error":"invalid_token","error_description":"The credential is not valid."}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
