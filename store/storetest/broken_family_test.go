package storetest_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/claviger-auth/claviger/keys"
)

// related is a GetFamily whose good answers are changed.
func related(change func(b *broken, rec, parent *keys.Record) error) broken {
	return broken{insert: insertNoted, family: func(b *broken, ctx context.Context, id string) (rec, parent keys.Record, err error) {
		rec, parent, err = b.Memory.GetFamily(ctx, id)
		if err == nil {
			err = change(b, &rec, &parent)
		}
		return rec, parent, err
	}}
}

// orphaned is a GetFamily that leaves out some parents.
func orphaned(without func(rec, parent keys.Record) bool) broken {
	return related(func(_ *broken, rec, parent *keys.Record) error {
		if without(*rec, *parent) {
			*parent = keys.Record{}
		}
		return nil
	})
}

// failing is a GetFamily whose errors are changed.
func failing(change func(id string, err error) error) broken {
	return broken{family: func(b *broken, ctx context.Context, id string) (rec, parent keys.Record, err error) {
		rec, parent, err = b.Memory.GetFamily(ctx, id)
		return rec, parent, change(id, err)
	}}
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

// familyDefects are those of GetFamily.
var familyDefects = []*defect{
	{"the parent's limit is not selected", "family-gets-both", related(func(_ *broken, _, parent *keys.Record) error {
		parent.RateLimit = min(parent.RateLimit, 1)
		return nil
	})},
	{"the columns are in another order", "family-gets-both", related(func(_ *broken, rec, parent *keys.Record) error {
		if parent.ID != "" {
			rec.Label, parent.Label = parent.Label, rec.Label
		}
		return nil
	})},
	{"parents are looked for in the organization", "family-gets-both", orphaned(func(rec, parent keys.Record) bool { return rec.Org != parent.Org })},
	{"parents are copied into tokens", "family-gets-both", related(func(b *broken, _, parent *keys.Record) error {
		*parent = b.insertedAs(parent.ID)
		return nil
	})},
	{"an inner join", "family-without-parent", related(func(_ *broken, rec, parent *keys.Record) error {
		if parent.ID == "" {
			*rec = keys.Record{}
			return keys.ErrNotFound
		}
		return nil
	})},
	{"no parent is one of 1970", "family-without-parent", related(func(_ *broken, _, parent *keys.Record) error {
		if parent.ID == "" {
			parent.CreatedAt = parent.CreatedAt.AddDate(1969, 0, 0)
		}
		return nil
	})},
	{"the parent's ErrNotFound is passed on", "family-without-parent", related(func(_ *broken, rec, parent *keys.Record) error {
		if rec.Parent != "" && parent.ID == "" {
			return keys.ErrNotFound
		}
		return nil
	})},
	{"records without a parent are their own", "family-without-parent", related(func(_ *broken, rec, parent *keys.Record) error {
		if rec.Parent == "" {
			*parent = *rec
		}
		return nil
	})},
	{"only parents that are alive are joined", "family-includes-dead", orphaned(func(_, parent keys.Record) bool { return isDead(parent) })},
	{"families of the dead are dead", "family-includes-dead", related(func(_ *broken, rec, parent *keys.Record) error {
		if isDead(*rec) {
			return keys.ErrNotFound
		}
		return nil
	})},
	{"no family is two empty records", "family-not-found", failing(func(_ string, err error) error {
		if errors.Is(err, keys.ErrNotFound) {
			return nil
		}
		return err
	})},
	{"no rows is not translated for families", "family-not-found", failing(func(id string, err error) error {
		if errors.Is(err, keys.ErrNotFound) && utf8.ValidString(id) {
			return sql.ErrNoRows
		}
		return err
	})},
	{"an unknown ID is looked for among the parents", "family-not-found", broken{
		insert: insertNoted,
		family: func(b *broken, ctx context.Context, id string) (rec, parent keys.Record, err error) {
			rec, parent, err = b.Memory.GetFamily(ctx, id)
			if errors.Is(err, keys.ErrNotFound) {
				for _, r := range b.noted() {
					if r.Parent == id && id != "" {
						return r, parent, nil
					}
				}
			}
			return rec, parent, err
		},
	}},
	{"the driver sees junk in place of families", "family-hostile-id", failing(func(id string, err error) error {
		if strings.Contains(id, "\x00") && err != nil {
			return errDriver
		}
		return err
	})},
	{"tables are joined without regard to case", "family-ids-are-bytes", related(func(b *broken, rec, parent *keys.Record) error {
		for _, r := range b.noted() {
			if rec.Parent != r.ID && strings.EqualFold(r.ID, rec.Parent) {
				*parent = r
			}
		}
		return nil
	})},
	{"a column of fixed width is joined", "family-ids-are-bytes", related(func(b *broken, rec, parent *keys.Record) error {
		if trimmed := strings.TrimRight(rec.Parent, " "); trimmed != rec.Parent {
			*parent = b.insertedAs(trimmed)
		}
		return nil
	})},
	{"families are read whatever the context", "family-context-ended", broken{family: func(b *broken, ctx context.Context, id string) (rec, parent keys.Record, err error) {
		return b.Memory.GetFamily(context.WithoutCancel(ctx), id)
	}}},
	{"no time is no family", "family-context-ended", failing(func(_ string, err error) error {
		if errors.Is(err, context.Canceled) {
			return keys.ErrNotFound
		}
		return err
	})},
	{"that there is no parent is remembered", "family-is-fresh", related(func(b *broken, rec, parent *keys.Record) error {
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
	{"revoking a client does not reach the copy of it", "family-is-fresh", related(func(b *broken, _, parent *keys.Record) error {
		parent.RevokedAt = b.insertedAs(parent.ID).RevokedAt
		return nil
	})},
	{"families share an answer", "concurrent-families-are-linearizable", broken{family: familyShared}},
	{"families come from a snapshot that is renewed", "concurrent-families-are-linearizable", broken{
		family: func(b *broken, ctx context.Context, id string) (rec, parent keys.Record, err error) {
			rec, parent, err = b.Memory.GetFamily(ctx, id)
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

// familyShared waits for a GetFamily of the same ID that is under way, if there
// is one, and returns what that one found.
func familyShared(b *broken, ctx context.Context, id string) (rec, parent keys.Record, err error) {
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

	f.r, f.parent, f.err = b.Memory.GetFamily(ctx, id)
	latency(5)
	b.mu.Lock()
	delete(b.flights, id)
	b.mu.Unlock()
	close(f.done)
	return f.r, f.parent, f.err
}
