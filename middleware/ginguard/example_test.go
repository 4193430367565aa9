package ginguard_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
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

// An organization manages its keys: what registers with a ServeMux is served by gin at
// its path, and below it.
func ExampleWrap_management() {
	opts := &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "keys:manage"})}
	manager := must(keys.NewManager(new(store.Memory), opts))
	guard := must(middleware.NewGuard(manager.Verifier(), nil, nil))
	handler := must(keyshttp.NewHandler(manager, nil))

	mux := http.NewServeMux()
	handler.Register(mux, "/v1/keys", guard.Manage("keys:manage"))
	r := gin.New()
	r.Any("/v1/keys", gin.WrapH(mux))
	r.Any("/v1/keys/*rest", gin.WrapH(mux))

	key := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"keys:manage"}}))
	for _, path := range []string{"/v1/keys", "/v1/keys/" + key.Record.ID} {
		req := httptest.NewRequest("GET", path, nil)
		req.Header.Set("Authorization", "Bearer "+key.Text.Reveal())
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		fmt.Println(w.Code, strings.Contains(w.Body.String(), key.Record.ID))
	}
	// Output:
	// 200 true
	// 200 true
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
