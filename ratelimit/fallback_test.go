package ratelimit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A call that fails admits nothing that the store had no room for when it last
// answered. A bucket that is not known is full.
func TestFallbackKnows(t *testing.T) {
	t.Parallel()
	minute := ratelimit.MustPerMinute(600)
	tests := []struct {
		name   string
		leased bool
		first  int           // taken while the store answers
		others int           // taken by another process before
		wait   time.Duration // after that
		want   int           // admitted when the store fails
	}{
		{"nothing is known", false, 0, 590, 0, 600},
		{"some is left", false, 100, 0, 0, 500},
		{"others take", false, 1, 500, 0, 99},
		{"nothing is left", false, 600, 0, 0, 0},
		{"a second later", false, 600, 0, time.Second, 10},
		{"much later", false, 600, 0, time.Hour, 600},
		{"leased", true, 100, 0, 0, 490},
		{"leased, nothing is left", true, 590, 0, 0, 0},
		{"leased, a second later", true, 590, 0, time.Second, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShared()
				var store ratelimit.Store = s
				if tt.leased {
					store = newLeases(t, s, nil)
				}
				lim := newLimiter(t, store, nil)
				if tt.others > 0 {
					mustTake(t, s, minute, tt.others)
				}
				take := func(n int) ratelimit.Decision {
					d, err := lim.Take(t.Context(), "acme", minute, n)
					if err != nil {
						t.Fatal(err)
					}
					return d
				}
				if tt.first > 0 {
					if d := take(tt.first); !d.Allowed || d.Fallback {
						t.Fatalf("%+v", d)
					}
				}
				s.fail(errDown)
				time.Sleep(tt.wait) // on the test's own clock
				admitted := 0
				for take(1).Allowed {
					admitted++
				}
				if admitted != tt.want {
					t.Errorf("%d admitted, want %d", admitted, tt.want)
				}
			})
		})
	}
}

// A store that fails every second call does not double the limit.
func TestFallbackOfFlappingStore(t *testing.T) {
	t.Parallel()
	for name, leased := range map[string]bool{"plain": false, "leased": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShared()
				var store ratelimit.Store = storeFunc(func(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
					if calls, _ := s.asked(); calls%2 == 1 {
						s.Take(ctx, b, ratelimit.Limit{}, now, n) // counts
						return ratelimit.Decision{}, errDown
					}
					return s.Take(ctx, b, l, now, n)
				})
				if leased {
					store = newLeases(t, store, nil)
				}
				lim := newLimiter(t, store, nil)
				l := ratelimit.MustPerMinute(600)
				admitted, fallback := 0, 0
				const minutes = 10
				for range 2 * 600 * minutes {
					d, err := lim.Take(t.Context(), "acme", l, 1)
					if err != nil {
						t.Fatal(err)
					}
					if d.Allowed {
						admitted++
					}
					if d.Fallback {
						fallback++
					}
					time.Sleep(l.Interval() / 2) // on the test's own clock
				}
				// The bucket here and the store's may admit a burst each.
				if most := 600*minutes + 2*600; admitted > most || admitted < 600*minutes*9/10 || fallback < 500 {
					t.Errorf("%d admitted, want at most %d; the limiter decided %d", admitted, most, fallback)
				}
			})
		})
	}
}

// After the clock was set back, a bucket is empty as of now, and no longer, though the
// store answered once more before it failed.
func TestFallbackAfterTheClockWentBack(t *testing.T) {
	t.Parallel()
	s := newShared()
	lim := newLimiter(t, s, nil)
	l := ratelimit.MustPer(10, time.Second, 10)
	take := func(now time.Time, n int) ratelimit.Decision {
		d, err := lim.TakeAt(t.Context(), "acme", l, now, n)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	take(epoch.Add(time.Hour), 10)
	take(epoch, 1)
	s.fail(errDown)
	if d := take(epoch, 1); d.Allowed || d.RetryAfter != 100*time.Millisecond {
		t.Errorf("%+v", d)
	}
}
