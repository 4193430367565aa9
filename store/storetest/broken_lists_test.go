package storetest_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var recordDefects = slices.Concat(singleDefects, listDefects, contextDefects, raceDefects, historyDefects, parentDefects, useDefects,
	freshDefects, extremeDefects, sweepDefects, reachDefects, countDefects, trailDefects)

// listDefects are those of List and Sweep.
var listDefects = []*defect{
	{"list leaves out a column", "list-returns-whole-records", paged(func(_ *broken, _ keys.Query, page []keys.Record) ([]keys.Record, error) {
		for i := range page {
			page[i].Digest = keys.Digest{}
		}
		return page, nil
	})},
	{"an empty list is not found", "list-of-nothing-is-empty", paged(func(_ *broken, _ keys.Query, page []keys.Record) ([]keys.Record, error) {
		if len(page) == 0 {
			return nil, keys.ErrNotFound
		}
		return page, nil
	})},
	{"list leaves out the dead", "list-includes-dead", paged(func(_ *broken, _ keys.Query, page []keys.Record) ([]keys.Record, error) {
		return slices.DeleteFunc(page, isDead), nil
	})},
	{"organizations without regard to case", "list-isolates-organizations", merged(func(r keys.Record, q keys.Query) bool {
		return r.Kind == q.Kind && strings.EqualFold(r.Org, q.Org)
	})},
	{"organizations by prefix", "list-isolates-organizations", merged(func(r keys.Record, q keys.Query) bool {
		return r.Kind == q.Kind && strings.HasPrefix(r.Org, q.Org+":")
	})},
	{"organization, kind and ID are one text", "list-isolates-organizations", merged(func(r keys.Record, q keys.Query) bool {
		return strings.HasPrefix(r.Org+string(r.Kind)+r.ID, q.Org+string(q.Kind))
	})},
	{"a slash between organization, kind and ID", "list-isolates-organizations", merged(func(r keys.Record, q keys.Query) bool {
		return strings.HasPrefix(r.Org+"/"+string(r.Kind)+"/"+r.ID, q.Org+"/"+string(q.Kind)+"/")
	})},
	{"list shows tokens among keys", "list-isolates-kinds", merged(func(r keys.Record, q keys.Query) bool {
		return r.Org == q.Org && (r.Kind == q.Kind || r.Kind == keys.KindToken && q.Kind == keys.KindKey)
	})},
	{"one more than the limit", "list-keeps-the-limit", broken{list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		if q.Limit > 0 {
			q.Limit = min(q.Limit, math.MaxInt-1) + 1
		}
		return b.Memory.List(ctx, q)
	}}},
	{"the limit overflows", "list-keeps-the-limit", broken{list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		page, err := b.Memory.List(ctx, q)
		if err == nil && q.Limit+1 < 0 {
			return nil, nil
		}
		return page, err
	}}},
	{"order of a dictionary", "list-is-ordered-bytewise", paged(func(_ *broken, _ keys.Query, page []keys.Record) ([]keys.Record, error) {
		slices.SortStableFunc(page, func(a, b keys.Record) int {
			return strings.Compare(strings.ToLower(a.ID), strings.ToLower(b.ID))
		})
		return page, nil
	})},
	{"newest first", "list-is-ordered-bytewise", paged(func(_ *broken, _ keys.Query, page []keys.Record) ([]keys.Record, error) {
		slices.Reverse(page)
		return page, nil
	})},
	{"the cursor is part of the page", "list-begins-after-the-cursor", broken{list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		page, err := b.Memory.List(ctx, q)
		if at, missing := b.one(ctx, q.After); err == nil && missing == nil {
			page = append([]keys.Record{at}, page...)
		}
		return page[:min(len(page), max(q.Limit, 0))], err
	}}},
	{"the cursor must be a record", "list-begins-after-the-cursor", broken{list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		if q.After != "" && q.Validate() == nil && ctx.Err() == nil {
			if _, err := b.one(ctx, q.After); err != nil {
				return nil, nil
			}
		}
		return b.Memory.List(ctx, q)
	}}},
	{"pages by offset", "list-pages-miss-nothing", broken{list: listByOffset}},
	{"pages share a buffer", "list-returns-a-copy", broken{list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		page, err := b.Memory.List(ctx, q)
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.pages == nil {
			b.pages = make(map[string][]keys.Record)
		}
		b.pages[q.Org] = append(b.pages[q.Org][:0], page...)
		return b.pages[q.Org], nil
	}}},
	{"no organization is an empty one", "list-validates", broken{list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		if q.Validate() != nil {
			return nil, nil
		}
		return b.Memory.List(ctx, q)
	}}},

	{"sweep does nothing", "sweep-removes-dead-tokens", broken{sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		return 0, nil
	}}},
	{"sweep counts wrongly", "sweep-removes-dead-tokens", broken{sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		n, err := b.Memory.Sweep(ctx, before, limit)
		return min(n, 1), err
	}}},
	{"sweep removes what ends now", "sweep-only-dead-tokens", broken{sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		return b.Memory.Sweep(ctx, before.Add(time.Millisecond), limit)
	}}},
	{"what is not set is long past", "sweep-only-dead-tokens", broken{
		insert: insertNoted,
		get:    getUnlessGone,
		sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
			return sweepAlso(b, ctx, before, limit, func(r keys.Record) bool {
				return r.Kind == keys.KindToken && r.RevokedAt.Before(before)
			})
		},
	}},
	{"sweep goes by the ends at first", "sweep-follows-updates", sweepNoted(func(was, _ keys.Record, before time.Time) bool {
		return endsBefore(was, before)
	})},
	{"an end that is cleared stays in a list", "sweep-follows-updates", sweepNoted(func(was, is keys.Record, before time.Time) bool {
		return endsBefore(was, before) && is.ExpiresAt.IsZero()
	})},
	{"sweep misses what expires sooner", "sweep-follows-updates", sweepUnlessLate(func(was, is keys.Record) bool {
		return is.ExpiresAt.Before(was.ExpiresAt) && !is.ExpiresAt.IsZero()
	})},
	{"sweep misses what expires at all", "sweep-follows-updates", sweepUnlessLate(func(was, is keys.Record) bool {
		return was.ExpiresAt.IsZero() && !is.ExpiresAt.IsZero()
	})},
	{"sweep misses what an update revoked", "sweep-follows-updates", sweepUnlessLate(func(was, is keys.Record) bool {
		return !was.Revoked() && is.Revoked()
	})},
	{"sweep removes keys that an update revoked", "sweep-keeps-tombstones", sweepNoted(func(was, is keys.Record, before time.Time) bool {
		return was.Kind != keys.KindToken && !was.Revoked() && is.Revoked() && is.RevokedAt.Before(before)
	})},
	{"sweep removes keys", "sweep-keeps-tombstones", broken{
		insert: insertNoted,
		get:    getUnlessGone,
		sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
			return sweepAlso(b, ctx, before, limit, func(r keys.Record) bool {
				return r.Kind == keys.KindKey && !r.ExpiresAt.IsZero() && r.ExpiresAt.Before(before)
			})
		},
	}},
	{"sweep knows no limit", "sweep-keeps-the-limit", broken{sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		if limit < 1 {
			return b.Memory.Sweep(ctx, before, limit)
		}
		return b.Memory.Sweep(ctx, before, math.MaxInt)
	}}},
	{"a limit of 0 is none", "sweep-validates", broken{sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		if limit < 1 {
			limit = math.MaxInt
		}
		return b.Memory.Sweep(ctx, before, limit)
	}}},
}

var contextDefects = []*defect{
	{"insert does not heed its context", "context-ended-insert", broken{insert: func(b *broken, ctx context.Context, r keys.Record) error {
		return b.Memory.Insert(context.WithoutCancel(ctx), r)
	}}},
	{"insert writes, and fails then", "context-ended-insert", broken{insert: func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Insert(context.WithoutCancel(ctx), r)
		return cmp.Or(ctx.Err(), err)
	}}},
	{"get does not heed its context", "context-ended-get", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		return b.one(context.WithoutCancel(ctx), id)
	}}},
	{"a get that was cancelled found nothing", "context-ended-get", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		r, err := b.one(ctx, id)
		if err != nil {
			return r, fmt.Errorf("%w: %w", keys.ErrNotFound, err)
		}
		return r, nil
	}}},
	{"update does not heed its context", "context-ended-update", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		return b.Memory.Update(context.WithoutCancel(ctx), r)
	}}},
	{"an update that was cancelled is a conflict", "context-ended-update", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		if ctx.Err() != nil {
			return keys.ErrConflict
		}
		return b.Memory.Update(ctx, r)
	}}},
	{"list does not heed its context", "context-ended-list", broken{list: func(b *broken, ctx context.Context, q keys.Query) ([]keys.Record, error) {
		return b.Memory.List(context.WithoutCancel(ctx), q)
	}}},
	{"sweep does not heed its context", "context-ended-sweep", broken{sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		return b.Memory.Sweep(context.WithoutCancel(ctx), before, limit)
	}}},
}
