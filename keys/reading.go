package keys

import "time"

// A reading is what both clocks of the machine say, in nanoseconds: the monotonic clock
// since an origin, and the wall clock since 1970. The monotonic clock stands still while
// the machine sleeps, and the wall clock can be set.
type reading struct{ mono, wall int64 }

// readingAt returns the reading at a time. The time and the origin must have monotonic
// readings, as those of [time.Now] do.
func readingAt(now, origin time.Time) reading {
	return reading{mono: int64(now.Sub(origin)), wall: now.UnixNano()}
}

// since returns the time that has passed since u, by the clock that shows the longer
// time. It is negative only if u is later by both clocks.
func (t reading) since(u reading) time.Duration {
	return time.Duration(max(t.mono-u.mono, t.wall-u.wall))
}
