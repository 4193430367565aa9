package otelguard

import (
	"context"
	"errors"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"go.opentelemetry.io/otel/metric"
)

// ObserveCache reports the figures of a cache whenever metrics are collected, until the
// registration is unregistered. Call it for one cache in a process, since the figures
// have no attribute that tells caches apart. The error is that of the provider.
func (t *Telemetry) ObserveCache(c *keys.Cache) (metric.Registration, error) {
	var errs [4]error
	lookups, err := t.meter.Int64ObservableCounter("claviger.cache.lookups",
		metric.WithUnit("{lookup}"), metric.WithDescription("Checks that asked the cache of records."))
	errs[0] = err
	held, err := t.meter.Int64ObservableGauge("claviger.cache.records",
		metric.WithUnit("{record}"), metric.WithDescription("Records in the cache."))
	errs[1] = err
	failed, err := t.meter.Int64ObservableCounter("claviger.feed.failures",
		metric.WithUnit("{failure}"), metric.WithDescription("Polls of the feed of changes that failed."))
	errs[2] = err
	age, err := t.meter.Float64ObservableGauge("claviger.feed.age",
		metric.WithUnit("s"), metric.WithDescription("The time since the last poll of the feed that was answered began."))
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := c.Stats()
		observe(o, lookups, s.Hits, "hit")
		observe(o, lookups, s.Misses, "miss")
		observe(o, lookups, s.Lapses, "lapse")
		o.ObserveInt64(held, int64(s.Records))
		o.ObserveInt64(failed, int64(s.Failed))
		if s.Age >= 0 { // else there is no answer yet
			o.ObserveFloat64(age, s.Age.Seconds())
		}
		return nil
	}, lookups, held, failed, age)
}

// ObserveLeases reports the figures of leases of quota, as [Telemetry.ObserveCache] does
// for a cache.
func (t *Telemetry) ObserveLeases(l *ratelimit.Leases) (metric.Registration, error) {
	decisions, err := t.meter.Int64ObservableCounter("claviger.leases.decisions",
		metric.WithUnit("{request}"), metric.WithDescription("Requests that were decided without a trip to the store of limits."))
	trips, also := t.meter.Int64ObservableCounter("claviger.leases.trips",
		metric.WithUnit("{trip}"), metric.WithDescription("Trips to the store of limits."))
	if err := errors.Join(err, also); err != nil {
		return nil, err
	}
	return t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := l.Stats()
		observe(o, decisions, s.Leased, "admitted")
		observe(o, decisions, s.Refused, "refused")
		o.ObserveInt64(trips, int64(s.Trips))
		return nil
	}, decisions, trips)
}

// ObserveUses reports how many uses were dropped, as [Telemetry.ObserveCache] does for a
// cache.
func (t *Telemetry) ObserveUses(u *keys.Uses) (metric.Registration, error) {
	dropped, err := t.meter.Int64ObservableCounter("claviger.uses.dropped",
		metric.WithUnit("{use}"), metric.WithDescription("Uses of credentials that were not noted for want of room."))
	if err != nil {
		return nil, err
	}
	return t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(dropped, int64(u.Dropped()))
		return nil
	}, dropped)
}

func observe(o metric.Observer, what metric.Int64Observable, n uint64, of string) {
	o.ObserveInt64(what, int64(n), metric.WithAttributes(outcome(of)))
}
