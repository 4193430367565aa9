package storetest_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// sweptBefore is a Sweep that goes by another time.
func sweptBefore(change func(time.Time) time.Time) broken {
	return broken{sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		return b.Memory.Sweep(ctx, change(before), limit)
	}}
}

// sweptOnlyIf is a Sweep that removes nothing unless a condition is met.
func sweptOnlyIf(condition func(b *broken, before time.Time, limit int) bool) broken {
	return broken{insert: insertNoted, sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		if limit > 0 && ctx.Err() == nil && !condition(b, before, limit) {
			return 0, nil
		}
		return b.Memory.Sweep(ctx, before, limit)
	}}
}

// sweepable returns the tokens that are dead, of the first so many that are there.
func (b *broken) sweepable(before time.Time, first int) []keys.Record {
	var dead []keys.Record
	for _, was := range b.noted() {
		if r, err := b.one(context.Background(), was.ID); err == nil && r.Kind == keys.KindToken && first > 0 {
			first--
			if r.Sweepable(before) {
				dead = append(dead, r)
			}
		}
	}
	return dead
}

var sweepDefects = []*defect{
	{"sweep looks at the first hundred", "sweep-finds-all", sweptOnlyIf(func(b *broken, before time.Time, _ int) bool {
		return len(b.sweepable(before, 100)) > 0
	})},
	{"sweep removes a thousand at most", "sweep-finds-all", broken{sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		return b.Memory.Sweep(ctx, before, min(limit, 1000))
	}}},
	{"the largest limit overflows", "sweep-finds-all", sweptOnlyIf(func(_ *broken, _ time.Time, limit int) bool { return limit != math.MaxInt })},
	{"sweep removes half of what it may", "sweep-keeps-the-limit", broken{sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
		if limit == 3 {
			limit = 1
		}
		return b.Memory.Sweep(ctx, before, limit)
	}}},
	{"before is local time", "sweep-goes-by-instants", sweptBefore(func(t time.Time) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	})},
	{"before is cut to milliseconds", "sweep-goes-by-instants", sweptBefore(func(t time.Time) time.Time { return t.Truncate(time.Millisecond) })},
	{"before is cut to seconds", "sweep-removes-dead-tokens", sweptBefore(func(t time.Time) time.Time { return t.Truncate(time.Second) })},
	{"ends in 1970 are none", "sweep-goes-by-instants", sweptOnlyIf(func(b *broken, before time.Time, _ int) bool {
		for _, r := range b.sweepable(before, math.MaxInt) {
			if r.Ends().UnixMilli() == 0 {
				return false
			}
		}
		return true
	})},
	{"sweep goes by when tokens were revoked, if they were", "sweep-removes-dead-tokens", sweptOnlyIf(func(b *broken, before time.Time, _ int) bool {
		for _, r := range b.sweepable(before, math.MaxInt) {
			if r.Revoked() && !r.RevokedAt.Before(before) {
				return false
			}
		}
		return true
	})},
	{"sweep fails on long IDs", "sweep-removes-dead-tokens", sweptOnlyIf(func(b *broken, before time.Time, _ int) bool {
		for _, r := range b.sweepable(before, math.MaxInt) {
			if len(r.ID) > 250 {
				return false
			}
		}
		return true
	})},
	{"sweep takes IDs for patterns", "sweep-removes-dead-tokens", broken{
		insert: insertNoted,
		get:    getUnlessGone,
		sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
			for _, r := range b.sweepable(before, math.MaxInt) {
				if prefix, found := strings.CutSuffix(r.ID, "%"); found && prefix != "" {
					return 0, errDriver
				}
			}
			return b.Memory.Sweep(ctx, before, limit)
		},
	}},
	{"sweep removes the tokens of what is dead", "sweep-only-dead-tokens", sweepNoted(func(was, is keys.Record, before time.Time) bool {
		return strings.Contains(was.Parent, "expired") && !is.Sweepable(before)
	})},
	{"sweep removes the clients of what it removes", "sweep-keeps-tombstones", broken{
		insert: insertNoted,
		get:    getUnlessGone,
		sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
			dead := b.sweepable(before, math.MaxInt)
			n, err := b.Memory.Sweep(ctx, before, limit)
			if err == nil {
				for _, r := range dead {
					if _, err := b.one(ctx, r.Parent); err == nil {
						b.put(keys.Record{ID: r.Parent})
					}
				}
			}
			return n, err
		},
	}},
	{"sweep reads and then deletes", "concurrent-sweep-spares-the-revived", broken{
		insert: insertNoted,
		get:    getUnlessGone,
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			if _, err := getUnlessGone(b, ctx, r.ID); r.Validate() == nil && errors.Is(err, keys.ErrNotFound) {
				return err
			}
			return b.Memory.Update(ctx, r)
		},
		sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
			if limit < 1 || ctx.Err() != nil {
				return b.Memory.Sweep(ctx, before, limit)
			}
			dead := b.sweepable(before, math.MaxInt)
			latency(2)
			n, err := b.Memory.Sweep(ctx, before, limit)
			for _, r := range dead {
				if _, err := b.one(ctx, r.ID); err == nil && n < limit {
					b.put(keys.Record{ID: r.ID})
					n++
				}
			}
			return n, err
		},
	}},
	{"two sweeps count the same token", "concurrent-sweep-spares-the-revived", broken{
		insert: insertNoted,
		sweep: func(b *broken, ctx context.Context, before time.Time, limit int) (int, error) {
			dead := b.sweepable(before, math.MaxInt)
			latency(2)
			n, err := b.Memory.Sweep(ctx, before, limit)
			if err == nil && n < len(dead) {
				n = min(limit, len(dead))
			}
			return n, err
		},
	}},
}

// matched is an Update that finds records in another way than by their bytes, and
// writes to the first that it finds.
func matched(same func(stored, asked keys.Record) bool) broken {
	return broken{
		insert: insertNoted,
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			for _, was := range b.few() {
				if r.Validate() == nil && same(was, r) {
					r.ID, r.Org = was.ID, was.Org
					break
				}
			}
			return b.Memory.Update(ctx, r)
		},
	}
}

// spilled is an Update that changes other records too, in what Get returns.
func spilled(onto func(other, r keys.Record) bool, change func(other *keys.Record, r keys.Record)) broken {
	return broken{
		insert: insertNoted,
		get:    getOverlaid,
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			err := b.Memory.Update(ctx, r)
			if err != nil {
				return err
			}
			b.drop(r.ID)
			for _, was := range b.noted() {
				if is, err := b.one(ctx, was.ID); err == nil && is.ID != r.ID && onto(is, r) {
					change(&is, r)
					b.put(is)
				}
			}
			return nil
		},
	}
}

func revokeToo(other *keys.Record, r keys.Record) { other.RevokedAt = r.RevokedAt }

// reachDefects are Updates that reach too far.
var reachDefects = []*defect{
	{"update finds IDs without regard to case", "update-not-found", matched(func(was, r keys.Record) bool {
		return was.Org == r.Org && strings.EqualFold(was.ID, r.ID)
	})},
	{"update finds IDs without spaces", "update-not-found", matched(func(was, r keys.Record) bool {
		return was.Org == r.Org && strings.TrimSpace(was.ID) == strings.TrimSpace(r.ID)
	})},
	{"update finds IDs by prefix", "update-not-found", matched(func(was, r keys.Record) bool {
		return was.Org == r.Org && was.ID[:len(was.ID)-1] == r.ID
	})},
	{"update finds IDs in one Unicode form", "update-not-found", matched(func(was, r keys.Record) bool {
		fold := func(id string) string { return strings.NewReplacer("\u00e9", "e", "e\u0301", "e").Replace(id) }
		return was.Org == r.Org && fold(was.ID) == fold(r.ID)
	})},
	{"update compares organizations without regard to case", "update-needs-the-organization", matched(func(was, r keys.Record) bool {
		return was.ID == r.ID && strings.EqualFold(was.Org, r.Org)
	})},
	{"update compares organizations without spaces", "update-needs-the-organization", matched(func(was, r keys.Record) bool {
		return was.ID == r.ID && was.Org == strings.TrimRight(r.Org, " ")
	})},
	{"update compares organizations by prefix", "update-needs-the-organization", matched(func(was, r keys.Record) bool {
		return was.ID == r.ID && strings.HasPrefix(was.Org, r.Org)
	})},
	{"update takes organizations for patterns", "update-needs-the-organization", matched(func(was, r keys.Record) bool {
		return was.ID == r.ID && r.Org == "%"
	})},
	{"revoking a client revokes its tokens", "update-changes-one-record", spilled(func(other, r keys.Record) bool {
		return other.Parent == r.ID && r.Revoked()
	}, revokeToo)},
	{"revoking a key revokes what it made", "update-changes-one-record", spilled(func(other, r keys.Record) bool {
		return other.CreatedBy == r.ID
	}, revokeToo)},
	{"an update is one of all IDs that begin alike", "update-changes-one-record", spilled(func(other, r keys.Record) bool {
		return strings.HasPrefix(other.ID, r.ID) && other.Kind == keys.KindClient && r.Kind == keys.KindClient
	}, func(other *keys.Record, r keys.Record) { other.Label = r.Label })},
	{"an update is one of all that have the digest", "update-changes-one-record", spilled(func(other, r keys.Record) bool {
		return strings.HasSuffix(other.ID, ".twin")
	}, func(other *keys.Record, r keys.Record) { other.Digest = r.Digest })},
}
