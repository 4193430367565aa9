package otelguard

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// Records returns a store that passes calls on to s, and reports how long they take and
// their outcomes. It has those optional interfaces of package keys that s has, and no
// other methods of s.
//
// A [*store.Memory] is returned as it is: reading it takes less time than measuring. A
// [*keys.Cache], and a struct that embeds one, is too, since a manager recognizes it by
// its type. To measure the store behind a cache, wrap that store, and make the cache
// over the result.
func (t *Telemetry) Records(s keys.Store) keys.Store {
	switch s.(type) {
	case nil, *store.Memory, interface{ Stats() keys.CacheStats }:
		return s
	}
	has, p := 0, new(parts)
	for i, is := range []bool{
		is(s, t, &p.uses.store, &p.uses.t),
		is(s, t, &p.count.store, &p.count.t),
		is(s, t, &p.orgs.store, &p.orgs.t),
		is(s, t, &p.batch.store, &p.batch.t),
		is(s, t, &p.feed.store, &p.feed.t),
		is(s, t, &p.trail.store, &p.trail.t),
	} {
		if is {
			has |= 1 << i
		}
	}
	return join(has, records{s, t}, p)
}

//go:generate go run ./internal/gen

// is reports whether a store has an optional interface, and fills the part that
// measures it.
func is[T any](s keys.Store, t *Telemetry, store *T, telemetry **Telemetry) bool {
	part, ok := s.(T)
	*store, *telemetry = part, t
	return ok
}

// records measure the methods that every store has.
type records struct {
	store keys.Store
	t     *Telemetry
}

func (s records) Insert(ctx context.Context, r keys.Record) error {
	began := time.Now()
	err := s.store.Insert(ctx, r)
	s.t.called(ctx, "insert", began, err)
	return err
}

func (s records) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	began := time.Now()
	rec, parent, err = s.store.Get(ctx, id)
	s.t.called(ctx, "get", began, err)
	return rec, parent, err
}

func (s records) Update(ctx context.Context, r keys.Record) error {
	began := time.Now()
	err := s.store.Update(ctx, r)
	s.t.called(ctx, "update", began, err)
	return err
}

func (s records) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	began := time.Now()
	page, err := s.store.List(ctx, q)
	s.t.called(ctx, "list", began, err)
	return page, err
}

func (s records) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	began := time.Now()
	n, err := s.store.Sweep(ctx, before, limit)
	s.t.called(ctx, "sweep", began, err)
	return n, err
}
