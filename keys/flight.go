package keys

import (
	"context"
	"errors"
	"time"
)

// A flight is a read of one record that several checks share.
type flight struct {
	began time.Time     // zero until the read has begun
	run   uint64        // the announcement under which it began
	done  chan struct{} // closed when the rest is set
	rec   *Record
	par   *Record
	err   error
	next  *flight // begins when this one is done; nil if nobody waits for it
}

// share reads a record together with others who miss it at the same time. A check
// may only have the answer of a read that began a lease ago at the most, under
// the announcement that is in use: an older read could be from before a change
// whose call returned before the check began. Whoever finds only an older read
// waits for the next one, so that any number of checks takes two reads.
func (c *Cache) share(ctx context.Context, s *cacheShard, id string) (rec, parent *Record, err error) {
	s.mu.Lock()
	f := s.flights[id]
	switch {
	case f == nil:
		f = &flight{done: make(chan struct{})}
		s.flights[id] = f
		s.mu.Unlock()
		c.fly(ctx, s, id, f)
		return f.rec, f.par, f.err
	case c.fresh(f):
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
		// It may have been made meanwhile.
		return c.read(ctx, id)
	}
	return f.rec, f.par, f.err
}

// fresh reports whether a check that begins now may have what f reads. The caller
// holds the lock of f's shard.
func (c *Cache) fresh(f *flight) bool {
	if f.began.IsZero() {
		return true // it begins after the check
	}
	return f.run == c.run.Load() && since(f.began) < c.opts.Lease && c.usable()
}

// fly makes the read of f, whoever waits for it.
func (c *Cache) fly(ctx context.Context, s *cacheShard, id string, f *flight) {
	s.mu.Lock()
	f.began, f.run = time.Now(), c.run.Load()
	s.mu.Unlock()
	// The client of this check may hang up; those who wait for it stay.
	f.rec, f.par, f.err = c.read(context.WithoutCancel(ctx), id)
	s.mu.Lock()
	if f.next != nil {
		s.flights[id] = f.next
	} else {
		delete(s.flights, id)
	}
	s.mu.Unlock()
	close(f.done)
}
