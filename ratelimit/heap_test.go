package ratelimit_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// Ever new names, a few thousand at a time, use the same memory again and again.
func TestMemoryChurn(t *testing.T) {
	// Not parallel: it looks at the heap.
	ctx := context.Background()
	l := ratelimit.MustPerMinute(60_000) // full again after a millisecond
	var m ratelimit.Memory
	all := names(300_000)
	now := epoch
	run := func(all []string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, name := range all {
			now = now.Add(100 * time.Microsecond)
			if _, err := m.Take(ctx, ratelimit.Bucket{Space: "addr", Name: name}, l, now, 1); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	run(all[:100_000])
	bytes := run(all[100_000:])
	t.Logf("%d bytes for 200000 newcomers, %d buckets held", bytes, m.Len())
	if bytes > 200_000*20 || m.Len() > 40_000 {
		t.Errorf("%d bytes for 200000 newcomers, %d buckets held: the room of full ones is not used again", bytes, m.Len())
	}
}

// The heap goes back within two windows, given ten decisions a second, and at
// once after Sweep.
func TestMemoryGivesBack(t *testing.T) {
	// Not parallel: it looks at the heap.
	ctx := context.Background()
	l := ratelimit.MustPerMinute(600)
	all := names(max(200_000, steps(1_000_000)))
	fill := func(m *ratelimit.Memory, all []string) {
		for _, name := range all {
			if _, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, epoch, 600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name string
		size int
		idle func(m *ratelimit.Memory)
	}{
		{"some traffic", len(all), func(m *ratelimit.Memory) {
			for i := range 1200 {
				now := epoch.Add(time.Duration(i) * 100 * time.Millisecond)
				if _, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: all[i%10]}, l, now, 1); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"some traffic, after the clock went back", 200_000, func(m *ratelimit.Memory) {
			for i := range 1200 {
				now := epoch.Add(time.Duration(i) * 100 * time.Millisecond)
				if i == 0 {
					now = epoch.Add(24 * time.Hour)
				}
				// Another space: the bucket of the first is empty for a window.
				if _, err := m.Take(ctx, ratelimit.Bucket{Space: "addr", Name: all[i%10]}, l, now, 1); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"sweep", 200_000, func(m *ratelimit.Memory) {
			if n := m.Sweep(epoch.Add(l.Window() - 1)); n != 0 {
				t.Errorf("swept %d buckets that were not full", n)
			}
			if n := m.Sweep(epoch.Add(l.Window())); n != 200_000 {
				t.Errorf("swept %d of 200000 full buckets", n)
			}
			if m.Len() != 0 {
				t.Errorf("%d buckets left", m.Len())
			}
		}},
	}
	if testing.Short() {
		tests = tests[:1]
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := heap()
			m := &ratelimit.Memory{}
			fill(m, all[:tt.size])
			if m.Len() != tt.size {
				t.Fatalf("%d buckets, want %d", m.Len(), tt.size)
			}
			full := int64(heap() - before)
			tt.idle(m)
			idle := int64(heap() - before)
			t.Logf("%d bytes for %d buckets, then %d", full, tt.size, idle)
			if per := full / int64(tt.size); per > 40 {
				t.Errorf("%d bytes a bucket, want at most 40", per)
			}
			if idle > full/10 {
				t.Errorf("%d of %d bytes are still in use, want a tenth at most", idle, full)
			}
			if m.Len() > 1000 {
				t.Errorf("%d buckets left", m.Len())
			}
			runtime.KeepAlive(m)
			runtime.KeepAlive(all)
		})
	}
}

// With hardly any traffic the search for full buckets falls behind, but it still
// reaches every bucket, however many of them stay.
func TestMemoryGivesBackInTime(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	brief, long := ratelimit.MustPerMinute(600), mustLimit(t, 100.0/86400, 100)
	var m ratelimit.Memory
	for i, name := range names(200_000) {
		l := brief
		if i%4 == 0 {
			l = long
		}
		if _, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, epoch, l.Burst()); err != nil {
			t.Fatal(err)
		}
	}
	// Four decisions in each half minute, far too few to keep up.
	for i := range 300 {
		now := epoch.Add(time.Minute + time.Duration(i)*7500*time.Millisecond)
		if _, err := m.Take(ctx, ratelimit.Bucket{Space: "addr", Name: "other"}, brief, now, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.Len(); n < 50_000 || n > 51_000 {
		t.Errorf("%d buckets left, want little more than the 50000 that are not full", n)
	}
}

// The buckets of an outage are given back once the store answers again, though
// nothing is taken from them any more.
func TestLimiterGivesFallbackBack(t *testing.T) {
	// Not parallel: it looks at the heap.
	ctx := context.Background()
	l := ratelimit.MustPerMinute(600)
	all := names(200_000)
	store := &embedding{err: errDown}
	before := heap()
	lim := newLimiter(t, store, nil)
	for _, name := range all {
		if d, err := lim.TakeAt(ctx, name, l, epoch, 600); err != nil || !d.Allowed || !d.Fallback {
			t.Fatal(d, err)
		}
	}
	outage := int64(heap() - before)
	store.err = nil
	for i := range 1200 {
		now := epoch.Add(time.Duration(i) * 100 * time.Millisecond)
		if d, err := lim.TakeAt(ctx, "acme", l, now, 1); err != nil || !d.Allowed || d.Fallback {
			t.Fatal(d, err)
		}
	}
	if after := int64(heap() - before); after > outage/10 {
		t.Errorf("%d of %d bytes are still in use", after, outage)
	}
	runtime.KeepAlive(lim)
	runtime.KeepAlive(all)
}

// A host that gives no time at all has a clock that stands still, in the year 1.
// Buckets are counted there as anywhere, and take no more memory.
func TestMemoryZeroTime(t *testing.T) {
	// Not parallel: it looks at the heap.
	ctx := context.Background()
	l := ratelimit.MustPerMinute(10)
	all := names(100_000)
	before := heap()
	var m ratelimit.Memory
	for _, name := range all {
		if d, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, time.Time{}, 10); err != nil || !d.Allowed {
			t.Fatal(name, d, err)
		}
	}
	if n := m.Len(); n != len(all) {
		t.Errorf("%d buckets, want %d", n, len(all))
	}
	if per := int64(heap()-before) / int64(len(all)); per > 40 {
		t.Errorf("%d bytes a bucket, want at most 40", per)
	}
	for _, name := range all {
		if d, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, time.Time{}, 1); err != nil || d.Allowed {
			t.Fatal(name, d, err)
		}
	}
	runtime.KeepAlive(all)
}

// heap returns the bytes that are in use after a collection.
func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
