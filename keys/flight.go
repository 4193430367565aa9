package keys

import (
	"context"
	"errors"
)

// A flight is a read of one record that several checks share.
type flight struct {
	began *reading      // before the store was asked; nil until then
	run   uint64        // the announcement under which it began
	done  chan struct{} // closed when the rest is set
	rec   *Record
	par   *Record
	err   error
	next  *flight // begins when this one is done; nil if nobody waits for it
}

// errPanic is returned to checks that wait for a read in which the store panics.
var errPanic = errors.New("keys: the store panicked")

// share reads a record for a check that was under way at now, together with other
// checks that miss the record at the same time. A check may only use a read that
// began less than a lease before now, under the present announcement. An older read
// could be from before a change whose call returned before the check began. A check
// that finds an older read waits for the next one. So any number of checks of a
// record makes two reads at most, if the record exists.
func (c *Cache) share(ctx context.Context, s *cacheShard, id string, now reading) (rec, parent *Record, err error) {
	s.mu.Lock()
	f := s.flights[id]
	switch {
	case f == nil:
		f = &flight{done: make(chan struct{})}
		s.flights[id] = f
		s.mu.Unlock()
		c.fly(ctx, s, id, f)
		return f.rec, f.par, f.err
	case c.fresh(f, now):
		s.mu.Unlock()
	case f.next != nil:
		f = f.next
		s.mu.Unlock()
	default:
		before := f
		f = &flight{done: make(chan struct{})}
		before.next = f
		s.mu.Unlock()
		<-before.done // which ends, since calls of the store do
		c.fly(ctx, s, id, f)
		return f.rec, f.par, f.err
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if errors.Is(f.err, ErrNotFound) {
		// The credential may have been made after that read.
		return c.read(ctx, id)
	}
	return f.rec, f.par, f.err
}

// fresh reports whether a check that is under way at now may use what f reads.
// The caller holds the lock of f's shard.
func (c *Cache) fresh(f *flight, now reading) bool {
	if f.began == nil {
		return true // it begins after the check
	}
	return f.run == c.run.Load() && now.since(*f.began) < c.opts.Lease && c.usable(now)
}

// fly makes the read of f.
func (c *Cache) fly(ctx context.Context, s *cacheShard, id string, f *flight) {
	run, began := c.run.Load(), c.clock() // before the store is asked
	s.mu.Lock()
	f.run, f.began, f.err = run, &began, errPanic
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.next != nil {
			s.flights[id] = f.next
		} else {
			delete(s.flights, id)
		}
		close(f.done)
	}()
	// The client of this check may hang up, while other checks still wait.
	f.rec, f.par, f.err = c.read(context.WithoutCancel(ctx), id)
}
