package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrUnavailable is returned by a [Limiter] that was made with [FailClosed] when
// its store fails. It is returned together with the store's error, and
// errors.Is finds both.
var ErrUnavailable = errors.New("ratelimit: store unavailable")

// A FailurePolicy defines what a [Limiter] does when its store fails.
type FailurePolicy uint8

const (
	// FallbackLocal decides by buckets in this process until the store answers
	// again. They start from what the process last knew: what the store said of a
	// bucket, and what the process admitted since. So a call of the store that
	// times out does not admit a request for which the bucket had no room.
	//
	// Limits can still be exceeded. Each process decides alone, and begins with a
	// full bucket if it never asked the store for that one. When the store answers
	// again, it does not know what was admitted meanwhile. So n processes admit up
	// to n bursts, and n times the rate as long as the store fails, in addition to
	// what the store admits before and after. Only [FailClosed] never exceeds a
	// limit.
	//
	// It is the zero FailurePolicy.
	FallbackLocal FailurePolicy = iota

	// FailClosed refuses with an error that wraps [ErrUnavailable].
	FailClosed

	// InsecureFailOpen admits every request for as long as the store fails.
	// Whoever can stop the store, or slow it down, has no limit.
	InsecureFailOpen
)

// A backend is the store, and what to do when it fails. All limiters that come from one
// call of [NewLimiter], directly or through [Limiter.In], share one.
type backend struct {
	store     Store
	leases    *Leases // the store, if it is one
	inProcess bool    // the store works in this process and waits for nothing
	opts      Options
	failures  atomic.Uint64
	fallback  Memory
}

// take takes from any store.
func (s *backend) take(ctx context.Context, b Bucket, limit Limit, now time.Time, n int) (Decision, error) {
	if err := limit.Check(n); err != nil {
		return Decision{}, err
	}
	a, err := s.ask(ctx, b, limit, now, n)
	if err != nil {
		if mistake(err) {
			return Decision{}, err
		}
		return s.fail(ctx, b, limit, now, n, err)
	}
	sane(&a.Decision, &limit, n)
	if s.opts.OnFailure == FallbackLocal {
		s.fallback.note(b, limit, now, &a)
	}
	return a.Decision, nil
}

// ask calls the store with the context that it should have.
func (s *backend) ask(ctx context.Context, b Bucket, limit Limit, now time.Time, n int) (answer, error) {
	if !s.inProcess {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), s.opts.Timeout)
		defer cancel()
	}
	if s.leases != nil {
		return s.leases.take(ctx, b, s.leases.leases(b.Space), limit, now, n)
	}
	d, err := s.store.Take(ctx, b, limit, now, n)
	if err != nil {
		return answer{}, err
	}
	return answerOf(d, limit, n), nil
}

// fail decides in place of the store, which failed with err.
func (s *backend) fail(ctx context.Context, b Bucket, limit Limit, now time.Time, n int, err error) (d Decision, _ error) {
	s.failures.Add(1)
	if s.opts.Hook != nil {
		s.opts.Hook(ctx, b, err)
	}
	switch s.opts.OnFailure {
	case FailClosed:
		return Decision{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case InsecureFailOpen:
		// As if the bucket had been full.
		_, d, err = limit.Take(0, 0, n)
	default:
		d, err = s.fallback.Take(ctx, b, limit, now, n)
	}
	d.Fallback = true
	return d, err
}

// sane corrects every field of d that Limit.Take could not have returned for a
// request of n under l.
func sane(d *Decision, l *Limit, n int) {
	horizon := l.Horizon()
	most := l.Burst() - n // what can be left
	next := horizon       // the longest that NextAfter can be
	if d.Allowed {
		d.RetryAfter = 0
	} else {
		most = n - 1
		if d.RetryAfter <= 0 {
			d.RetryAfter = l.Interval()
		}
		d.RetryAfter = min(d.RetryAfter, horizon)
		next = d.RetryAfter
	}
	d.Limit = *l
	d.Remaining = min(max(d.Remaining, 0), most)
	if d.Remaining > 0 {
		next = min(next, l.Interval())
	}
	if d.NextAfter <= 0 {
		d.NextAfter = l.Interval()
	}
	d.NextAfter = min(d.NextAfter, next)
	d.ResetAfter = min(max(d.ResetAfter, d.NextAfter), horizon)
	d.Fallback = false
}
