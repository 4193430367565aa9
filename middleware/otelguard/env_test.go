package otelguard_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/claviger-auth/claviger/middleware/otelguard"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// A provider has one meter.
type provider struct {
	noop.MeterProvider
	r *recorder
}

func (p provider) Meter(string, ...metric.MeterOption) metric.Meter { return p.r }

// A recorder is a meter that remembers what it is told, as lines of a name and its
// attributes with what was added to them, or how often they were recorded.
type recorder struct {
	noop.Meter

	mu        sync.Mutex
	sums      map[string]int64
	last      map[string]float64
	callbacks []metric.Callback
	fail      error
}

func newTelemetry(t testing.TB, opts *otelguard.Options) (*otelguard.Telemetry, *recorder) {
	t.Helper()
	r := &recorder{sums: make(map[string]int64), last: make(map[string]float64)}
	o, err := otelguard.New(provider{r: r}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return o, r
}

func line(name string, set attribute.Set) string {
	for _, kv := range set.ToSlice() {
		name += fmt.Sprintf(" %s=%s", kv.Key, kv.Value.String())
	}
	return name
}

// all returns the lines and forgets them.
func (r *recorder) all() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	sums := r.sums
	r.sums = make(map[string]int64)
	return sums
}

func (r *recorder) add(name string, set attribute.Set, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sums[line(name, set)] += n
}

func (r *recorder) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counter{r: r, name: name}, r.fail
}

type counter struct {
	noop.Int64Counter
	r    *recorder
	name string
}

func (c counter) Add(_ context.Context, n int64, opts ...metric.AddOption) {
	c.r.add(c.name, metric.NewAddConfig(opts).Attributes(), n)
}

func (r *recorder) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return histogram{r: r, name: name}, r.fail
}

type histogram struct {
	noop.Float64Histogram
	r    *recorder
	name string
}

func (h histogram) Record(_ context.Context, value float64, opts ...metric.RecordOption) {
	set := metric.NewRecordConfig(opts).Attributes()
	h.r.add(h.name, set, 1)
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	h.r.last[line(h.name, set)] = value
}

// An observable knows its name.
type observable struct {
	noop.Int64ObservableCounter
	name string
}

type floatObservable struct {
	noop.Float64ObservableGauge
	name string
}

type gauge struct {
	noop.Int64ObservableGauge
	name string
}

func (r *recorder) Int64ObservableCounter(name string, _ ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return observable{name: name}, r.fail
}

func (r *recorder) Int64ObservableGauge(name string, _ ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return gauge{name: name}, r.fail
}

func (r *recorder) Float64ObservableGauge(name string, _ ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	return floatObservable{name: name}, r.fail
}

func (r *recorder) RegisterCallback(f metric.Callback, of ...metric.Observable) (metric.Registration, error) {
	if len(of) == 0 {
		panic("a callback for nothing")
	}
	r.callbacks = append(r.callbacks, f)
	return noop.Registration{}, r.fail
}

// An observer collects what callbacks observe, as lines.
type observer struct {
	noop.Observer
	seen map[string]float64
}

func (o observer) ObserveInt64(what metric.Int64Observable, n int64, opts ...metric.ObserveOption) {
	name := ""
	switch what := what.(type) {
	case observable:
		name = what.name
	case gauge:
		name = what.name
	}
	o.seen[line(name, metric.NewObserveConfig(opts).Attributes())] = float64(n)
}

func (o observer) ObserveFloat64(what metric.Float64Observable, x float64, _ ...metric.ObserveOption) {
	o.seen[what.(floatObservable).name] = x
}

func (r *recorder) collect(t testing.TB) map[string]float64 {
	t.Helper()
	o := observer{seen: make(map[string]float64)}
	for _, f := range r.callbacks {
		if err := f(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
	return o.seen
}

// A span remembers its attributes.
type span struct {
	tracenoop.Span
	mu         sync.Mutex
	attributes map[string]string
	errs       []error
}

func (*span) IsRecording() bool { return true }

func (s *span) SetAttributes(kv ...attribute.KeyValue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range kv {
		s.attributes[string(a.Key)] = a.Value.String()
	}
}

func (s *span) RecordError(err error, _ ...trace.EventOption) { s.errs = append(s.errs, err) }
