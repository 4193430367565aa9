package keys

import "time"

// A reading is what both clocks of the machine say, in nanoseconds since an
// origin. The monotonic clock stands still while the machine sleeps, and the wall
// clock can be set.
type reading struct{ mono, wall int64 }

// readingAt returns the reading of a time that has a monotonic reading, as those
// of [time.Now] do, since an origin that has one too.
func readingAt(now, origin time.Time) reading {
	return reading{mono: int64(now.Sub(origin)), wall: now.UnixNano()}
}

// since returns the time that has passed since u, by the clock that shows the longer
// time. It is negative only if u is later by both clocks.
func (t reading) since(u reading) time.Duration {
	return time.Duration(max(t.mono-u.mono, t.wall-u.wall))
}
