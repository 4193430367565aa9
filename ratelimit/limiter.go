package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// DefaultTimeout is the time that a [Limiter] gives its store if
// [Options.Timeout] is zero.
const DefaultTimeout = 250 * time.Millisecond

// Options are the optional settings of a [Limiter]. A nil *Options is the same
// as the zero Options.
type Options struct {
	// Space is the space of the limiter's buckets, see [Bucket]. Limiters over
	// one store and in one space share their buckets. If empty, "org".
	Space string

	// OnFailure says what happens when the store fails. If zero,
	// [FallbackLocal].
	OnFailure FailurePolicy

	// Timeout bounds each call of the store. If zero, [DefaultTimeout]. Calls
	// of a [Memory] are not bounded, since they do not wait for anything.
	Timeout time.Duration

	// Hook, if not nil, is called whenever the store fails, before the limiter
	// decides by itself. It gets the caller's context and the store's error. The
	// request waits for it, and it may run many times at once. So it should only
	// count, or log now and then, and return.
	Hook func(ctx context.Context, b Bucket, err error)
}

// A Limiter takes requests from the buckets of a store, and decides by itself
// when the store fails. Limiters are made by [NewLimiter] and [Limiter.In]. A
// Limiter is safe for concurrent use and starts no goroutine.
type Limiter struct {
	backend *backend
	space   string
	table   *table  // that of the store, if the store is a *Memory
	leases  *Leases // the store, if it is a *Leases that leases in the space
	hash    key     // of the space, in one of the two
}

// NewLimiter returns a Limiter over store. It fails if store is nil, or if opts
// has a negative timeout or an unknown FailurePolicy. If the space is not a valid
// name, the error wraps [ErrBucket].
//
// The store is called with a context of its own. That context ends after
// [Options.Timeout]. It does not end when the caller's context does, so that a
// client that hangs up is still charged. A [*Leases] needs no context and allocates
// nothing for a decision that it makes without its store.
//
// A [*Memory], and a struct that embeds a Memory, is called with the caller's
// context and without a time limit, since a Memory does not wait. A store with a
// Take that can wait must not embed a Memory; it can have one as a field. For a
// [*Memory], this call is its first use.
func NewLimiter(store Store, opts *Options) (*Limiter, error) {
	m, isMemory := store.(*Memory)
	leases, isLeases := store.(*Leases)
	if store == nil || isMemory && m == nil || isLeases && leases == nil {
		return nil, errors.New("ratelimit: NewLimiter needs a store")
	}
	s := &backend{store: store, leases: leases}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.OnFailure > InsecureFailOpen {
		return nil, fmt.Errorf("ratelimit: unknown failure policy %d", s.opts.OnFailure)
	}
	if s.opts.Timeout < 0 {
		return nil, fmt.Errorf("ratelimit: negative timeout %v", s.opts.Timeout)
	}
	if s.opts.Timeout == 0 {
		s.opts.Timeout = DefaultTimeout
	}
	if s.opts.Space == "" {
		s.opts.Space = "org"
	}
	_, s.inProcess = store.(interface{ inProcess() })
	return s.limiter(s.opts.Space)
}

// limiter returns a Limiter over s in a space.
func (s *backend) limiter(space string) (*Limiter, error) {
	if !validName(space) {
		return nil, fmt.Errorf("%w: space %q", ErrBucket, space)
	}
	l := &Limiter{backend: s, space: space}
	if m, ok := s.store.(*Memory); ok {
		l.table = m.open()
		l.hash = l.table.hashSpace(space)
	}
	if s.leases != nil && s.leases.leases(space) {
		l.leases = s.leases
		l.hash = l.leases.hashSpace(space)
	}
	return l, nil
}

// In returns a Limiter like l whose buckets are in another space. Both have the
// same store and options, and count failures together. In fails with an error that
// wraps [ErrBucket] if space is not a valid name, see [Bucket.Validate].
func (l *Limiter) In(space string) (*Limiter, error) { return l.backend.limiter(space) }

// SameBuckets reports whether l and other take from the same buckets: both come
// from one call of [NewLimiter], itself or through [Limiter.In], and have the
// same space. It reports false if l or other is nil.
func (l *Limiter) SameBuckets(other *Limiter) bool {
	return l != nil && other != nil && l.backend == other.backend && l.space == other.space
}

// Take takes n requests from the bucket called name under limit, at the present
// time. See [Limiter.TakeAt].
func (l *Limiter) Take(ctx context.Context, name string, limit Limit, n int) (d Decision, err error) {
	if !validName(name) {
		return d, ErrBucket
	}
	if l.takeHere(name, limit, n, &d) {
		return d, nil
	}
	t := l.table
	if t == nil {
		return l.backend.take(ctx, Bucket{Space: l.space, Name: name}, limit, time.Now(), n)
	}
	err = t.take(t.keyIn(l.hash, name), limit, t.ticksNow(), n, &d)
	return d, err
}

// TakeAt is like [Limiter.Take] for callers that have read the clock already. A
// store that several processes share ignores now and reads its own clock.
//
// A refusal is not an error: it is a Decision in which Allowed is false. TakeAt
// fails with [ErrBucket] if name is empty, has a NUL or is invalid UTF-8, and
// with [ErrInvalidLimit] or [ErrCost] as [Limit.Check] does. These are mistakes
// of the caller and never lead to a fallback. Under [FailClosed], and only there,
// it fails with an error that wraps [ErrUnavailable]. With an error the Decision is
// the zero Decision, which refuses.
//
// When the store fails in any other way, [Options.OnFailure] decides, and
// Fallback is set in the Decision. A store can fail after it took the request;
// the request has then paid there as well. TakeAt corrects fields of the store's
// Decision that no bucket could have led to: Remaining is never negative nor
// above the burst, and a refusal always has a RetryAfter.
func (l *Limiter) TakeAt(ctx context.Context, name string, limit Limit, now time.Time, n int) (d Decision, err error) {
	if !validName(name) {
		return d, ErrBucket
	}
	if l.takeHere(name, limit, n, &d) {
		return d, nil
	}
	t := l.table
	if t == nil {
		return l.backend.take(ctx, Bucket{Space: l.space, Name: name}, limit, now, n)
	}
	// A Memory cannot fail, so it needs nothing that the backend does for failures.
	err = t.take(t.keyIn(l.hash, name), limit, t.ticks(now), n, &d)
	return d, err
}

// takeHere asks a Leases whether it can decide without its store.
func (l *Limiter) takeHere(name string, limit Limit, n int, d *Decision) bool {
	return l.leases != nil && l.leases.takeHere(l.leases.keyIn(l.hash, name), limit, n, d)
}

// Failures returns how many decisions the store could not make since
// [NewLimiter], in all spaces.
func (l *Limiter) Failures() uint64 { return l.backend.failures.Load() }
