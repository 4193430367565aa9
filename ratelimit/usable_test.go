package ratelimit_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// TestLeasesUsable has three nodes ask for twice the limit, with trips that take a
// millisecond. They must get nine tenths of what an exact store admits of the same
// requests, in a twentieth of the trips.
func TestLeasesUsable(t *testing.T) {
	t.Parallel()
	minutes := 3
	if testing.Short() {
		minutes = 1
	}
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.MustPerMinute(10_000)
		s := newShared()
		slow := storeFunc(func(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
			time.Sleep(500 * time.Microsecond) // on the test's own clock
			d, err := s.Take(ctx, b, l, now, n)
			time.Sleep(500 * time.Microsecond) // on the test's own clock
			return d, err
		})
		nodes := []*ratelimit.Leases{newLeases(t, slow, nil), newLeases(t, slow, nil), newLeases(t, slow, nil)}
		exact := new(ratelimit.Memory)
		random := rand.New(rand.NewPCG(1, 2))
		var asked, want, got atomic.Int64
		for begin := time.Now(); time.Since(begin) < time.Duration(minutes)*time.Minute; {
			time.Sleep(time.Duration(random.ExpFloat64() * float64(l.Interval()) / 2)) // on the test's own clock
			asked.Add(1)
			if mustTake(t, exact, l, 1).Allowed {
				want.Add(1)
			}
			n := nodes[random.IntN(len(nodes))]
			go func() {
				if mustTake(t, n, l, 1).Allowed {
					got.Add(1)
				}
			}()
			synctest.Wait()
		}
		time.Sleep(time.Second) // on the test's own clock
		calls, _ := s.asked()
		usable := float64(got.Load()) / float64(want.Load())
		trips := float64(calls) / float64(asked.Load())
		t.Logf("%d requests: %.1f %% of what an exact store admits, %.4f trips a request", asked.Load(), 100*usable, trips)
		if usable < 0.9 || usable > 1 || trips > 0.05 {
			t.Errorf("want at least 90 %% and at most 100 %%, and at most 0.05 trips")
		}
	})
}
