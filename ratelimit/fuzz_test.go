package ratelimit_test

import (
	"errors"
	"testing"

	"github.com/claviger-auth/claviger/ratelimit"
	"golang.org/x/time/rate"
)

func FuzzLimitTake(f *testing.F) {
	f.Add(10.0, 600, int64(0), int64(1_700_000_000_000_000_000), 1)
	f.Fuzz(func(t *testing.T, perSecond float64, burst int, tat, now int64, n int) {
		l, err := ratelimit.NewLimit(rate.Limit(perSecond), burst)
		if err != nil {
			if !errors.Is(err, ratelimit.ErrInvalidLimit) || l != (ratelimit.Limit{}) {
				t.Fatalf("NewLimit = %v, %v", l, err)
			}
			return
		}
		if l.Burst() != burst || l.Interval() < 1 || int(l.Window()/l.Interval()) != burst || l.Window() > l.Horizon() {
			t.Fatalf("limit %v from burst %d", l, burst)
		}
		next, d, err := l.Take(tat, now, n)
		if (err != nil) != (n < 1 || n > burst) || err != nil && !errors.Is(err, ratelimit.ErrCost) {
			t.Fatalf("Take of %d with burst %d: %v", n, burst, err)
		}
		if err != nil {
			if next != tat || d != (ratelimit.Decision{}) {
				t.Fatalf("Take of %d changed something: %d, %+v", n, next, d)
			}
			return
		}
		checkDecision(t, l, tat, now, n, next, d)

		// Whatever came before, a bucket holds at most a burst, so that two
		// whole bursts at one time are never both admitted.
		next, first, _ := l.Take(next, now, burst)
		_, second, _ := l.Take(next, now, burst)
		if second.Allowed && (first.Allowed || d.Allowed) {
			t.Fatal("more than a burst at one time")
		}
	})
}
