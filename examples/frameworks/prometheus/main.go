// Prometheus is a service in echo that is traced and measured. Prometheus finds at
// /metrics what becomes of requests, limits and credentials, and how long calls of the
// store take. The spans of requests have their outcomes too. The dashboard for it is
// middleware/otelguard/dashboard.json.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/otelguard"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/labstack/echo/v5"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

var catalog = scopes.MustCatalog(scopes.Scope{Name: "orders:read"})

// A service is an HTTP service with its manager of keys.
type service struct {
	http.Handler
	manager *keys.Manager
}

// newService returns the service over a store, with spans that go to traces.
func newService(db store.Store, traces *sdktrace.TracerProvider) (*service, error) {
	registry := client.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	telemetry, err := otelguard.New(metrics, nil)
	if err != nil {
		return nil, err
	}

	manager, err := keys.NewManager(telemetry.Records(db), &keys.Options{Catalog: catalog, Hook: telemetry.Event})
	if err != nil {
		return nil, err
	}
	limiter, err := ratelimit.NewLimiter(telemetry.Limits(db), &ratelimit.Options{Hook: telemetry.LimiterFailure})
	if err != nil {
		return nil, err
	}
	guard, err := middleware.NewGuard(manager.Verifier(), limiter, &middleware.Options{Hook: telemetry.Event})
	if err != nil {
		return nil, err
	}

	e := echo.New()
	e.Use(echo.WrapMiddleware(otelhttp.NewMiddleware("api",
		otelhttp.WithTracerProvider(traces), otelhttp.WithMeterProvider(metrics)))) // in front of guards
	e.GET("/orders", orders, echo.WrapMiddleware(guard.Require("orders:read")))
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	return &service{e, manager}, nil
}

func orders(c *echo.Context) error {
	caller, _ := keys.FromContext(c.Request().Context())
	return c.String(http.StatusOK, "orders of "+caller.Org+"\n")
}

func main() {
	s, err := newService(new(store.Memory), sdktrace.NewTracerProvider()) // with an exporter of yours
	if err != nil {
		log.Fatal(err)
	}
	key, err := s.manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"orders:read"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("curl -i http://localhost:8080/orders -H 'Authorization: Bearer %s'\n", key.Text.Reveal())
	fmt.Println("curl http://localhost:8080/metrics")
	log.Fatal(http.ListenAndServe("localhost:8080", s))
}
