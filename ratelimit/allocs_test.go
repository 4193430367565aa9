package ratelimit_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// No decision allocates, whichever way it goes. The clock stands still in the
// bubble, so that buckets which are empty stay so, however slow the machine is.
func TestAllocs(t *testing.T) {
	// Not parallel: AllocsPerRun counts those of all goroutines.
	synctest.Test(t, testAllocs)
}

func testAllocs(t *testing.T) {
	ctx := context.Background()
	wide := ratelimit.MustPerMinute(1_000_000)
	narrow := ratelimit.MustPerMinute(1)
	narrow2 := ratelimit.MustPer(1, 30*time.Second, 2) // leased, for one at a time
	b := ratelimit.Bucket{Space: "org", Name: "acme-gmbh-münchen"}
	m := &ratelimit.Memory{MaxBuckets: 5000} // few shards, for a quick Sweep
	lim, err := ratelimit.NewLimiter(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := ratelimit.NewLimiter(&embedding{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	manage, err := lim.In("manage")
	if err != nil {
		t.Fatal(err)
	}
	down, err := ratelimit.NewLimiter(&embedding{err: errDown}, nil)
	if err != nil {
		t.Fatal(err)
	}
	leases, err := ratelimit.NewLeases(newShared(), nil)
	if err != nil {
		t.Fatal(err)
	}
	leased, err := ratelimit.NewLimiter(leases, nil)
	if err != nil {
		t.Fatal(err)
	}
	// Takes in advance more than the runs spend, and then asks in vain.
	for _, n := range []int{10_000, 1} {
		if d, err := leased.Take(ctx, "acme", wide, n); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
	}
	if d, err := leased.Take(ctx, "full", narrow2, 1); err != nil || !d.Allowed {
		t.Fatal(d, err)
	}
	if d, err := leased.Take(ctx, "full", narrow2, 1); err != nil || d.Allowed {
		t.Fatal(d, err)
	}
	now := time.Now()
	figure := 1
	check := func(d ratelimit.Decision, err error, want bool) {
		if err != nil || d.Allowed != want {
			t.Fatal(d, err)
		}
	}
	tests := []struct {
		name string
		run  func()
	}{
		{"PerMinute and Per", func() {
			if _, err := ratelimit.PerMinute(figure); err != nil {
				t.Fatal(err)
			}
			if _, err := ratelimit.Per(figure, time.Hour, 10); err != nil {
				t.Fatal(err)
			}
			figure++
		}},
		{"Check and Validate", func() {
			if wide.Check(1) != nil || narrow.Check(2) != ratelimit.ErrCost || b.Validate() != nil || (ratelimit.Bucket{}).Validate() != ratelimit.ErrBucket {
				t.Fatal("wrong answers")
			}
		}},
		{"Limit.Take", func() {
			_, d, err := wide.Take(0, 1, 1)
			check(d, err, true)
			_, d, err = narrow.Take(61e9, 1e9, 1)
			check(d, err, false)
		}},
		{"Memory.Take accepted", func() {
			d, err := m.Take(ctx, b, wide, now, 1)
			check(d, err, true)
		}},
		// Requests are refused because of those that were admitted before.
		{"Memory.Take refused", func() {
			d, err := m.Take(ctx, b, narrow, now, 1)
			check(d, err, false)
		}},
		{"Memory.Take of a new space", func() {
			d, err := m.Take(ctx, ratelimit.Bucket{Space: "addr", Name: "192.0.2.1"}, wide, now, 1)
			check(d, err, true)
		}},
		{"Memory.Peek accepted", func() {
			d, err := m.Peek(b, wide, now, 1)
			check(d, err, true)
		}},
		{"Memory.Peek refused", func() {
			d, err := m.Peek(b, narrow, now, 1)
			check(d, err, false)
		}},
		{"Memory.Peek of an unknown bucket", func() {
			d, err := m.Peek(ratelimit.Bucket{Space: "org", Name: "nobody"}, narrow, now, 1)
			check(d, err, true)
		}},
		{"Memory.Sweep and Len", func() {
			m.Sweep(now)
			m.Len()
		}},
		{"Limiter.Take accepted", func() {
			d, err := lim.Take(ctx, "acme", wide, 1)
			check(d, err, true)
		}},
		{"Limiter.Take refused", func() {
			d, err := lim.Take(ctx, "acme", narrow, 1)
			check(d, err, false)
		}},
		{"Limiter.Take in another space", func() {
			d, err := manage.Take(ctx, "acme", wide, 1)
			check(d, err, true)
		}},
		{"Limiter.TakeAt accepted", func() {
			d, err := lim.TakeAt(ctx, "acme", wide, now, 1)
			check(d, err, true)
		}},
		{"Limiter.TakeAt refused", func() {
			d, err := lim.TakeAt(ctx, "acme", narrow, now, 1)
			check(d, err, false)
		}},
		{"Limiter.TakeAt with an embedded Memory", func() {
			d, err := inside.TakeAt(ctx, "acme", wide, now, 1)
			check(d, err, true)
		}},
		{"Limiter.Take with an embedded Memory", func() {
			d, err := inside.Take(ctx, "acme", wide, 1)
			check(d, err, true)
		}},
		{"Limiter.TakeAt in place of a store", func() {
			d, err := down.TakeAt(ctx, "acme", wide, now, 1)
			check(d, err, true)
		}},
		{"Leases.Take from a lease", func() {
			d, err := leases.Take(ctx, ratelimit.Bucket{Space: "org", Name: "acme"}, wide, now, 1)
			check(d, err, true)
		}},
		{"Leases.Take of a remembered refusal", func() {
			d, err := leases.Take(ctx, ratelimit.Bucket{Space: "org", Name: "full"}, narrow2, now, 1)
			check(d, err, false)
		}},
		{"Limiter.Take from a lease", func() {
			d, err := leased.Take(ctx, "acme", wide, 1)
			check(d, err, true)
		}},
		{"Limiter.Take of a remembered refusal", func() {
			d, err := leased.Take(ctx, "full", narrow2, 1)
			check(d, err, false)
		}},
		{"Leases.Stats", func() {
			if s := leases.Stats(); s.Trips > 4 {
				t.Fatalf("%+v", s)
			}
		}},
		{"Limiter.TakeAt with errors", func() {
			if _, err := lim.TakeAt(ctx, "", wide, now, 1); err != ratelimit.ErrBucket {
				t.Fatal(err)
			}
			if _, err := lim.TakeAt(ctx, "acme", wide, now, 0); err != ratelimit.ErrCost {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests { // a bubble has no subtests
		if n := testing.AllocsPerRun(1000, tt.run); n != 0 {
			t.Errorf("%s: %v allocations a run, want 0", tt.name, n)
		}
	}
}

// Decisions do not allocate either while others use the same bucket or shard, or
// while shards are swept.
func TestAllocsParallel(t *testing.T) {
	// Not parallel: AllocsPerRun counts those of all goroutines.
	ctx := context.Background()
	lim := newLimiter(t, &ratelimit.Memory{MaxBuckets: 1000}, nil)
	l := ratelimit.MustPerMinute(100)
	all := names(100)
	for _, name := range all {
		lim.Take(ctx, name, l, 1)
	}
	var stop atomic.Bool
	var others sync.WaitGroup
	for i := range 4 {
		others.Go(func() {
			for ; !stop.Load(); i++ {
				if _, err := lim.Take(ctx, all[i%len(all)], l, 1); err != nil {
					t.Error(err)
				}
				runtime.Gosched()
			}
		})
	}
	i := 0
	n := testing.AllocsPerRun(5000, func() {
		if _, err := lim.Take(ctx, all[i%len(all)], l, 1); err != nil {
			t.Error(err)
		}
		i++
		runtime.Gosched()
	})
	stop.Store(true)
	others.Wait()
	if n != 0 {
		t.Errorf("%v allocations a run, want 0", n)
	}
}
