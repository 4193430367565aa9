package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"
)

// ErrInvalidLimit is returned for an invalid limit: the zero [Limit], or a rate,
// count, period or burst that is out of range. It is a mistake in the
// configuration and never means that a request is over its limit.
var ErrInvalidLimit = errors.New("ratelimit: invalid limit")

// ErrCost is returned for a request whose cost is below one or above the burst
// of its limit. No bucket can ever pay for such a request. Nothing was taken.
var ErrCost = errors.New("ratelimit: cost below one or above the burst")

const (
	// maxWindow bounds every window, so that the sum of a window and a time
	// does not overflow for the next two centuries.
	maxWindow = 366 * 24 * int64(time.Hour)

	// maxTime is the last time that Take works with, in the year 2261. Later
	// times count as this one: the clock stands still, and a bucket admits at
	// most one more burst.
	maxTime = math.MaxInt64 - maxWindow

	// maxPerMinute keeps the windows of per-minute limits below minHorizon.
	// Rounding adds less than a nanosecond to each request.
	maxPerMinute = 1_000_000_000

	// minHorizon is the least horizon: a minute, and a second for rounding.
	minHorizon = int64(time.Minute + time.Second)
)

// A Limit defines how many requests a bucket admits: requests at a steady rate,
// and a burst of requests at once from a bucket that has been left alone.
//
// Limits are made by [PerMinute], [Per] and [NewLimit]. They are small values.
// They can be copied, compared with == and used as map keys. The zero Limit is
// invalid, and taking under it fails with [ErrInvalidLimit]. No Limit means
// unlimited.
type Limit struct {
	interval int64 // nanoseconds that one request costs, at least 1
	burst    int64 // requests, at least 1; burst*interval is at most maxWindow
	reserve  int64 // nanoseconds by which the window is shorter, see Leases
}

// Per returns the limit of n requests in each period, with bursts of up to
// burst requests.
//
// One request costs period/n, rounded up to a whole nanosecond. So in any span
// of one period a bucket admits at most n requests besides the burst, and never
// more. If n divides the period in nanoseconds, the limit is exact. Otherwise
// rounding adds less than a nanosecond to the cost of each request.
//
// Per fails with an error that wraps [ErrInvalidLimit] if n, period or burst is
// below one, if n is more than one request a nanosecond, or if a bucket takes
// longer than 366 days to win back a burst. It does not allocate unless it
// fails.
func Per(n int, period time.Duration, burst int) (Limit, error) {
	if n < 1 || int64(n) > int64(period) {
		return Limit{}, fmt.Errorf("%w: %d requests in %v, want at least 1 and at most one a nanosecond", ErrInvalidLimit, n, period)
	}
	return newLimit((int64(period)-1)/int64(n)+1, burst)
}

// MustPer is like [Per] but panics instead of failing. It is for limits that are
// written in the program.
func MustPer(n int, period time.Duration, burst int) Limit { return must(Per(n, period, burst)) }

// PerMinute returns the limit of n requests a minute with bursts of up to n.
// It is short for [Per] with n, a minute and n, and fails with an error that
// wraps [ErrInvalidLimit] unless n is between 1 and 1e9. It is cheap enough to be
// called for each request.
//
// All limits that PerMinute returns may share a bucket, see [Limit.Horizon].
func PerMinute(n int) (Limit, error) {
	if n > maxPerMinute {
		return Limit{}, fmt.Errorf("%w: %d requests a minute, want 1 to 1e9", ErrInvalidLimit, n)
	}
	return Per(n, time.Minute, n)
}

// MustPerMinute is like [PerMinute] but panics instead of failing. It is for
// limits that are written in the program.
func MustPerMinute(n int) Limit { return must(PerMinute(n)) }

func must(l Limit, err error) Limit {
	if err != nil {
		panic(err)
	}
	return l
}

// NewLimit returns the limit of r requests a second, with bursts of up to burst
// requests. It is for rates in the unit of [rate.Limit]; [Per] takes whole
// numbers.
//
// One request costs 1/r seconds, rounded up to a whole nanosecond, so that the
// rate is never exceeded. Rounding errors in the last bits of r are ignored: at
// 250.0/60 requests a second, a request costs exactly 240 ms, although no float64
// is equal to that rate.
//
// NewLimit fails with an error that wraps [ErrInvalidLimit] if r is zero,
// negative, infinite, not a number or above 1e9, if burst is below one, or if a
// bucket takes longer than 366 days to win back a burst. Note that [rate.Every]
// of zero is infinite, and therefore an error here.
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

// wholeNanoseconds rounds x up. If x differs from a whole number only by rounding
// errors in its last bits, it returns that number. The rate and its reciprocal are
// each off by up to 2^-53 of their value, and the caller may have computed the rate.
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
		return Limit{}, fmt.Errorf("%w: a burst of %d at one request in %v takes longer than 366 days", ErrInvalidLimit, burst, time.Duration(interval))
	}
	return Limit{interval: interval, burst: int64(burst)}, nil
}

// Rate returns the rate in requests a second, after rounding. Apart from rounding
// errors in its last bits, it is never above the rate that the limit was made with.
// It returns 0 for the zero Limit.
func (l Limit) Rate() rate.Limit {
	if l.interval == 0 {
		return 0
	}
	return rate.Limit(float64(time.Second) / float64(l.interval))
}

// Burst returns the number of requests that a full bucket admits at once. It
// returns 0 for the zero Limit.
func (l Limit) Burst() int { return int(l.burst) }

// Interval returns the cost of one request: the time in which a bucket wins back
// one request. It returns 0 for the zero Limit.
func (l Limit) Interval() time.Duration { return time.Duration(l.interval) }

// Window returns the time in which an empty bucket becomes full: exactly
// [Limit.Burst] times [Limit.Interval]. It returns 0 for the zero Limit.
//
// There is one exception. The window of a limit that [Leases] hands to its store
// is shorter by a second or a little more, and less than the burst is admitted at
// once. So a store must not multiply on its own.
func (l Limit) Window() time.Duration { return time.Duration(l.window()) }

func (l Limit) window() int64 { return l.burst*l.interval - l.reserve }

// Horizon returns how far ahead of the clock a bucket's timestamp can be if the
// clock was never set back. It is the burst times the interval, and at least 61
// seconds. A timestamp that is further ahead was written before the clock was set
// back. [Limit.Take] then moves it back too, so that nobody is locked out until the
// clock has caught up.
//
// The 61 seconds are for limits that share a bucket. The window of every
// per-minute limit is a minute plus less than a second of rounding. So a limit
// with a small burst never mistakes the debt of a larger burst for an error of
// the clock, and never forgives that debt. The same holds for all limits whose
// windows are at most 61 seconds. Limits that share a bucket and have longer
// windows must all have the same window.
func (l Limit) Horizon() time.Duration { return time.Duration(l.horizon()) }

func (l Limit) horizon() int64 { return max(l.burst*l.interval, minHorizon) }

// Check returns nil if a request that costs n can be taken under l. Otherwise it
// returns the error of [Limit.Take]: [ErrInvalidLimit] if l is the zero Limit,
// and [ErrCost] if n is below one or above what the window holds, which is the
// burst (see [Limit.Window] for an exception). Stores that leave the
// arithmetic to a database call it first.
func (l Limit) Check(n int) error {
	if l.burst == 0 {
		return ErrInvalidLimit
	}
	if n < 1 || int64(n) > l.burst || l.reserve > 0 && int64(n)*l.interval > l.window() {
		return ErrCost
	}
	return nil
}

// Take decides whether a bucket admits a request that costs n at the time now.
// It is a pure function, the generic cell rate algorithm. The argument tat, the
// theoretical arrival time, is the time at which the bucket is full again. The
// result next is the new tat. The caller must keep it, whether the request was
// admitted or not.
//
// Both times are in nanoseconds since an epoch that the caller chooses, such as
// Unix time. A bucket is full if its tat is not after now. So 0 is the tat of a
// bucket that was never used, if the clock is past its epoch.
//
// Take adds n intervals to tat, or to now if that is later. If the sum is at
// most one window ahead of now, the request is admitted and next is the sum.
// Otherwise the request is refused and next is tat. There is one exception: a
// tat that is more than [Limit.Horizon] ahead of now was written before the
// clock was set back. Take then puts now plus one window in its place, which is
// a bucket that is empty as of now.
//
// Take fails as [Limit.Check] does. Then next is tat, and the Decision is the
// zero Decision. Take does not allocate, and no argument makes it overflow.
func (l Limit) Take(tat, now int64, n int) (next int64, d Decision, err error) {
	if err := l.Check(n); err != nil {
		return tat, Decision{}, err
	}
	next = l.take(tat, now, n, &d)
	return next, d, nil
}

// take is Take without the check of l and n. It fills d, which is the zero
// Decision: a large result would be copied.
func (l Limit) take(tat, now int64, n int, d *Decision) (next int64) {
	now = min(now, maxTime)
	tat = max(tat, now)
	window, cost := l.window(), int64(n)*l.interval

	// The difference of two int64s always fits into a uint64.
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

	// What is left is less than the window, since a refusal leaves less than
	// its cost. It is negative after a debt under a limit with a longer window.
	left := window - lead
	if left > 0 {
		d.Remaining = int(left / l.interval)
		left %= l.interval
	}
	d.NextAfter = time.Duration(l.interval - left)
	return tat
}
