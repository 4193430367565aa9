package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrUnsettled reports a change that is written, and that caches of other
// processes may not have seen yet: they will within 1.2 times [MaxLease]. It wraps
// the error behind it. A call that returns it can be made again.
var ErrUnsettled = errors.New("keys: change is written, and not yet everywhere")

// Settle waits until what was committed before the call counts in all processes
// that share the store. The methods of a Manager that revoke, change or rotate do
// that by themselves. Only hosts call it that make changes in transactions of
// their own, after the commit. If the store has no [Feed], or no process has a
// [Cache], it returns at once; else after 1.2 times the longest lease. The error
// is [ErrUncommitted] within such a transaction, or wraps [ErrUnsettled].
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

// settleTime returns how long a change takes to be everywhere. The error is
// ErrUncommitted or wraps ErrUnavailable.
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

// feedOf returns the feed of a store, or nil. A struct that embeds a [Cache] has that
// of the store behind the cache.
func feedOf(s Store) Feed {
	if cached, ok := s.(interface{ behind() Feed }); ok {
		return cached.behind()
	}
	feed, _ := s.(Feed)
	return feed
}

// everywhere settles after a change that went well, and returns the error of the
// change or of settling. A change in a transaction of the host's is the host's to
// settle.
func (m *Manager) everywhere(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	if err = m.Settle(ctx); errors.Is(err, ErrUncommitted) {
		return nil
	}
	return err
}

// everywhereForOnce is everywhere for a rotation. Its secret can be had once, so the
// call cannot be made again to settle: if the store cannot say how long to wait, that
// is as long as for the longest lease there can be.
func (m *Manager) everywhereForOnce(ctx context.Context, err error) error {
	err = m.everywhere(ctx, err)
	if errors.Is(err, ErrUnsettled) && ctx.Err() == nil {
		return settleFor(ctx, settleTime(MaxLease))
	}
	return err
}

// overlap returns how long a credential stays good for the time of an overlap,
// which counts from when its successor is good everywhere.
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
