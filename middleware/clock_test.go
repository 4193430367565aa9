package middleware

import (
	"testing"
	"testing/synctest"
	"time"
)

// A clock says what time.Now says, however long ago it was read last, also when
// the time of its last reading is far from the present: that of a bubble begins
// in the year 2000.
func TestClock(t *testing.T) {
	t.Parallel()
	var c clock
	before := time.Now()
	got := c.now()
	if after := time.Now(); got.Before(before) || got.After(after) {
		t.Errorf("%v, want between %v and %v", got, before, after)
	}
	synctest.Test(t, func(t *testing.T) {
		for _, pause := range []time.Duration{0, 1, maxAge - 1, 0, maxAge, maxAge + 1, time.Hour, 1} {
			time.Sleep(pause) // on the test's own clock
			if got, want := c.now(), time.Now(); got != want {
				t.Errorf("after %v: %v, want %v", pause, got, want)
			}
		}
	})
	if got := c.now(); got.Before(before) {
		t.Errorf("%v, want after %v", got, before)
	}
}

// Whoever reads a clock often does not keep it from the wall clock.
func TestClockAges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.now()
		first := c.last.Load()
		for range 10 {
			time.Sleep(maxAge / 10) // on the test's own clock
			c.now()
		}
		if c.last.Load() == first {
			t.Errorf("the wall clock was not read for %v", maxAge)
		}
	})
}
