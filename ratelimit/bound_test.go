package ratelimit_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// At the bound newcomers are limited together, and nobody pays for them.
func TestMemoryMaxBuckets(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(60)
	take := func(m *ratelimit.Memory, name string, now time.Time, n int) ratelimit.Decision {
		t.Helper()
		d, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, now, n)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	m := &ratelimit.Memory{MaxBuckets: 10}
	for _, name := range names(10) {
		if d := take(m, name, epoch, 60); !d.Allowed {
			t.Fatalf("%s is not full: %+v", name, d)
		}
	}
	admitted := 0
	for i := range 1000 {
		if take(m, fmt.Sprintf("newcomer %d", i), epoch, 1).Allowed {
			admitted++
		}
	}
	if admitted != 60 {
		t.Errorf("1000 newcomers were admitted %d times, want one burst of 60", admitted)
	}
	if m.Len() != 10 {
		t.Errorf("%d buckets, want the bound of 10", m.Len())
	}
	for _, name := range names(10) {
		if d := take(m, name, epoch, 1); d.Allowed || d.RetryAfter != time.Second {
			t.Errorf("%s got quota back: %+v", name, d)
		}
	}
	// Half a window later there is still no room; a window and the second of
	// grace later there is, and newcomers are on their own.
	if d := take(m, "newcomer 1", epoch.Add(30*time.Second), 30); !d.Allowed || d.Remaining != 0 {
		t.Errorf("half a window later: %+v, want half a burst", d)
	}
	// The shared bucket is half empty now, and "newcomer 1" must not be rid of
	// its debt by getting a bucket of its own.
	later := epoch.Add(61 * time.Second)
	if d := take(m, "newcomer 1", later, 60); d.Allowed || d.RetryAfter != 29*time.Second {
		t.Errorf("with its own bucket: %+v, want the debt that it shared", d)
	}
	much := epoch.Add(3 * time.Minute)
	for _, name := range []string{"newcomer 1", "newcomer 2"} {
		if d := take(m, name, much, 60); !d.Allowed {
			t.Errorf("%s, much later: %+v", name, d)
		}
	}
}

// At the bound a newcomer gets the room of a bucket that is full, even if hardly any
// other is.
func TestMemoryMakesRoom(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(60)
	m := &ratelimit.Memory{MaxBuckets: 10}
	take := func(name string, now time.Time, n int) ratelimit.Decision {
		t.Helper()
		d, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, now, n)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for i, name := range names(10) {
		n := 60
		if i == 3 || i == 7 {
			n = 1 // full again after a second
		}
		take(name, epoch, n)
	}
	later := epoch.Add(2*time.Second + 1)
	for _, name := range []string{"newcomer 1", "newcomer 2"} {
		if d := take(name, later, 60); !d.Allowed {
			t.Errorf("%s has no bucket of its own: %+v", name, d)
		}
	}
	if m.Len() != 10 {
		t.Errorf("%d buckets, want 10", m.Len())
	}
}

// Limits of very different windows meet in the bucket of the newcomers. A short
// one must not take the debt of a long one for an error of the clock there.
func TestMemoryNewcomersOfManyLimits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	daily := mustLimit(t, 100.0/86400, 100)
	m := &ratelimit.Memory{MaxBuckets: 1}
	take := func(name string, l ratelimit.Limit, n int) bool {
		t.Helper()
		d, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, epoch, n)
		if err != nil {
			t.Fatal(err)
		}
		return d.Allowed
	}
	if !take("resident", daily, 100) || !take("newcomer", daily, 100) {
		t.Fatal("not full at first")
	}
	if take("brief", ratelimit.MustPerMinute(60), 1) {
		t.Error("a bucket that is empty for a day admitted a request")
	}
	if take("newcomer", daily, 50) {
		t.Error("a day's quota was given back")
	}
}

// The bound holds for every size, and at least nine tenths of it can be used.
func TestMemoryBound(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(1)
	for _, most := range []int{1, 2, 3, 7, 100, 1000, 70_000} {
		t.Run(fmt.Sprintf("most=%d", most), func(t *testing.T) {
			t.Parallel()
			m := &ratelimit.Memory{MaxBuckets: most}
			for i := range 2*most + 100 {
				if _, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: fmt.Sprint(i)}, l, epoch, 1); err != nil {
					t.Fatal(err)
				}
			}
			if n := m.Len(); n > most || n < most*9/10 {
				t.Errorf("%d buckets, want %d or a little less", n, most)
			}
		})
	}
}

// A Memory at its bound looks for full buckets only now and then, since a search takes
// long.
func TestMemorySeeksRoomNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &ratelimit.Memory{MaxBuckets: 100}
		l := ratelimit.MustPerMinute(60_000) // full again after a millisecond
		start := time.Now()
		all := names(103)
		take := func(name string, after time.Duration, want int) {
			t.Helper()
			if _, err := m.Take(t.Context(), ratelimit.Bucket{Space: "org", Name: name}, l, start.Add(after), 1); err != nil {
				t.Fatal(err)
			}
			if got := m.Len(); got != want {
				t.Fatalf("%d buckets %v after the start, want %d", got, after, want)
			}
		}
		for i, name := range all[:100] {
			take(name, 0, i+1)
		}
		take(all[100], time.Second, 100)                  // looks for room, and finds none
		take(all[101], time.Second+time.Millisecond, 100) // there is room now
		take(all[102], time.Second+100*128*time.Microsecond-time.Nanosecond, 100)
		take(all[102], time.Second+100*128*time.Microsecond, 1)
	})
}
