package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// listNoted is a List that goes by other records than those that are stored: by
// what from makes of a record as it was inserted and as it is now. The query then
// selects among them, in the order that sound says: first the limit or the rest.
func listNoted(from func(was, is keys.Record) keys.Record) broken {
	return paged(func(b *broken, q keys.Query, _ []keys.Record) ([]keys.Record, error) {
		var all []keys.Record
		for _, was := range b.noted() {
			is, err := b.one(context.Background(), was.ID)
			if r := from(was, is); err == nil && r.Org == q.Org && r.Kind == q.Kind && r.ID > q.After && !(q.Live && r.Revoked()) {
				all = append(all, r)
			}
		}
		slices.SortFunc(all, func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) })
		return all[:min(len(all), q.Limit)], nil
	})
}

// relisted is a List whose query is another one when it is a live one.
func relisted(keep func(keys.Record) bool) broken {
	return paged(func(b *broken, q keys.Query, page []keys.Record) ([]keys.Record, error) {
		if !q.Live {
			return page, nil
		}
		limit := q.Limit
		q.Live, q.Limit = false, 1<<30
		page, err := b.Memory.List(context.Background(), q)
		page = slices.DeleteFunc(page, func(r keys.Record) bool { return !keep(r) })
		return page[:min(limit, len(page))], err
	})
}

// limitedFirst is a List that takes as many records as the limit says, and then
// looks which of them it was asked for.
func limitedFirst(of func(r keys.Record, q keys.Query) bool) broken {
	return paged(func(b *broken, q keys.Query, _ []keys.Record) ([]keys.Record, error) {
		var all []keys.Record
		for _, was := range b.noted() {
			if r, err := b.one(context.Background(), was.ID); err == nil && r.ID > q.After && of(r, q) {
				all = append(all, r)
			}
		}
		slices.SortFunc(all, func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) })
		page := []keys.Record{}
		for _, r := range all[:min(len(all), q.Limit)] {
			if r.Org == q.Org && r.Kind == q.Kind && !(q.Live && r.Revoked()) {
				page = append(page, r)
			}
		}
		return page, nil
	})
}

// capped is a List of at most so many records.
func capped(limit func(int) int) broken {
	return broken{list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		q.Limit = limit(q.Limit)
		return b.Memory.List(ctx, q)
	}}
}

// freshDefects are stale, or show other records than they should.
var freshDefects = []*defect{
	{"a miss is remembered", "get-sees-inserts", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		r, err := b.one(ctx, id)
		b.mu.Lock()
		defer b.mu.Unlock()
		if errors.Is(err, keys.ErrNotFound) {
			if b.gets == nil {
				b.gets = make(map[string]int)
			}
			b.gets[id]++
		}
		if err == nil && b.gets[id] > 0 {
			return keys.Record{}, keys.ErrNotFound
		}
		return r, err
	}}},
	{"what was read is remembered", "get-sees-updates", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		r, err := getOverlaid(b, ctx, id)
		if err == nil {
			b.put(r)
		}
		return r, err
	}}},
	{"an update writes nothing", "get-sees-updates", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		was, err := b.one(ctx, r.ID)
		if err == nil {
			_, err = keys.Next(was, r)
		}
		return err
	}}},
	{"an error is made with %v", "get-not-found", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		r, err := b.one(ctx, id)
		if errors.Is(err, keys.ErrNotFound) {
			err = fmt.Errorf("mystore: %v", err)
		}
		return r, err
	}}},

	{"lists are of what was inserted", "list-sees-writes", listNoted(func(was, _ keys.Record) keys.Record { return was })},
	{"a revoked key stays listed as live", "list-sees-writes", listNoted(func(was, is keys.Record) keys.Record {
		is.RevokedAt = was.RevokedAt
		return is
	})},
	{"a list keeps the first version", "list-sees-writes", listNoted(func(was, is keys.Record) keys.Record {
		is.Version = was.Version
		return is
	})},
	{"a list is of before", "list-sees-writes", paged(func(b *broken, q keys.Query, page []keys.Record) ([]keys.Record, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		before, known := b.pages[fmt.Sprint(q)]
		if b.pages == nil {
			b.pages = make(map[string][]keys.Record)
		}
		b.pages[fmt.Sprint(q)] = slices.Clone(page)
		if known && len(before) == len(page) {
			return before, nil
		}
		return page, nil
	})},
	{"the list of live ones is made when they are inserted", "list-live-sees-writes", paged(func(b *broken, q keys.Query, page []keys.Record) ([]keys.Record, error) {
		if !q.Live {
			return page, nil
		}
		q.Live = false
		page, err := b.Memory.List(context.Background(), q)
		return slices.DeleteFunc(page, func(r keys.Record) bool {
			r = b.insertedAs(r.ID)
			return r.Revoked()
		}), err
	})},
	{"live leaves out what expired", "list-live", relisted(func(r keys.Record) bool { return !isDead(r) })},
	{"live leaves out what is paused", "list-live", relisted(func(r keys.Record) bool { return !r.Revoked() && !r.Disabled() })},
	{"what is revoked later is live", "list-live", relisted(func(r keys.Record) bool { return !r.Revoked() || r.RevokedAt.Year() > 2100 })},
	{"what was revoked in 1970 is live", "list-live", relisted(func(r keys.Record) bool { return !r.Revoked() || r.RevokedAt.UnixMilli() == 0 })},
	{"live is passed over", "list-live", relisted(func(keys.Record) bool { return true })},
	{"live is the contrary", "list-live", relisted(func(r keys.Record) bool { return r.Revoked() })},
	{"the limit comes before what is live", "list-live-fills-pages", limitedFirst(func(r keys.Record, q keys.Query) bool {
		return r.Org == q.Org && r.Kind == q.Kind
	})},
	{"the limit comes before the kind", "list-fills-pages", limitedFirst(func(r keys.Record, q keys.Query) bool {
		return r.Org == q.Org && !(q.Live && r.Revoked())
	})},
	{"the limit comes before the organization", "list-fills-pages", limitedFirst(func(r keys.Record, q keys.Query) bool {
		return r.Kind == q.Kind && !(q.Live && r.Revoked())
	})},
	{"pages of a hundred at most", "list-has-no-cap", capped(func(n int) int { return min(n, 100) })},
	{"pages of a thousand at most", "list-has-no-cap", capped(func(n int) int { return min(n, 1000) })},
	{"a limit that is too large is a small one", "list-has-no-cap", capped(func(n int) int {
		if n > 1000 {
			return 50
		}
		return n
	})},
	{"a page is read in two steps", "concurrent-lists-are-one-moment", broken{list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		first, err := b.Memory.List(ctx, q)
		if len(first) < 10 {
			return first, err
		}
		latency(3)
		second, err := b.Memory.List(ctx, q)
		if err != nil || len(second) != len(first) {
			return second, err
		}
		return append(first[:5], second[5:]...), nil
	}}},

	{"an insert that is cut off is in no list", "context-ends-during-writes", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			latency(10)
			if err := ctx.Err(); err != nil {
				b.put(r)
				return err
			}
			return b.Memory.Insert(ctx, r)
		},
		get: getOverlaid,
	}},
	{"an update that is cut off writes half", "context-ends-during-writes", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			latency(10)
			return b.Memory.Insert(ctx, r)
		},
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			latency(10)
			if err := ctx.Err(); err != nil {
				half, _ := b.one(context.Background(), r.ID)
				half.Label, half.Version = r.Label, r.Version+1
				b.put(half)
				return err
			}
			return b.Memory.Update(ctx, r)
		},
		get: getOverlaid,
	}},
	{"an update that is cut off is a conflict", "context-ends-during-writes", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			latency(10)
			return b.Memory.Insert(ctx, r)
		},
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			latency(10)
			if ctx.Err() != nil {
				return keys.ErrConflict
			}
			return b.Memory.Update(ctx, r)
		},
	}},
}
