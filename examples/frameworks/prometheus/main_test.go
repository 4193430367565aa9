package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware/otelguard"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func get(s *service, path, key string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	s.ServeHTTP(w, r)
	return w
}

// What Prometheus and a trace say of some requests.
func TestService(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	faults := storetest.NewFaults(new(store.Memory))
	s, err := newService(faults, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	if err != nil {
		t.Fatal(err)
	}
	issued, err := s.manager.Create(t.Context(), "acme", keys.Spec{Scopes: []string{"orders:read"}, RateLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	key := issued.Text.Reveal()
	for _, tt := range []struct {
		key    string
		status int
	}{{key, 200}, {key, 429}, {"", 401}} {
		if w := get(s, "/orders", tt.key); w.Code != tt.status {
			t.Errorf("%d %s, want %d", w.Code, w.Body, tt.status)
		}
	}
	faults.Fail(storetest.Take, 1, errors.New("down"))
	if w := get(s, "/orders", key); w.Code != 429 { // by what the process knows
		t.Errorf("%d %s", w.Code, w.Body)
	}

	page := get(s, "/metrics", "").Body.String()
	scope := `otel_scope_name="github.com/claviger-auth/claviger/middleware/otelguard",otel_scope_schema_url="",otel_scope_version=""`
	for _, line := range []string{
		`claviger_requests_total{claviger_kind="key",claviger_outcome="accepted",SCOPE} 1`,
		`claviger_requests_total{claviger_kind="key",claviger_outcome="rate_limited",SCOPE} 2`,
		`claviger_requests_total{claviger_kind="none",claviger_outcome="no_credential",SCOPE} 1`,
		`claviger_limit_decisions_total{claviger_outcome="admitted",SCOPE} 1`,
		`claviger_limit_failures_total{claviger_space="org",SCOPE} 1`,
		`claviger_store_call_duration_seconds_count{claviger_call="get",claviger_outcome="ok",SCOPE} 3`,
		`claviger_store_call_duration_seconds_count{claviger_call="take",claviger_outcome="error",SCOPE} 1`,
		`claviger_changes_total{claviger_change="created",claviger_kind="key",claviger_outcome="ok",SCOPE} 1`,
	} {
		if line = strings.Replace(line, "SCOPE", scope, 1); !strings.Contains(page, line+"\n") {
			t.Errorf("no %s in\n%s", line, page)
		}
	}
	if id := issued.Record.ID; strings.Contains(page, id) || strings.Contains(page, "acme") {
		t.Error("somebody is named in the metrics")
	}

	var seen []string
	for _, span := range spans.Ended() {
		for _, a := range span.Attributes() {
			if strings.HasPrefix(string(a.Key), "claviger.") {
				seen = append(seen, string(a.Key)+"="+a.Value.String())
			}
		}
	}
	for _, want := range []string{"claviger.outcome=accepted", "claviger.org=acme", "claviger.id=" + issued.Record.ID, "claviger.outcome=rate_limited"} {
		if !slices.Contains(seen, want) {
			t.Errorf("no %s in the spans: %q", want, seen)
		}
	}
}

// The dashboard asks for metrics that there are, by attributes that they have.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../middleware/otelguard/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	page := exported(t)
	seen := make(map[string]bool)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			for _, name := range regexp.MustCompile(`claviger_[a-z_]+`).FindAllString(target.Expr, -1) {
				seen[name] = true
				if !strings.Contains(page, name+"{") && !strings.Contains(page, name+"=") {
					t.Errorf("%s: there is no %s", p.Title, name)
				}
			}
		}
	}
	for line := range strings.SplitSeq(page, "\n") {
		name, found := strings.CutPrefix(line, "# TYPE ")
		name, kind, _ := strings.Cut(name, " ")
		if kind == "histogram" {
			name += "_bucket"
		}
		if found && strings.HasPrefix(name, "claviger_") && !seen[name] {
			t.Errorf("%s is on no panel", name)
		}
	}
}

// exported returns the page for Prometheus on which each metric has a value.
func exported(t *testing.T) (page string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		registry := client.NewRegistry()
		exporter, err := prometheus.New(prometheus.WithRegisterer(registry))
		if err != nil {
			t.Fatal(err)
		}
		telemetry, err := otelguard.New(sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter)), nil)
		if err != nil {
			t.Fatal(err)
		}
		cache, err := keys.NewCache(telemetry.Records(feed{storetest.NewFaults(new(store.Memory))}), nil)
		if err != nil {
			t.Fatal(err)
		}
		leases, err := ratelimit.NewLeases(storetest.NewFaults(new(store.Memory)), nil)
		if err != nil {
			t.Fatal(err)
		}
		uses, err := keys.NewUses(new(store.Memory), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, observe := range []func() (metric.Registration, error){
			func() (metric.Registration, error) { return telemetry.ObserveCache(cache) },
			func() (metric.Registration, error) { return telemetry.ObserveLeases(leases) },
			func() (metric.Registration, error) { return telemetry.ObserveUses(uses) },
		} {
			if _, err := observe(); err != nil {
				t.Fatal(err)
			}
		}
		for _, typ := range []keys.EventType{keys.Created, keys.Accepted, keys.UsedReplaced} {
			telemetry.Event(t.Context(), keys.Event{Type: typ, Org: "acme", ID: "x", Kind: keys.KindKey})
		}
		telemetry.LimiterFailure(t.Context(), ratelimit.Bucket{Space: "org", Name: "acme"}, errors.New("down"))
		ctx, cancel := context.WithCancel(t.Context())
		go cache.Run(ctx) // which polls the feed
		synctest.Wait()
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		page = w.Body.String()
		cancel()
	})
	return page
}

// A feed is a store with a feed that has no news.
type feed struct{ keys.Store }

func (feed) Announce(context.Context, string, time.Duration) error     { return nil }
func (feed) Withdraw(context.Context, ...string) error                 { return nil }
func (feed) MarkIdle(context.Context, time.Duration) ([]string, error) { return nil, nil }
func (feed) LongestLease(context.Context) (time.Duration, error)       { return 0, nil }
func (feed) Poll(context.Context, string, keys.Position) (keys.Changes, error) {
	return keys.Changes{}, nil
}
