package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrUnavailable says that the store failed and that the [Limiter] was made
// with [FailClosed]. It wraps the store's error.
var ErrUnavailable = errors.New("ratelimit: store unavailable")

// Failure says what a [Limiter] does when its store fails.
type Failure uint8

const (
	// FallbackLocal decides by buckets in this process until the store
	// answers again. Each process then admits up to the limit by itself, on top
	// of what the store admits when it does answer. It is the zero Failure.
	FallbackLocal Failure = iota

	// FailClosed refuses with an error that wraps [ErrUnavailable].
	FailClosed

	// InsecureFailOpen admits everything for as long as the store fails. Who
	// can bring the store down, or slow it down, has no limit.
	InsecureFailOpen
)

// DefaultTimeout is the time that a [Limiter] gives its store if
// [Options.Timeout] is zero.
const DefaultTimeout = 250 * time.Millisecond

// Options are the optional settings of a [Limiter]. A nil *Options is the same
// as the zero Options.
type Options struct {
	// Space is the family of the limiter's buckets. Limiters over one store
	// that have the same space share their buckets. If empty, "org".
	Space string

	// OnFailure says what happens when the store fails. If zero,
	// [FallbackLocal].
	OnFailure Failure

	// Timeout bounds each call of the store. If zero, [DefaultTimeout]. Calls
	// of a [Memory] are not bounded: they wait for nothing.
	Timeout time.Duration

	// Hook, if not nil, is called whenever the store fails, with the context
	// of the caller and the error of the store, before the limiter decides by
	// itself. It runs on the path of the request, possibly many times at once:
	// it should count, or log now and then, and return.
	Hook func(ctx context.Context, b Bucket, err error)
}

// A Limiter takes requests from the buckets of a store, and decides by itself
// when the store fails. It is made by [NewLimiter], is safe for concurrent use, and
// starts no goroutine.
type Limiter struct {
	store    Store
	table    *table // that of the store, if it is just a Memory
	space    uint64 // the hash of the space in the table
	inside   bool   // the store works in this process and waits for nothing
	opts     Options
	origin   time.Time
	failures atomic.Uint64
	fallback Memory
}

// NewLimiter returns a Limiter over store. It fails if store is nil, or if opts has a
// negative timeout, an unknown Failure or a space that is not a valid name
// ([ErrBucket]).
//
// A store that is a [Memory], or a struct that embeds one, is taken to work in
// this process and to wait for nothing; for a Memory itself this is the first use.
// Any other store is called with a context of its own, which ends after
// [Options.Timeout] but not when the caller's context does: a client that hangs
// up is charged all the same.
func NewLimiter(store Store, opts *Options) (*Limiter, error) {
	if store == nil {
		return nil, errors.New("ratelimit: nil store")
	}
	l := &Limiter{store: store, origin: time.Now()}
	if opts != nil {
		l.opts = *opts
	}
	if l.opts.Space == "" {
		l.opts.Space = "org"
	}
	if !validName(l.opts.Space) {
		return nil, fmt.Errorf("%w: space %q", ErrBucket, l.opts.Space)
	}
	if l.opts.OnFailure > InsecureFailOpen {
		return nil, fmt.Errorf("ratelimit: unknown failure policy %d", l.opts.OnFailure)
	}
	if l.opts.Timeout < 0 {
		return nil, fmt.Errorf("ratelimit: negative timeout %v", l.opts.Timeout)
	}
	if l.opts.Timeout == 0 {
		l.opts.Timeout = DefaultTimeout
	}
	if m, ok := store.(*Memory); ok {
		if m == nil {
			return nil, errors.New("ratelimit: nil store")
		}
		l.table = m.open()
		l.space = l.table.hashSpace(l.opts.Space)
	}
	_, l.inside = store.(interface{ inProcess() })
	return l, nil
}

// Take takes n requests from the bucket of name under limit, at the present
// time. See [Limiter.TakeAt].
func (l *Limiter) Take(ctx context.Context, name string, limit Limit, n int) (d Decision, err error) {
	if !validName(name) {
		return Decision{}, ErrBucket
	}
	t := l.table
	if t == nil {
		return l.takeStore(ctx, Bucket{Space: l.opts.Space, Name: name}, limit, l.now(), n)
	}
	err = t.take(t.keyIn(l.space, name), limit, t.ticksNow(), n, &d)
	return d, err
}

// now reads the clock. For a store within the process the distance from a fixed
// time is enough, and costs half of what the wall clock costs.
func (l *Limiter) now() time.Time {
	if l.inside {
		return l.origin.Add(time.Since(l.origin))
	}
	return time.Now()
}

// TakeAt is [Limiter.Take] for callers that have read the clock already. A
// store that processes share goes by its own clock all the same.
//
// A refusal is not an error: it is a Decision with Allowed false. The errors are
// [ErrBucket] (an empty name, or one with a NUL or invalid UTF-8), [ErrInvalidLimit]
// and [ErrCost], which are mistakes of the caller's and never lead to a fallback,
// and, under [FailClosed] alone, [ErrUnavailable]. With an error the Decision is
// the zero one, which refuses.
//
// When the store fails otherwise, the decision is made as [Options.OnFailure]
// says and has Fallback set. A store may fail after it took the request; then the
// request has paid there as well. Decisions of the store's that make no sense are put
// right: Remaining is never negative nor above the burst, and a refusal always
// has a RetryAfter.
func (l *Limiter) TakeAt(ctx context.Context, name string, limit Limit, now time.Time, n int) (d Decision, err error) {
	if !validName(name) {
		return Decision{}, ErrBucket
	}
	t := l.table
	if t == nil {
		return l.takeStore(ctx, Bucket{Space: l.opts.Space, Name: name}, limit, now, n)
	}
	err = t.take(t.keyIn(l.space, name), limit, t.ticks(now), n, &d)
	return d, err
}

// takeStore takes from any store. Take and TakeAt spare a plain Memory, which
// cannot fail, the way through here.
func (l *Limiter) takeStore(ctx context.Context, b Bucket, limit Limit, now time.Time, n int) (Decision, error) {
	if err := limit.check(n); err != nil {
		return Decision{}, err
	}
	d, err := l.ask(ctx, b, limit, now, n)
	if err == nil {
		l.fallback.tend(now) // gives back the memory of the last outage
		return sane(d, limit, n), nil
	}
	if errors.Is(err, ErrInvalidLimit) || errors.Is(err, ErrCost) || errors.Is(err, ErrBucket) {
		return Decision{}, err
	}
	return l.fail(ctx, b, limit, now, n, err)
}

// ask calls the store under the context that it should have.
func (l *Limiter) ask(ctx context.Context, b Bucket, limit Limit, now time.Time, n int) (Decision, error) {
	if !l.inside {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), l.opts.Timeout)
		defer cancel()
	}
	return l.store.Take(ctx, b, limit, now, n)
}

// fail decides in place of the store, which failed with err.
func (l *Limiter) fail(ctx context.Context, b Bucket, limit Limit, now time.Time, n int, err error) (d Decision, _ error) {
	l.failures.Add(1)
	if l.opts.Hook != nil {
		l.opts.Hook(ctx, b, err)
	}
	switch l.opts.OnFailure {
	case FailClosed:
		return Decision{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case InsecureFailOpen:
		// As if the bucket had been full.
		_, d, err = limit.Take(0, 0, n)
	default:
		d, err = l.fallback.Take(ctx, b, limit, now, n)
	}
	d.Fallback = true
	return d, err
}

// Failures returns how many decisions the store could not make since the
// Limiter was made.
func (l *Limiter) Failures() uint64 { return l.failures.Load() }

// sane returns d with everything put right that no bucket could have answered
// to a request of n under l.
func sane(d Decision, l Limit, n int) Decision {
	horizon := l.Horizon()
	most := l.Burst() - n
	if d.Allowed {
		d.RetryAfter = 0
	} else {
		most = n - 1
		if d.RetryAfter <= 0 {
			d.RetryAfter = l.Interval()
		}
		d.RetryAfter = min(d.RetryAfter, horizon)
	}
	d.Limit = l
	d.Remaining = min(max(d.Remaining, 0), most)
	d.ResetAfter = min(max(d.ResetAfter, 0), horizon)
	d.Fallback = false
	return d
}
