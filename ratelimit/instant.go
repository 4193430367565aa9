package ratelimit

import "time"

// An instant is a reading of both clocks of the machine, in nanoseconds: of the
// monotonic clock since an origin, and of the wall clock since 1970. The monotonic clock
// stands still while the machine sleeps, and the wall clock can be set.
type instant struct{ mono, wall int64 }

// instantAt returns the instant at a time. The time and the origin must have monotonic
// readings, as those of [time.Now] do.
func instantAt(now, origin time.Time) instant {
	return instant{mono: int64(now.Sub(origin)), wall: now.UnixNano()}
}

// since returns the time that has passed since u, in nanoseconds, by the clock that
// shows the longer time. It is negative only if u is later by both clocks.
func (t instant) since(u instant) int64 { return max(t.mono-u.mono, t.wall-u.wall) }
