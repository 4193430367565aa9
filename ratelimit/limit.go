package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"
)

// ErrInvalidLimit says that a limit is not one: its rate or its burst is zero,
// negative, infinite, not a number or out of range, or it is the zero [Limit].
// It is an error of configuration, and never means that a request is refused.
var ErrInvalidLimit = errors.New("ratelimit: invalid limit")

// ErrCost says that a request's cost is below one or above the burst of its
// limit, so that no bucket could ever pay for it. Nothing was taken.
var ErrCost = errors.New("ratelimit: cost below one or above the burst")

const (
	// maxWindow bounds every window, so that sums of a window and a time do
	// not overflow for the next two centuries.
	maxWindow = 366 * 24 * int64(time.Hour)

	// maxTime is the last time that Take works with, in 2261. Later ones are
	// taken for it: the clock stops, and nothing more is admitted than a burst.
	maxTime = math.MaxInt64 - maxWindow

	// maxPerMinute keeps the windows of per-minute limits below minHorizon:
	// rounding the interval up adds less than a nanosecond a request.
	maxPerMinute = 1_000_000_000

	// minHorizon is the least horizon: a minute, and a second for rounding.
	minHorizon = int64(time.Minute + time.Second)
)

// A Limit says how many requests a bucket admits: a steady rate, and a burst
// on top for a bucket that was left alone. It holds the rate as an interval,
// the whole number of nanoseconds that one request costs.
//
// Limits are made by [NewLimit] and [PerMinute]. They are small values that can
// be copied, compared with == and used as map keys. The zero Limit is invalid:
// taking under it fails with [ErrInvalidLimit]. It never means unlimited.
type Limit struct {
	interval int64 // nanoseconds that one request costs, at least 1
	burst    int64 // requests, at least 1; burst*interval is at most maxWindow
}

// NewLimit returns the limit of r requests a second with bursts of up to burst
// requests.
//
// It fails with an error that wraps [ErrInvalidLimit] if r is not a number, infinite,
// zero, negative or above 1e9, if burst is below one, or if burst requests at
// rate r take longer than 366 days. Note that [rate.Every] of zero is infinite,
// and therefore an error here.
//
// One request costs 1/r seconds, rounded up to a whole nanosecond so that the
// rate is never exceeded. Noise in the last bits of r does not count: 250
// requests a minute, which no binary fraction of a second expresses, cost
// exactly 240 ms each.
func NewLimit(r rate.Limit, burst int) (Limit, error) {
	perSecond := float64(r)
	// Written so that NaN, which compares false with everything, fails too.
	if !(perSecond > 0 && perSecond <= float64(time.Second)) {
		return Limit{}, fmt.Errorf("%w: rate of %v a second, want above 0 and at most 1e9", ErrInvalidLimit, perSecond)
	}
	interval := float64(time.Second) / perSecond
	if interval > float64(maxWindow) {
		return Limit{}, fmt.Errorf("%w: one request in more than 366 days", ErrInvalidLimit)
	}
	return newLimit(wholeNanoseconds(interval), burst)
}

// wholeNanoseconds rounds x up, unless x is a whole number but for noise. The
// rate and its reciprocal are each off by up to 2^-53 of their value, and some
// arithmetic of the caller's may have gone before.
func wholeNanoseconds(x float64) int64 {
	const noise = 1.0 / (1 << 48)
	if whole := math.Round(x); math.Abs(x-whole) <= x*noise {
		return int64(whole)
	}
	return int64(math.Ceil(x))
}

// newLimit checks the burst and the window.
func newLimit(interval int64, burst int) (Limit, error) {
	if burst < 1 {
		return Limit{}, fmt.Errorf("%w: burst of %d, want at least 1", ErrInvalidLimit, burst)
	}
	if int64(burst) > maxWindow/interval {
		return Limit{}, fmt.Errorf("%w: %d requests, %v each, take more than 366 days", ErrInvalidLimit, burst, time.Duration(interval))
	}
	return Limit{interval: interval, burst: int64(burst)}, nil
}

// PerMinute returns the limit of n requests a minute with bursts of up to n, a
// minute's worth. It fails with an error that wraps [ErrInvalidLimit] unless n is
// between 1 and 1e9. It is cheap enough to be called for each request, and does
// not allocate unless it fails.
func PerMinute(n int) (Limit, error) {
	if n < 1 || n > maxPerMinute {
		return Limit{}, fmt.Errorf("%w: %d requests a minute, want 1 to 1e9", ErrInvalidLimit, n)
	}
	burst := int64(n)
	return Limit{interval: (int64(time.Minute) + burst - 1) / burst, burst: burst}, nil
}

// MustPerMinute is [PerMinute] for figures that are written in the program. It
// panics where PerMinute fails.
func MustPerMinute(n int) Limit {
	l, err := PerMinute(n)
	if err != nil {
		panic(err)
	}
	return l
}

// Rate returns the rate in requests a second, after rounding: it is at most the
// rate that the limit was made with, but for the last bits of a float. It
// returns 0 for the zero Limit.
func (l Limit) Rate() rate.Limit {
	if l.interval == 0 {
		return 0
	}
	return rate.Limit(float64(time.Second) / float64(l.interval))
}

// Burst returns the number of requests that a full bucket admits at once. It
// returns 0 for the zero Limit.
func (l Limit) Burst() int { return int(l.burst) }

// Interval returns what one request costs: the time in which the bucket wins
// back one request. It returns 0 for the zero Limit.
func (l Limit) Interval() time.Duration { return time.Duration(l.interval) }

// Window returns the time in which an empty bucket becomes full: exactly
// [Limit.Burst] times [Limit.Interval]. It returns 0 for the zero Limit.
func (l Limit) Window() time.Duration { return time.Duration(l.burst * l.interval) }

// Horizon returns how far ahead of the clock a bucket's timestamp can be in
// honest use. It is the window, and at least 61 seconds. A timestamp further
// ahead than that can only have been written before the clock went back;
// [Limit.Take] pulls it in, so that nobody is locked out until the clock has
// caught up.
//
// The 61 seconds are there for limits that share a bucket. The windows of all
// per-minute limits are a minute plus less than a second of rounding, and so
// the request with the smaller burst never takes the debt of a larger one for
// an error of the clock, and never forgives it. The same holds for any limits
// whose windows are at most 61 seconds. Limits that share a bucket and have
// longer windows must all have the same window.
func (l Limit) Horizon() time.Duration { return time.Duration(l.horizon()) }

func (l Limit) horizon() int64 { return max(l.burst*l.interval, minHorizon) }

// check reports what is wrong with taking n requests under l.
func (l Limit) check(n int) error {
	if l.burst == 0 {
		return ErrInvalidLimit
	}
	if n < 1 || int64(n) > l.burst {
		return ErrCost
	}
	return nil
}

// Take decides whether a bucket admits a request that costs n, at the time now.
// It is a pure function, the generic cell rate algorithm: tat (the theoretical
// arrival time) is the time at which the bucket is full, and next is what the
// caller must keep in its place, whether the request was admitted or not.
//
// Both times are in nanoseconds since an epoch of the caller's choice, such as
// Unix time. Any tat that is not after now is a full bucket; so 0 stands for one
// that was never used, given a clock that is past its epoch.
//
// The request is admitted if tat, or now if that is later, plus n intervals is
// at most one window ahead of now. Then next is that sum. Otherwise next is tat,
// with one exception: a tat that is more than [Limit.Horizon] ahead of now was
// written before the clock went back, and next is now plus one window, a bucket
// that is empty as of now.
//
// Take fails with [ErrInvalidLimit] if l is the zero Limit, and with [ErrCost] if n is
// below one or above the burst. Then next is tat and the Decision is the zero
// one. It does not allocate, and no argument makes it overflow.
func (l Limit) Take(tat, now int64, n int) (next int64, d Decision, err error) {
	if err := l.check(n); err != nil {
		return tat, Decision{}, err
	}
	next = l.take(tat, now, n, &d)
	return next, d, nil
}

// take is Take for a limit and a cost that have been checked. It writes to a
// zero Decision of the caller's, which spares copies on the hot path.
func (l Limit) take(tat, now int64, n int, d *Decision) (next int64) {
	now = min(now, maxTime)
	tat = max(tat, now)
	window, cost := l.burst*l.interval, int64(n)*l.interval

	// Unsigned, the difference of two int64s cannot overflow.
	if uint64(tat)-uint64(now) > uint64(l.horizon()) {
		tat = now + window
	}
	lead := tat - now
	d.Limit = l
	if wait := lead + cost - window; wait > 0 {
		d.RetryAfter = time.Duration(wait)
	} else {
		d.Allowed = true
		tat += cost
		lead += cost
	}
	d.ResetAfter = time.Duration(lead)
	if lead < window {
		d.Remaining = int((window - lead) / l.interval)
	}
	return tat
}
