package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

const (
	// touchEvery is how often a cache writes its announcement anew. idleAfter is the
	// age at which other processes take an announcement for one whose cache is gone.
	touchEvery = time.Minute
	idleAfter  = 10 * time.Minute
)

// settleTime returns how long a change takes to be seen everywhere, given the longest
// lease. It is a fifth longer than that, since clocks run at different speeds.
func settleTime(lease time.Duration) time.Duration { return lease + lease/5 }

// Run announces the cache in the store, and asks for changes until ctx ends. Then it
// stops the cache, and returns the error of taking the announcement back. While the
// store fails, Run keeps trying, and checks read the store. A second Run of the same
// Cache at the same time fails.
func (c *Cache) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("keys: Cache.Run is running already")
	}
	defer c.running.Store(false)
	for ctx.Err() == nil {
		// The ID is random, since no two processes may share an announcement.
		id := rand.Text()
		if err := c.call(ctx, func(ctx context.Context) error { return c.feed.Announce(ctx, id, c.opts.Lease) }); err != nil {
			c.fail(ctx, err)
			pause(ctx, c.opts.Lease)
		} else {
			c.run.Add(1)
			c.follow(ctx, id)
			c.began.Store(nil) // before the announcement is taken back
			pause(ctx, c.opts.Lease/4)
		}
		if err := c.withdraw(ctx, id); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// call calls the store with a context that ends.
func (c *Cache) call(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	return do(ctx)
}

// fail counts and reports a failure, unless ctx has ended.
func (c *Cache) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	c.failed.Add(1)
	if c.opts.OnError != nil {
		c.opts.OnError(err)
	}
}

// pause waits for a time, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (c *Cache) withdraw(ctx context.Context, ids ...string) error {
	ctx, cancel := cleanUp(ctx)
	defer cancel()
	return c.feed.Withdraw(ctx, ids...)
}

// follow asks for changes until ctx ends or the announcement is gone. It is called
// after the store has confirmed the announcement.
func (c *Cache) follow(ctx context.Context, id string) {
	var at Position
	var idle idleCaches
	touched := c.clock()
	for ctx.Err() == nil {
		began := c.clock() // before the store is asked
		changes, err := c.poll(ctx, id, at)
		switch {
		case errors.Is(err, ErrNotAnnounced):
			c.fail(ctx, err)
			return
		case err != nil:
			c.fail(ctx, err)
		default:
			// First the records are dropped, then the lease is extended.
			number := c.polled.Load() + 1
			c.drop(number, changes)
			c.polled.Store(number)
			at = changes.Next
			c.began.Store(&began)
		}
		if now := c.clock(); now.since(touched) > touchEvery {
			touched = now
			if err := c.tidy(ctx, id, &idle); err != nil {
				c.fail(ctx, err)
			}
		}
		pause(ctx, c.opts.Lease/4-c.clock().since(began))
	}
}

func (c *Cache) poll(ctx context.Context, id string, at Position) (changes Changes, err error) {
	err = c.call(ctx, func(ctx context.Context) error {
		changes, err = c.feed.Poll(ctx, id, at)
		return err
	})
	return changes, err
}

// idleCaches are announcements whose caches seem to be gone.
type idleCaches struct {
	ids    []string
	marked time.Time
}

// tidy writes the announcement anew, and removes announcements that other processes
// left behind. It marks them first. It removes them only after so long that a cache
// which is still in use must have seen the mark and stopped. The clock of the store
// has no part in that.
func (c *Cache) tidy(ctx context.Context, id string, idle *idleCaches) error {
	err := c.call(ctx, func(ctx context.Context) error { return c.feed.Announce(ctx, id, c.opts.Lease) })
	if len(idle.ids) > 0 && time.Since(idle.marked) > settleTime(MaxLease) { // at least, since this clock may stand still
		err = errors.Join(err, c.withdraw(ctx, idle.ids...))
	}
	err = errors.Join(err, c.call(ctx, func(ctx context.Context) (err error) {
		idle.ids, err = c.feed.MarkIdle(ctx, idleAfter)
		return err
	}))
	idle.marked = time.Now()
	return err
}
