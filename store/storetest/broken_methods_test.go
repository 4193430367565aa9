package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// altered is a Get that returns something else than what was stored.
func altered(change func(*keys.Record)) broken {
	return broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		r, err := b.one(ctx, id)
		if err == nil {
			change(&r)
		}
		return r, err
	}}
}

// written is an Update that writes something else than it was told to.
func written(change func(was keys.Record, r *keys.Record)) broken {
	return broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		if was, err := b.one(ctx, r.ID); err == nil && r.Validate() == nil && was.Org == r.Org {
			change(was, &r)
		}
		return b.Memory.Update(ctx, r)
	}}
}

// folded is a store that takes IDs for the same if fold makes them the same.
func folded(fold func(string) string) broken {
	return broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			for _, other := range b.few() {
				if ctx.Err() == nil && fold(other.ID) == fold(r.ID) {
					return keys.ErrExists
				}
			}
			return insertNoted(b, ctx, r)
		},
		get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
			for _, other := range b.few() {
				if fold(other.ID) == fold(id) {
					id = other.ID
				}
			}
			return b.one(ctx, id)
		},
	}
}

// paged is a List whose good answers are changed.
func paged(change func(b *broken, q keys.Query, page []keys.Record) ([]keys.Record, error)) broken {
	return broken{insert: insertNoted, list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		page, err := b.Memory.List(ctx, q)
		if err != nil {
			return nil, err
		}
		return change(b, q, page)
	}}
}

// merged is a List that takes records for its own that are of others.
func merged(own func(r keys.Record, q keys.Query) bool) broken {
	return paged(func(b *broken, q keys.Query, page []keys.Record) ([]keys.Record, error) {
		for _, r := range b.noted() {
			if _, err := b.one(context.Background(), r.ID); err == nil && own(r, q) && r.ID > q.After && !slices.ContainsFunc(page, func(o keys.Record) bool { return o.ID == r.ID }) {
				page = append(page, r)
			}
		}
		slices.SortFunc(page, func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) })
		return page[:min(len(page), q.Limit)], nil
	})
}

func isDead(r keys.Record) bool {
	return r.Revoked() || r.Expired(time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC))
}

// listByOffset remembers how many records came before each page's end, and
// begins the next page there.
func listByOffset(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
	b.mu.Lock()
	skip, known := b.offsets[q.After]
	b.mu.Unlock()
	limit := q.Limit
	if known {
		q.After, q.Limit = "", 1000
	}
	page, err := b.Memory.List(ctx, q)
	if err != nil {
		return nil, err
	}
	if known {
		page = page[min(skip, len(page)):]
	}
	page = page[:min(limit, len(page))]
	if len(page) > 0 {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.offsets == nil {
			b.offsets = make(map[string]int)
		}
		if known || q.After == "" {
			b.offsets[page[len(page)-1].ID] = skip + len(page)
		}
	}
	return page, nil
}

// sweepAlso is a Sweep after which Get does not find certain records more.
func sweepAlso(b *broken, ctx context.Context, before time.Time, limit int, also func(keys.Record) bool) (int, error) {
	n, err := b.Memory.Sweep(ctx, before, limit)
	if err == nil {
		for _, r := range b.noted() {
			if also(r) {
				b.put(keys.Record{ID: r.ID})
			}
		}
	}
	return n, err
}

// getUnlessGone is a Get that does not find what sweepAlso removed.
func getUnlessGone(b *broken, ctx context.Context, id string) (keys.Record, error) {
	r, err := getOverlaid(b, ctx, id)
	if err == nil && r.Org == "" {
		return keys.Record{}, keys.ErrNotFound
	}
	return r, err
}

// sweepUnlessLate is a Sweep that removes nothing while there is a token that is
// dead now, and whose last Update brought its end about in a certain way.
func sweepUnlessLate(by func(was, is keys.Record) bool) broken {
	return broken{insert: insertNoted, sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		for _, was := range b.noted() {
			if is, err := b.one(ctx, was.ID); err == nil && was.Kind == keys.KindToken && by(was, is) && limit > 0 {
				return 0, nil
			}
		}
		return b.Memory.Sweep(ctx, before, limit)
	}}
}

// sweepNoted is a Sweep that also removes what it did not have to, going by how
// a record was inserted and how it is now.
func sweepNoted(also func(was, is keys.Record, before time.Time) bool) broken {
	return broken{
		insert: insertNoted,
		get:    getUnlessGone,
		sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
			return sweepAlso(b, ctx, before, limit, func(was keys.Record) bool {
				is, err := b.one(ctx, was.ID)
				return err == nil && also(was, is, before)
			})
		},
	}
}

// endsBefore reports whether a token expires before a time.
func endsBefore(r keys.Record, t time.Time) bool {
	return r.Kind == keys.KindToken && !r.ExpiresAt.IsZero() && r.ExpiresAt.Before(t)
}

// recalled is an Update that does something else where the sound one refuses
// a record since it was passed as another kind than it is.
func recalled(instead func(b *broken, is, passed keys.Record) error) broken {
	return broken{
		get: getOverlaid,
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			err := b.Memory.Update(ctx, r)
			if errors.Is(err, keys.ErrInvalid) && r.Validate() == nil {
				is, _ := b.one(ctx, r.ID)
				return instead(b, is, r)
			}
			return err
		},
	}
}

// adopted returns the record that is written if nobody looks at the kind.
func adopted(is, passed keys.Record) keys.Record {
	passed.Kind, passed.Parent, passed.Environment = is.Kind, is.Parent, is.Environment
	passed.CreatedBy, passed.Replaces, passed.CreatedAt = is.CreatedBy, is.Replaces, is.CreatedAt
	passed.Version++
	return passed
}
