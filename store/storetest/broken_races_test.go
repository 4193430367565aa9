package storetest_test

import (
	"context"
	"errors"

	"github.com/claviger-auth/claviger/keys"
)

// raceDefects show only when calls overlap. Each waits where a careless store
// would be slow, so that in a bubble the calls do overlap.
var raceDefects = []*defect{
	{"the database is locked", "concurrent-calls-do-not-fail", broken{insert: func(b *broken, ctx context.Context, r keys.Record) error {
		b.mu.Lock()
		b.busy++
		locked := b.busy > 1
		b.mu.Unlock()
		defer func() { b.mu.Lock(); defer b.mu.Unlock(); b.busy-- }()
		latency(1)
		if locked {
			return errors.New("database is locked")
		}
		return b.Memory.Insert(ctx, r)
	}}},
	{"insert looks first", "concurrent-insert-one-wins", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			if _, err := b.one(ctx, r.ID); err == nil {
				return keys.ErrExists
			}
			latency(1)
			err := b.Memory.Insert(ctx, r)
			if errors.Is(err, keys.ErrExists) {
				b.put(r)
				return nil
			}
			return err
		},
		get: getOverlaid,
	}},
	{"the loser's record stays", "concurrent-insert-one-wins", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			_, taken := b.one(ctx, r.ID)
			latency(1)
			err := b.Memory.Insert(ctx, r)
			if errors.Is(err, keys.ErrExists) && taken != nil {
				b.put(r)
			}
			return err
		},
		get: getOverlaid,
	}},
	{"update looks first", "concurrent-update-one-wins", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		was, err := b.one(ctx, r.ID)
		latency(1)
		if err == nil && was.Version == r.Version && was.Org == r.Org && r.Validate() == nil {
			if late, _ := b.one(ctx, r.ID); late.Version > r.Version {
				r.Version = late.Version
			}
		}
		return b.Memory.Update(ctx, r)
	}}},
	{"a lost update is a timeout", "concurrent-update-one-wins", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		was, missing := b.one(ctx, r.ID)
		latency(1)
		err := b.Memory.Update(ctx, r)
		if errors.Is(err, keys.ErrConflict) && missing == nil && was.Version == r.Version && !was.Revoked() {
			return errors.New("could not serialize access")
		}
		return err
	}}},
	{"a record is read in two parts", "concurrent-gets-are-whole", broken{
		get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
			first, err := b.one(ctx, id)
			if err != nil {
				return first, err
			}
			latency(3)
			second, err := b.one(ctx, id)
			second.Digest, second.Previous = first.Digest, first.Previous
			return second, err
		},
		update: slowUpdate,
	}},
	{"some answers come from a replica", "concurrent-revoke-is-seen", broken{
		get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
			b.mu.Lock()
			if b.gets == nil {
				b.gets = make(map[string]int)
			}
			b.gets[id]++
			old, updated := b.records[id]
			lagging := updated && b.gets[id] > 1
			b.mu.Unlock()
			defer func() { b.mu.Lock(); defer b.mu.Unlock(); b.gets[id]-- }()
			latency(5)
			r, err := b.one(ctx, id)
			if lagging && err == nil {
				return old, nil
			}
			return r, err
		},
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			if was, err := b.one(ctx, r.ID); err == nil {
				b.put(was)
			}
			return slowUpdate(b, ctx, r)
		},
	}},
	{"gets share an answer", "concurrent-revoke-is-seen", broken{get: getShared, update: slowUpdate}},
}

// slowUpdate writes after a while.
func slowUpdate(b *broken, ctx context.Context, r keys.Record) error {
	latency(2)
	return b.Memory.Update(ctx, r)
}

// getShared waits for a Get of the same ID that is under way, if there is one,
// and returns what that one found.
func getShared(b *broken, ctx context.Context, id string) (keys.Record, error) {
	if ctx.Err() != nil {
		return keys.Record{}, ctx.Err()
	}
	b.mu.Lock()
	if f := b.flights[id]; f != nil {
		b.mu.Unlock()
		<-f.done
		return f.r, f.err
	}
	f := &flight{done: make(chan struct{})}
	if b.flights == nil {
		b.flights = make(map[string]*flight)
	}
	b.flights[id] = f
	b.mu.Unlock()

	f.r, f.err = b.one(ctx, id)
	latency(5)
	b.mu.Lock()
	delete(b.flights, id)
	b.mu.Unlock()
	close(f.done)
	return f.r, f.err
}
