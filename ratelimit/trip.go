package ratelimit

import (
	"context"
	"errors"
	"time"
)

// A trip is up to three calls of the store for one request, for which others may wait.
type trip struct {
	done chan struct{} // closed at the end
	err  error         // for all who wait, if the store failed; valid after done
}

// wait waits for the end of the trip or of the context.
func (t *trip) wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// An answer is a Decision with what a limiter needs to know of the bucket if the
// store fails later.
type answer struct {
	Decision
	taken int64 // what the store gave out, in nanoseconds of bucket time
	ahead int64 // how far the bucket is ahead of the clock, as seen under the full window
}

// answerOf returns the answer that is the Decision of a store under l.
func answerOf(d Decision, l Limit, n int) answer {
	a := answer{Decision: d, ahead: int64(d.ResetAfter)}
	if d.Allowed {
		a.taken = int64(n) * l.interval
	}
	return a
}

// take is the part of Take that may need the store.
func (l *Leases) take(ctx context.Context, b Bucket, leased bool, limit Limit, now time.Time, n int) (answer, error) {
	window := leaseWindow(limit, n)
	if !leased || window == 0 {
		l.trips.Add(1)
		d, err := l.store.Take(ctx, b, limit, now, n)
		if err != nil {
			return answer{}, err
		}
		return answerOf(d, limit, n), nil
	}
	c := charge{limit: limit, n: n, cost: int64(n) * limit.interval, window: window}
	k := l.key(b)
	l.tidy(l.clock())
	a, err := l.takeThere(ctx, b, l.shard(k), k, &c, now)
	// Under the full window, the bucket is ahead by the reserve too.
	a.ahead = int64(a.ResetAfter) + limit.window() - window
	return a, err
}

// takeThere decides a request by what is known. If that does not suffice, it goes on a
// trip, which decides the request, or waits for one that is under way.
func (l *Leases) takeThere(ctx context.Context, b Bucket, s *accountShard, k key, c *charge, now time.Time) (got answer, err error) {
	at := l.clock()
	s.mu.Lock()
	for {
		a := s.open(k)
		if s.decide(a, c, at, false, &got.Decision) {
			s.mu.Unlock()
			return got, nil
		}
		t := a.trip
		if t == nil {
			t = &trip{done: make(chan struct{}), err: errPanic}
			a.trip, a.used = t, at
			s.mu.Unlock()
			return l.travel(ctx, b, s, k, a, c, now)
		}
		a.waiting += c.cost
		s.mu.Unlock()
		err = t.wait(ctx)
		at = l.clock()
		s.mu.Lock() // until the next trip begins, so that it is for all others that wait
		a.waiting -= c.cost
		if err != nil {
			s.close(k, a)
			s.mu.Unlock()
			return answer{}, err
		}
	}
}

// errPanic is returned to requests that wait for a trip on which the store panics.
var errPanic = errors.New("ratelimit: the store panicked")

// travel goes on the trip of the account a. It asks the store for the request and for
// those that wait, for as much as is left if that is too much, and for the request alone
// if that is too much too.
func (l *Leases) travel(ctx context.Context, b Bucket, s *accountShard, k key, a *account, c *charge, now time.Time) (got answer, err error) {
	t := a.trip
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		a.trip = nil
		close(t.done)
		s.close(k, a)
	}()
	limit := c.limit.within(c.window)
	for try := 0; ; try++ {
		asked := l.clock()
		s.mu.Lock()
		n := a.ask(c, asked, try)
		s.mu.Unlock()
		l.trips.Add(1)
		d, err := l.store.Take(ctx, b, limit, now, n)
		if err == nil && d.Allowed && (int64(d.ResetAfter) > c.window || int64(d.ResetAfter) < c.cost) {
			err = errWindow
		}
		if err != nil {
			if t.err = err; ctx.Err() != nil || mistake(err) {
				t.err = nil // those who wait have not caused it, and try for themselves
			}
			return answer{}, err
		}
		at := l.clock()
		s.mu.Lock()
		a.settle(c, n, d, asked, at)
		settled := true
		switch {
		case d.Allowed:
			got.Allowed, got.taken = true, int64(n)*c.limit.interval
			a.fill(c, at, a.left(c, at), &got.Decision)
		case n == c.n:
			a.refuse(c, at, 0, a.left(c, at), &got.Decision)
		default:
			settled = s.decide(a, c, at, true, &got.Decision)
		}
		s.mu.Unlock()
		if settled {
			t.err = nil
			return got, nil
		}
	}
}

// mistake reports whether an error of a store says that the caller made a mistake.
func mistake(err error) bool {
	return errors.Is(err, ErrInvalidLimit) || errors.Is(err, ErrCost) || errors.Is(err, ErrBucket)
}
