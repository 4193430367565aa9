package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrUnsettled reports a change that is written, but that the caches of other
// processes may not have seen yet. They will see it within 1.2 times [MaxLease].
// Errors that wrap it also wrap the cause. A call that returns it can be made again,
// except for a rotation, which would make another secret.
var ErrUnsettled = errors.New("keys: change is written, and not yet everywhere")

// Settle waits until all processes that share the store see what was committed before
// the call. The methods of a Manager that revoke, change or rotate do that by
// themselves. A host needs Settle only if it makes changes in transactions of its own:
// it calls Settle after the commit. If the store has no [Feed], or no process has a
// [Cache], Settle returns at once, and otherwise after 1.2 times the longest lease.
// The error wraps [ErrUncommitted] if the transaction is still open, or
// [ErrUnsettled].
func (m *Manager) Settle(ctx context.Context) error {
	wait, err := m.settleTime(ctx)
	if err != nil && !errors.Is(err, ErrUncommitted) {
		err = fmt.Errorf("%w: %w", ErrUnsettled, err)
	}
	if err != nil || wait == 0 {
		return err
	}
	return settleFor(ctx, wait)
}

// settleFor waits until caches have seen a change. The error wraps ErrUnsettled.
func settleFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnsettled, unavailable(ctx, ctx.Err()))
	}
}

// settleTime returns how long it takes until all processes see a change. The error
// wraps ErrUncommitted or ErrUnavailable.
func (m *Manager) settleTime(ctx context.Context) (time.Duration, error) {
	feed := feedOf(m.store.store)
	if feed == nil {
		return 0, nil
	}
	bounded, cancel := m.store.context(ctx)
	defer cancel()
	lease, err := feed.LongestLease(bounded)
	switch {
	case errors.Is(err, ErrUncommitted):
		return 0, err
	case err != nil:
		return 0, answer(ctx, err)
	}
	return settleTime(lease), nil
}

// feedOf returns the feed of a store, or nil. For a [Cache], or a struct that embeds
// one, it is the feed of the store behind it.
func feedOf(s Store) Feed {
	if cached, ok := s.(interface{ behind() Feed }); ok {
		return cached.behind()
	}
	feed, _ := s.(Feed)
	return feed
}

// everywhere settles after a change, unless that has failed, and returns the error of
// the change or of settling. In a transaction of the host it does not settle, since
// the host does so after the commit.
func (m *Manager) everywhere(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	if err = m.Settle(ctx); errors.Is(err, ErrUncommitted) {
		return nil
	}
	return err
}

// everywhereForOnce is everywhere for a rotation. Its secret is returned only once, so
// the call cannot be made again to settle. If the store cannot say how long to wait, it
// waits as long as for the longest possible lease.
func (m *Manager) everywhereForOnce(ctx context.Context, err error) error {
	err = m.everywhere(ctx, err)
	if errors.Is(err, ErrUnsettled) {
		return settleFor(ctx, settleTime(MaxLease))
	}
	return err
}

// overlap returns how long the old credential must stay good for an overlap of d. The
// overlap counts from the moment at which the new one is good everywhere, which is
// later by the time of settling.
func (m *Manager) overlap(ctx context.Context, d time.Duration) (time.Duration, error) {
	if d == 0 || d == Forever {
		return d, nil
	}
	wait, err := m.settleTime(ctx)
	if err != nil && !errors.Is(err, ErrUncommitted) {
		return 0, err
	}
	return min(d, Forever-1-wait) + wait, nil
}
