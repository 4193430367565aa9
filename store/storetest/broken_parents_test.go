package storetest_test

import (
	"context"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// related is a Get whose good answers are changed.
func related(change func(b *broken, rec, parent *keys.Record) error) broken {
	return broken{insert: insertNoted, both: func(b *broken, ctx context.Context, id string) (rec, parent keys.Record, err error) {
		rec, parent, err = b.Memory.Get(ctx, id)
		if err == nil {
			err = change(b, &rec, &parent)
		}
		return rec, parent, err
	}}
}

// orphaned is a Get that leaves out some parents.
func orphaned(without func(rec, parent keys.Record) bool) broken {
	return related(func(_ *broken, rec, parent *keys.Record) error {
		if without(*rec, *parent) {
			*parent = keys.Record{}
		}
		return nil
	})
}

// insertedAs returns the record with the ID as it was inserted.
func (o *overlay) insertedAs(id string) keys.Record {
	for _, r := range o.noted() {
		if r.ID == id {
			return r
		}
	}
	return keys.Record{}
}

// parentDefects are those of Get.
var parentDefects = []*defect{
	{"the parent's limit is not selected", "get-gives-the-parent", related(func(_ *broken, _, parent *keys.Record) error {
		parent.RateLimit = min(parent.RateLimit, 1)
		return nil
	})},
	{"the columns are in another order", "get-gives-the-parent", related(func(_ *broken, rec, parent *keys.Record) error {
		if parent.ID != "" {
			rec.Label, parent.Label = parent.Label, rec.Label
		}
		return nil
	})},
	{"parents are looked for in the organization", "get-gives-the-parent", orphaned(func(rec, parent keys.Record) bool { return rec.Org != parent.Org })},
	{"parents are copied into tokens", "get-gives-the-parent", related(func(b *broken, _, parent *keys.Record) error {
		*parent = b.insertedAs(parent.ID)
		return nil
	})},
	{"an inner join", "insert-get-round-trip", related(func(_ *broken, rec, parent *keys.Record) error {
		if parent.ID == "" {
			*rec = keys.Record{}
			return keys.ErrNotFound
		}
		return nil
	})},
	{"no parent is one of 1970", "get-without-parent", related(func(_ *broken, _, parent *keys.Record) error {
		if parent.ID == "" {
			parent.CreatedAt = parent.CreatedAt.AddDate(1969, 0, 0)
		}
		return nil
	})},
	{"the parent's ErrNotFound is passed on", "insert-get-round-trip", related(func(_ *broken, rec, parent *keys.Record) error {
		if rec.Parent != "" && parent.ID == "" {
			return keys.ErrNotFound
		}
		return nil
	})},
	{"records without a parent are their own", "get-without-parent", related(func(_ *broken, rec, parent *keys.Record) error {
		if rec.Parent == "" {
			*parent = *rec
		}
		return nil
	})},
	{"only parents that are alive are joined", "get-parent-includes-dead", orphaned(func(_, parent keys.Record) bool { return isDead(parent) })},
	{"tables are joined without regard to case", "get-parent-ids-are-bytes", related(func(b *broken, rec, parent *keys.Record) error {
		for _, r := range b.noted() {
			if rec.Parent != r.ID && strings.EqualFold(r.ID, rec.Parent) {
				*parent = r
			}
		}
		return nil
	})},
	{"a column of fixed width is joined", "get-parent-ids-are-bytes", related(func(b *broken, rec, parent *keys.Record) error {
		if trimmed := strings.TrimRight(rec.Parent, " "); trimmed != rec.Parent {
			*parent = b.insertedAs(trimmed)
		}
		return nil
	})},
	{"that there is no parent is remembered", "get-parent-is-fresh", related(func(b *broken, rec, parent *keys.Record) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.gets[rec.ID] > 0 {
			*parent = keys.Record{}
		}
		if parent.ID == "" {
			if b.gets == nil {
				b.gets = make(map[string]int)
			}
			b.gets[rec.ID]++
		}
		return nil
	})},
	{"revoking a client does not reach the copy of it", "get-parent-is-fresh", related(func(b *broken, _, parent *keys.Record) error {
		parent.RevokedAt = b.insertedAs(parent.ID).RevokedAt
		return nil
	})},
	{"families share an answer", "concurrent-histories-are-linearizable", broken{both: bothShared}},
	{"families come from a snapshot that is renewed", "concurrent-parents-are-linearizable", broken{
		both: func(b *broken, ctx context.Context, id string) (rec, parent keys.Record, err error) {
			rec, parent, err = b.Memory.Get(ctx, id)
			b.mu.Lock()
			defer b.mu.Unlock()
			if old, lags := b.records[parent.ID]; lags {
				parent = old
			}
			return rec, parent, err
		},
		update: updateSeenLate,
	}},
}

// bothShared waits for a Get of the same ID that is under way, if there
// is one, and returns what that one found.
func bothShared(b *broken, ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if ctx.Err() != nil {
		return rec, parent, ctx.Err()
	}
	b.mu.Lock()
	if f := b.flights[id]; f != nil {
		b.mu.Unlock()
		<-f.done
		return f.r, f.parent, f.err
	}
	f := &flight{done: make(chan struct{})}
	if b.flights == nil {
		b.flights = make(map[string]*flight)
	}
	b.flights[id] = f
	b.mu.Unlock()

	f.r, f.parent, f.err = b.Memory.Get(ctx, id)
	latency(5)
	b.mu.Lock()
	delete(b.flights, id)
	b.mu.Unlock()
	close(f.done)
	return f.r, f.parent, f.err
}
