package otelguard_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/otelguard"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"go.opentelemetry.io/otel/metric/noop"
)

// Five lines of a service know of telemetry. The provider here drops everything; the
// folder examples/frameworks/prometheus of the repository has one that exports.
func Example() {
	provider := noop.NewMeterProvider()
	telemetry := must(otelguard.New(provider, nil))

	db := new(store.Memory)
	manager := must(keys.NewManager(telemetry.Records(db), &keys.Options{Hook: telemetry.Event}))
	limiter := must(ratelimit.NewLimiter(telemetry.Limits(db), &ratelimit.Options{Hook: telemetry.LimiterFailure}))
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, &middleware.Options{Hook: telemetry.Event}))

	h := guard.Authenticated()(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	key := must(manager.Create(context.Background(), "acme", keys.Spec{}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+key.Text.Reveal())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
