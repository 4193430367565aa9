package storetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// feedCalls are one call of each method of a feed.
var feedCalls = []struct {
	method storetest.Method
	do     func(ctx context.Context, f keys.Feed) (answered bool, err error)
}{
	{storetest.Announce, func(ctx context.Context, f keys.Feed) (bool, error) {
		return false, f.Announce(ctx, "cache", time.Second)
	}},
	{storetest.Poll, func(ctx context.Context, f keys.Feed) (bool, error) {
		c, err := f.Poll(ctx, "cache", "")
		return c.All, err
	}},
	{storetest.LongestLease, func(ctx context.Context, f keys.Feed) (bool, error) {
		lease, err := f.LongestLease(ctx)
		return lease == time.Second, err
	}},
	{storetest.MarkIdle, func(ctx context.Context, f keys.Feed) (bool, error) {
		ids, err := f.MarkIdle(ctx, -time.Hour)
		return len(ids) == 1, err
	}},
	{storetest.Withdraw, func(ctx context.Context, f keys.Feed) (bool, error) { return false, f.Withdraw(ctx, "cache") }},
}

// Each method of a feed fails when it is told to, without the store, or loses its
// answer, and is passed on otherwise.
func TestFeedFaults(t *testing.T) {
	t.Parallel()
	for _, c := range feedCalls {
		t.Run(c.method.String(), func(t *testing.T) {
			t.Parallel()
			f := storetest.NewFeedFaults(newFed(new(feedDB), alteration{}))
			if c.method != storetest.Announce {
				if err := f.Announce(t.Context(), "cache", time.Second); err != nil {
					t.Fatal(err)
				}
			}
			f.Fail(c.method, 1, errDown)
			if answered, err := c.do(t.Context(), f); err != errDown || answered {
				t.Errorf("a call that was to fail: %t, %v", answered, err)
			}
			if lease, err := f.LongestLease(t.Context()); (lease > 0) != (c.method != storetest.Announce) || err != nil {
				t.Errorf("a call that was to fail reached the store: a lease of %v, %v", lease, err)
			}
			f.Lose(c.method, 1, errLost)
			if answered, err := c.do(t.Context(), f); err != errLost || answered {
				t.Errorf("a call whose answer was to be lost: %t, %v", answered, err)
			}
			if lease, err := f.LongestLease(t.Context()); (lease > 0) != (c.method != storetest.Withdraw) || err != nil {
				t.Errorf("a call whose answer was lost did not reach the store: a lease of %v, %v", lease, err)
			}
			f.Heal()
			before := f.Calls(c.method)
			answered, err := c.do(t.Context(), f)
			if err != nil && (c.method != storetest.Announce || !errors.Is(err, keys.ErrNotAnnounced)) {
				t.Error(err)
			}
			if reads := c.method == storetest.Poll || c.method == storetest.LongestLease; reads && !answered {
				t.Error("the answer of the store is not passed on")
			}
			if got := f.Calls(c.method) - before; got != 1 {
				t.Errorf("%d calls were counted, want 1", got)
			}
		})
	}
}

// A cache works over a feed with faults. A revocation waits for it; and one that
// cannot know how long to wait says so.
func TestFeedFaultsWithCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := storetest.NewFeedFaults(newFed(new(feedDB), alteration{}))
		cache, err := keys.NewCache(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- cache.Run(ctx) }()
		m, err := keys.NewManager(cache, nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		revoke := func() (time.Duration, error) {
			issued, err := m.Create(t.Context(), "acme", keys.Spec{})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			err = m.Revoke(t.Context(), "acme", keys.KindKey, issued.Record.ID)
			return time.Since(began), err
		}
		if waited, err := revoke(); err != nil || waited < keys.DefaultLease {
			t.Errorf("a revocation took %v, %v", waited, err)
		}
		f.Fail(storetest.LongestLease, storetest.Always, errDown)
		if _, err := revoke(); !errors.Is(err, keys.ErrUnsettled) {
			t.Errorf("a revocation that cannot know how long to wait: %v", err)
		}
		f.Heal()
		stop()
		<-ended
	})
}

// Without faults the wrapper is a store like the one within, with its feed.
func TestFeedFaultsConformance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		violations := storetest.CheckRecords(t, func(testing.TB) keys.Store {
			return storetest.NewFeedFaults(newFed(new(feedDB), alteration{}))
		}, &storetest.Options[keys.Store]{Race: lap})
		if violations != nil {
			t.Error(violations)
		}
	})
}

func TestFeedFaultsNeedAFeed(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a store without a feed is taken")
		}
	}()
	storetest.NewFeedFaults(new(store.Memory))
}
