package storetest_test

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// historyDefects are right as long as calls come one after the other, and in the
// races that have a clause of their own.
var historyDefects = []*defect{
	{"a slow read fills the cache", "concurrent-histories-are-linearizable", broken{
		get:    getCached,
		update: updateCached,
		sweep:  sweepCached,
	}},
	{"a revocation needs no version", "concurrent-histories-are-linearizable", written(func(was keys.Record, r *keys.Record) {
		if r.Revoked() && r.Version < was.Version {
			r.Version = was.Version
		}
	})},
	{"a write is seen before it is refused", "concurrent-histories-are-linearizable", broken{
		get: getOverlaid,
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			if was, err := b.one(ctx, r.ID); err == nil && r.Validate() == nil && was.Org == r.Org {
				next := r
				next.Version++
				b.put(next)
				defer b.drop(r.ID)
			}
			latency(2)
			return b.Memory.Update(ctx, r)
		},
	}},
	{"two replicas take turns", "concurrent-histories-are-linearizable", broken{
		get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
			b.mu.Lock()
			b.busy++
			first := b.busy%2 == 0
			b.mu.Unlock()
			if first {
				return b.one(ctx, id)
			}
			return getOverlaid(b, ctx, id)
		},
		update: updateSeenLate,
	}},
	{"the ID is taken before the record is there", "concurrent-histories-are-linearizable", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			if !b.lock(r.ID) {
				return keys.ErrExists
			}
			defer b.unlock(r.ID)
			latency(2)
			return b.Memory.Insert(ctx, r)
		},
	}},
	{"whoever has to wait has lost", "concurrent-histories-are-linearizable", broken{
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			if !b.lock(r.ID) {
				return keys.ErrConflict
			}
			defer b.unlock(r.ID)
			latency(2)
			return b.Memory.Update(ctx, r)
		},
	}},
}

// getCached puts what it read into the cache, where it may by then be out of
// date. Revocations stay in the cache whatever is read.
func getCached(b *broken, ctx context.Context, id string) (keys.Record, error) {
	b.mu.Lock()
	cached, ok := b.records[id]
	b.mu.Unlock()
	if ok && ctx.Err() == nil {
		return cached, nil
	}
	r, err := b.one(ctx, id)
	if err != nil {
		return r, err
	}
	latency(2)
	b.mu.Lock()
	cached = b.records[id]
	b.mu.Unlock()
	if !cached.Revoked() {
		b.put(r)
	}
	return r, nil
}

// updateCached drops what is in the cache, or puts the revoked record there.
func updateCached(b *broken, ctx context.Context, r keys.Record) error {
	err := b.Memory.Update(ctx, r)
	if err != nil {
		return err
	}
	b.drop(r.ID)
	if now, err := b.one(ctx, r.ID); err == nil && now.Revoked() {
		b.put(now)
	}
	return nil
}

// sweepCached empties the cache.
func sweepCached(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := b.Memory.Sweep(ctx, before, limit)
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.records)
	return n, err
}
