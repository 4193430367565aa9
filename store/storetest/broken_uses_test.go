package storetest_test

import (
	"context"
	"errors"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/claviger-auth/claviger/keys"
)

// remembered is a LastUses whose good answers are changed.
func remembered(change func(b *broken, ids []string, uses map[string]time.Time)) broken {
	return broken{lastUses: func(b *broken, ctx context.Context, ids []string) (map[string]time.Time, error) {
		uses, err := b.Memory.LastUses(ctx, ids)
		if err == nil {
			change(b, ids, uses)
		}
		return uses, err
	}}
}

// batched is a NoteUses that does something else before or after.
func batched(note func(b *broken, ctx context.Context, uses map[string]time.Time) error) broken {
	return broken{noteUses: note}
}

// noteOwn is a NoteUses that keeps uses itself, of the IDs that keep says, and
// the second of two times if later says so.
func noteOwn(keep func(b *broken, id string) bool, later func(was, t time.Time) bool) func(*broken, context.Context, map[string]time.Time) error {
	return func(b *broken, ctx context.Context, uses map[string]time.Time) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.uses == nil {
			b.uses = make(map[string]time.Time)
		}
		for id, t := range uses {
			if was, used := b.uses[id]; ctx.Err() == nil && keep(b, id) && (!used || later(was, t)) {
				b.uses[id] = t
			}
		}
		return ctx.Err()
	}
}

// lastOwn is the LastUses that goes with noteOwn.
func lastOwn(b *broken, ctx context.Context, ids []string) (map[string]time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	uses := make(map[string]time.Time)
	for _, id := range ids {
		if t, used := b.uses[id]; used {
			uses[id] = t
		}
	}
	return uses, ctx.Err()
}

// ownUses is a store with both.
func ownUses(keep func(b *broken, id string) bool, later func(was, t time.Time) bool) broken {
	return broken{noteUses: noteOwn(keep, later), lastUses: lastOwn, sweep: sweepOwn}
}

// sweepOwn is the Sweep that goes with noteOwn: uses go with their records.
func sweepOwn(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
	var dead []string
	b.mu.Lock()
	for id := range b.uses {
		if r, err := b.one(context.Background(), id); err == nil && r.Sweepable(before) {
			dead = append(dead, id)
		}
	}
	b.mu.Unlock()
	n, err := b.Memory.Sweep(ctx, before, limit)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range dead {
		if !there(b, id) {
			delete(b.uses, id)
		}
	}
	return n, err
}

// always keeps every ID, and lets the last call win.
func always[A, B any](A, B) bool { return true }

// there reports whether a record has the ID.
func there(b *broken, id string) bool {
	_, err := b.one(context.Background(), id)
	return err == nil
}

// useDefects are those of NoteUses and LastUses.
var useDefects = []*defect{
	{"uses by the year of their zone", "uses-round-trip", batched(func(b *broken, ctx context.Context, uses map[string]time.Time) error {
		for _, t := range uses {
			if t.Year() < 1970 || t.Year() > 9999 {
				return keys.ErrInvalid
			}
		}
		return b.Memory.NoteUses(ctx, uses)
	})},
	{"uses in whole seconds", "uses-round-trip", remembered(func(_ *broken, _ []string, uses map[string]time.Time) {
		for id, t := range uses {
			uses[id] = t.Truncate(time.Second)
		}
	})},
	{"unused is used at no time", "uses-round-trip", remembered(func(_ *broken, ids []string, uses map[string]time.Time) {
		for _, id := range ids {
			if _, used := uses[id]; !used {
				uses[id] = time.Time{}
			}
		}
	})},
	{"all uses are returned", "uses-round-trip", broken{
		insert: insertNoted,
		lastUses: func(b *broken, ctx context.Context, ids []string) (map[string]time.Time, error) {
			for _, r := range b.noted() {
				ids = append(ids, r.ID)
			}
			return b.Memory.LastUses(ctx, ids)
		},
	}},
	{"uses of the dead are not kept", "uses-round-trip", ownUses(func(b *broken, id string) bool {
		r, err := b.one(context.Background(), id)
		return err == nil && !isDead(r)
	}, time.Time.Before)},
	{"the last call wins", "uses-later-wins", ownUses(there, always)},
	{"the first call wins", "uses-later-wins", ownUses(there, func(was, t time.Time) bool { return t.Sub(was) > time.Hour })},
	{"times are compared as text", "uses-later-wins", ownUses(there, func(was, t time.Time) bool {
		return was.UTC().Format(time.RFC3339Nano) < t.UTC().Format(time.RFC3339Nano)
	})},
	{"one unknown ID fails the batch", "uses-unknown-ids-passed-over", batched(func(b *broken, ctx context.Context, uses map[string]time.Time) error {
		for id := range uses {
			if !there(b, id) && ctx.Err() == nil {
				return keys.ErrNotFound
			}
		}
		return b.Memory.NoteUses(ctx, uses)
	})},
	{"the driver sees junk in batches", "uses-unknown-ids-passed-over", remembered(func(_ *broken, ids []string, uses map[string]time.Time) {
		for _, id := range ids {
			if !utf8.ValidString(id) {
				clear(uses)
			}
		}
	})},
	{"a use makes a record", "uses-unknown-ids-passed-over", broken{
		noteUses: func(b *broken, ctx context.Context, uses map[string]time.Time) error {
			for id := range uses {
				if !there(b, id) && id != "" && ctx.Err() == nil {
					b.put(keys.Record{ID: id, Version: 1})
				}
			}
			return b.Memory.NoteUses(ctx, uses)
		},
		get: getOverlaid,
	}},
	{"uses outlive their record", "uses-unknown-ids-passed-over", broken{
		noteUses: noteOwn(there, time.Time.Before),
		lastUses: lastOwn,
	}},
	{"uses are kept for every ID", "uses-unknown-ids-passed-over", ownUses(always, time.Time.Before)},
	{"uses wait for their record", "uses-unknown-ids-passed-over", broken{
		noteUses: noteOwn(always, time.Time.Before),
		lastUses: func(b *broken, ctx context.Context, ids []string) (map[string]time.Time, error) {
			uses, err := lastOwn(b, ctx, ids)
			for id := range uses {
				if !there(b, id) {
					delete(uses, id)
				}
			}
			return uses, err
		},
	}},
	{"too many parameters", "uses-in-large-batches", batched(func(b *broken, ctx context.Context, uses map[string]time.Time) error {
		if 2*len(uses) > 32_766 {
			return errors.New("too many SQL variables")
		}
		return b.Memory.NoteUses(ctx, uses)
	})},
	{"a parameter for each of 65,535", "uses-in-large-batches", broken{lastUses: func(b *broken, ctx context.Context, ids []string) (map[string]time.Time, error) {
		if len(ids) > 65_535 {
			return nil, errors.New("prepared statement contains too many placeholders")
		}
		return b.Memory.LastUses(ctx, ids)
	}}},
	{"answers of a thousand at most", "uses-in-large-batches", broken{lastUses: func(b *broken, ctx context.Context, ids []string) (map[string]time.Time, error) {
		return b.Memory.LastUses(ctx, ids[:min(1000, len(ids))])
	}}},
	{"a use is an update", "uses-change-no-record", batched(func(b *broken, ctx context.Context, uses map[string]time.Time) error {
		for id := range uses {
			if r, err := b.one(ctx, id); err == nil {
				_ = b.Memory.Update(ctx, r)
			}
		}
		return b.Memory.NoteUses(ctx, uses)
	})},
	{"all answers are one map", "uses-round-trip", broken{lastUses: func(b *broken, ctx context.Context, ids []string) (map[string]time.Time, error) {
		uses, err := b.Memory.LastUses(ctx, ids)
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.uses == nil {
			b.uses = make(map[string]time.Time)
		}
		clear(b.uses)
		maps.Copy(b.uses, uses)
		return b.uses, nil
	}}},
	{"a use writes back the record of the use before", "uses-change-no-record", broken{
		noteUses: func(b *broken, ctx context.Context, uses map[string]time.Time) error {
			for id := range uses {
				if r, err := b.one(ctx, id); err == nil {
					b.mu.Lock()
					before, noted := b.pages[id]
					if b.pages == nil {
						b.pages = make(map[string][]keys.Record)
					}
					b.pages[id] = []keys.Record{r}
					b.mu.Unlock()
					if noted {
						b.put(before[0])
					}
				}
			}
			return b.Memory.NoteUses(ctx, uses)
		},
		get: getOverlaid,
	}},
	{"an update replaces the row", "uses-survive-update", broken{
		noteUses: noteOwn(there, time.Time.Before),
		lastUses: lastOwn,
		sweep:    sweepOwn,
		update:   updateForgets(func(keys.Record) bool { return true }),
	}},
	{"uses of what is revoked are deleted", "uses-survive-update", broken{
		noteUses: noteOwn(there, time.Time.Before),
		lastUses: lastOwn,
		sweep:    sweepOwn,
		update:   updateForgets(func(r keys.Record) bool { return r.Revoked() }),
	}},
	{"uses are noted whatever the context", "uses-context-ended", batched(func(b *broken, ctx context.Context, uses map[string]time.Time) error {
		_ = b.Memory.NoteUses(context.WithoutCancel(ctx), uses)
		return ctx.Err()
	})},
	{"uses that were not noted are no failure", "uses-context-ended", batched(func(b *broken, ctx context.Context, uses map[string]time.Time) error {
		_ = b.Memory.NoteUses(ctx, uses)
		return nil
	})},
	{"no time is no use", "uses-context-ended", broken{lastUses: func(b *broken, ctx context.Context, ids []string) (map[string]time.Time, error) {
		uses, _ := b.Memory.LastUses(ctx, ids)
		return uses, nil
	}}},
	{"last uses are read and then written", "uses-concurrent", broken{
		noteUses: func(b *broken, ctx context.Context, uses map[string]time.Time) error {
			newer := make(map[string]time.Time)
			b.mu.Lock()
			for id, t := range uses {
				if b.uses[id].Before(t) {
					newer[id] = t
				}
			}
			b.mu.Unlock()
			latency(1)
			return noteOwn(there, always)(b, ctx, newer)
		},
		lastUses: lastOwn,
		sweep:    sweepOwn,
	}},
	{"batches lock each other out", "uses-concurrent", batched(func(b *broken, ctx context.Context, uses map[string]time.Time) error {
		if !b.lock("all") {
			return errors.New("deadlock detected")
		}
		defer b.unlock("all")
		latency(1)
		return b.Memory.NoteUses(ctx, uses)
	})},
	{"a use writes back the record that it read", "uses-concurrent", broken{
		noteUses: func(b *broken, ctx context.Context, uses map[string]time.Time) error {
			read := make(map[string]keys.Record)
			for id := range uses {
				if r, err := b.one(ctx, id); err == nil {
					read[id] = r
				}
			}
			latency(2)
			for id, r := range read {
				if now, err := b.one(ctx, id); err == nil && now.Version != r.Version {
					b.put(r)
				}
			}
			return b.Memory.NoteUses(ctx, uses)
		},
		get: getOverlaid,
	}},
	{"who finds a batch under way does not wait for it", "uses-concurrent", broken{noteUses: noteTogether}},
}

// noteTogether leaves a batch to a caller whose own is under way, if there is
// one, and returns before that one has written it.
func noteTogether(b *broken, ctx context.Context, uses map[string]time.Time) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.mu.Lock()
	if b.uses == nil {
		b.uses = make(map[string]time.Time)
	}
	for id, t := range uses {
		if b.uses[id].Before(t) {
			b.uses[id] = t
		}
	}
	b.busy++
	leader := b.busy == 1
	b.mu.Unlock()
	if !leader {
		return nil
	}
	latency(3)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = 0
	uses, b.uses = b.uses, nil
	return b.Memory.NoteUses(ctx, uses)
}

// updateForgets is an Update after which certain records were never used, of a
// store that keeps uses with noteOwn.
func updateForgets(forget func(keys.Record) bool) func(*broken, context.Context, keys.Record) error {
	return func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Update(ctx, r)
		b.mu.Lock()
		defer b.mu.Unlock()
		if err == nil && forget(r) {
			delete(b.uses, r.ID)
		}
		return err
	}
}
