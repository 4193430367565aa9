package otelguard

import (
	"context"
	"errors"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Limits returns a store that passes calls on to s, and reports how long they take.
//
// A [*ratelimit.Memory] and a [*store.Memory] are returned as they are, since they wait
// for nothing. [*ratelimit.Leases], and structs that embed it, are too, since a limiter
// recognizes them by their type. To measure the store behind leases, wrap that store, and
// make the leases over the result.
func (t *Telemetry) Limits(s ratelimit.Store) ratelimit.Store {
	switch s.(type) {
	case nil, *ratelimit.Memory, *store.Memory, interface{ Stats() ratelimit.LeaseStats }:
		return s
	}
	return limits{s, t}
}

type limits struct {
	store ratelimit.Store
	t     *Telemetry
}

func (s limits) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	began := time.Now()
	d, err := s.store.Take(ctx, b, l, now, n)
	s.t.called(ctx, "take", began, err)
	return d, err
}

// called reports a call of a store. It counts calls whose context has ended too.
func (t *Telemetry) called(ctx context.Context, call string, began time.Time, err error) {
	t.duration.Record(ctx, time.Since(began).Seconds(), metric.WithAttributeSet(attribute.NewSet(
		attribute.String("claviger.call", call), outcome(outcomeOfCall(err)))))
}

// answers are the errors that have an outcome of their own. All others are "error".
var answers = []struct {
	err  error
	text string
}{
	{keys.ErrNotFound, "not_found"},
	{keys.ErrExists, "exists"},
	{keys.ErrConflict, "conflict"},
	{keys.ErrInvalid, "invalid"},
	{keys.ErrNotAnnounced, "not_announced"},
	{ratelimit.ErrBucket, "invalid"},
	{ratelimit.ErrInvalidLimit, "invalid"},
	{ratelimit.ErrCost, "invalid"},
	{errors.ErrUnsupported, "unsupported"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "timeout"},
}

// outcomeOfCall returns the outcome of a call of a store, from its error.
func outcomeOfCall(err error) string {
	if err == nil {
		return "ok"
	}
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return a.text
		}
	}
	return "error"
}
