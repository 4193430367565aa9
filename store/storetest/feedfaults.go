package storetest

import (
	"cmp"
	"context"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// FeedFaults is a [Faults] for a store with a [keys.Feed]. The methods of the feed have
// faults too. Use it for a service with a [keys.Cache], or one that shares its store
// with a process that has one: over a Faults there can be no cache, and a manager does
// not wait for the caches of other processes. A FeedFaults is made by [NewFeedFaults].
type FeedFaults struct {
	*Faults
	feed keys.Feed
}

var (
	_ store.Store = (*FeedFaults)(nil)
	_ keys.Feed   = (*FeedFaults)(nil)
)

// NewFeedFaults is [NewFaults] for a store with a feed. It panics if s has none.
func NewFeedFaults(s store.Store) *FeedFaults {
	feed, ok := s.(keys.Feed)
	if !ok {
		panic("storetest: NewFeedFaults of a store without a feed")
	}
	return &FeedFaults{NewFaults(s), feed}
}

// Announce is [keys.Feed.Announce], with the faults of [Announce].
func (f *FeedFaults) Announce(ctx context.Context, id string, lease time.Duration) error {
	a, err := f.begin(ctx, Announce)
	if err != nil {
		return err
	}
	return cmp.Or(a.lost, f.feed.Announce(ctx, id, lease))
}

// Withdraw is [keys.Feed.Withdraw], with the faults of [Withdraw].
func (f *FeedFaults) Withdraw(ctx context.Context, ids ...string) error {
	a, err := f.begin(ctx, Withdraw)
	if err != nil {
		return err
	}
	return cmp.Or(a.lost, f.feed.Withdraw(ctx, ids...))
}

// MarkIdle is [keys.Feed.MarkIdle], with the faults of [MarkIdle].
func (f *FeedFaults) MarkIdle(ctx context.Context, idle time.Duration) ([]string, error) {
	a, err := f.begin(ctx, MarkIdle)
	if err != nil {
		return nil, err
	}
	ids, err := f.feed.MarkIdle(ctx, idle)
	if err = cmp.Or(a.lost, err); err != nil {
		return nil, err
	}
	return ids, nil
}

// Poll is [keys.Feed.Poll], with the faults of [Poll].
func (f *FeedFaults) Poll(ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
	a, err := f.begin(ctx, Poll)
	if err != nil {
		return keys.Changes{}, err
	}
	c, err := f.feed.Poll(ctx, id, after)
	if err = cmp.Or(a.lost, err); err != nil {
		return keys.Changes{}, err
	}
	return c, nil
}

// LongestLease is [keys.Feed.LongestLease], with the faults of [LongestLease].
func (f *FeedFaults) LongestLease(ctx context.Context) (time.Duration, error) {
	a, err := f.begin(ctx, LongestLease)
	if err != nil {
		return 0, err
	}
	lease, err := f.feed.LongestLease(ctx)
	if err = cmp.Or(a.lost, err); err != nil {
		return 0, err
	}
	return lease, nil
}
