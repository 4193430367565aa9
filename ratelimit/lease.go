package ratelimit

import "time"

// A lease is quota that was taken from a store in advance, and is spent here.
//
// # Why no limit is exceeded
//
// Quota is counted in nanoseconds: a request costs its interval. Let w be the window
// of a limit, and D the time leaseTerm. A bucket under a limit with the window x
// gives out at most x+s in any span of time s. Under the limit itself that is w+s,
// which is what package ratelimit promises.
//
// The store is asked under the window w-D. What it gives out at one moment is
// spent at most D later. So whatever is spent in a span s was given out in a span
// of s+D, which begins D earlier. That is at most (w-D)+(s+D) = w+s, for any
// number of processes that do the same.
//
// The sum holds only because of these rules:
//
//   - The age of a lease counts from before the store was asked. The store gave
//     the quota out later than that, and earlier than the answer came.
//   - A lease is dropped at the age leaseLife, which is D/1.2. The clocks of two
//     machines do not run at the same speed, and time daemons slew them by up to
//     8 %. The age is measured by the monotonic and by the wall clock, and the
//     larger one counts, since the monotonic one stands still while a machine
//     sleeps.
//   - A lease keeps its age. What is left of one never becomes part of the next.
//   - D is the same in all processes. So it is a constant.
//   - A lease pays only for limits whose window is at least as long as that of the
//     limit under which it was taken. Look at all requests under windows of at most
//     w. They were paid with quota that was given out under windows of at most w.
//     When the store gave out the last of it, the bucket counted everything that it
//     had given out before, under whatever limit. So the sum above holds for these
//     requests too.
//   - The store is asked with the horizon of the full window, see [Limit.Horizon].
//     With that of a shorter window, the store could take the debt of others for an
//     error of the clock, and forgive it.
//
// A request that is paid in part or in full from a lease counts as made at the
// moment at which the clock was read, or at which the store gave out the lease if
// that is later. Both lie within the call. A request whose own call asked the store
// counts as made when the store decided, as it would without leases. So it is
// admitted however late the answer comes. The rest of what was taken may be too old
// by then, and is dropped.
type lease struct {
	left   int64   // quota in nanoseconds, 0 if there is no lease
	window int64   // of the limit under which it was taken, less the reserve
	from   instant // before the store was asked
}

const (
	// leaseTerm is how long after the store's decision quota may be spent. Windows
	// are shorter by that time in return.
	leaseTerm = int64(time.Second)

	// leaseLife is the age at which a lease is dropped.
	leaseLife = leaseTerm * 10 / 12

	// minLeased is the shortest window that is leased from. A shorter one would
	// lose too large a part of itself.
	minLeased = 16 * int64(time.Second)
)

// leaseWindow returns the window under which the store is asked for a request that
// costs n under l. It returns 0 if such requests are not leased: if the window is
// too short, the cost too high, or one of the arguments invalid.
//
// The windows of limits a minute differ by less than a second, because of rounding.
// They count as one minute, so that all of them can spend the same leases.
func leaseWindow(l Limit, n int) int64 {
	window := l.window()
	if window < minLeased || n < 1 || int64(n) > l.burst || l.reserve != 0 {
		return 0
	}
	if window <= minHorizon {
		window = min(window, int64(time.Minute))
	}
	window -= leaseTerm
	if int64(n)*l.interval > window {
		return 0
	}
	return window
}

// within returns l with a shorter window.
func (l Limit) within(window int64) Limit {
	l.reserve = l.burst*l.interval - window
	return l
}
