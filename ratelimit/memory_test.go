package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
	"golang.org/x/time/rate"
)

// A model is a Memory that forgets nothing: a map and Limit.Take.
type model map[ratelimit.Bucket]int64

func (m model) take(t *testing.T, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) ratelimit.Decision {
	t.Helper()
	next, d, err := l.Take(m[b], now.UnixNano(), n)
	if err != nil {
		t.Fatal(err)
	}
	m[b] = next
	return d
}

// Memory decides as the model does, though it drops buckets all the time: over
// many more names than it ever holds at once, with pauses in which everything
// becomes full, and with readings of the clock that are out of order.
func TestMemoryIsTheModel(t *testing.T) {
	t.Parallel()
	for _, keys := range []int{1, 10, 3000, 50_000} {
		t.Run(fmt.Sprintf("keys=%d", keys), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			random := rand.New(rand.NewPCG(7, uint64(keys)))
			limits := []ratelimit.Limit{ratelimit.MustPerMinute(3), ratelimit.MustPerMinute(20), ratelimit.MustPerMinute(600)}
			var m ratelimit.Memory
			want := model{}
			all := names(keys)
			now := epoch
			var refused, dropped, most int
			for i := range steps(300_000) {
				l := limits[random.IntN(len(limits))]
				n := 1 + random.IntN(1+l.Burst()/(1+random.IntN(l.Burst())))/2
				b := ratelimit.Bucket{Space: "org", Name: all[random.IntN(keys)]}
				late := now.Add(-time.Duration(random.Int64N(int64(time.Second) - 1)))
				d, err := m.Take(ctx, b, l, late, n)
				if err != nil {
					t.Fatal(err)
				}
				if w := want.take(t, b, l, late, n); d != w {
					t.Fatalf("decision %d, on %q:\n got %+v\nwant %+v", i, b, d, w)
				}
				if !d.Allowed {
					refused++
				}
				now = now.Add(time.Duration(random.Int64N(int64(4 * time.Millisecond))))
				switch random.IntN(20_000) {
				case 0:
					now = now.Add(time.Duration(random.Int64N(int64(2 * time.Minute))))
				case 1:
					now = now.Add(time.Minute + time.Second)
					dropped += m.Sweep(now.Add(-time.Second))
				}
				if i%1000 == 0 {
					most = max(most, m.Len())
				}
			}
			if refused == 0 || keys > 1 && dropped == 0 || most == 0 || keys > 10_000 && most == keys {
				t.Errorf("a dull schedule: %d refused, %d dropped, %d buckets at most", refused, dropped, most)
			}
		})
	}
}

// A bucket that is not full survives growth, and everything else that goes on
// around it, to the nanosecond.
func TestMemoryKeepsWhatIsNotFull(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(5)
	passing := ratelimit.MustPerMinute(60_000)
	var m ratelimit.Memory
	all := names(steps(20_000))
	for _, name := range all {
		if d, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, epoch, 5); err != nil || !d.Allowed {
			t.Fatal(name, d, err)
		}
	}
	// A crowd of others, full again after a millisecond, for twelve seconds.
	const interval = 12 * time.Second
	for i := range 120_000 {
		now := epoch.Add(interval * time.Duration(i) / 120_000)
		if _, err := m.Take(ctx, ratelimit.Bucket{Space: "addr", Name: fmt.Sprint(i)}, passing, now, 1); err != nil {
			t.Fatal(err)
		}
	}
	if m.Len() >= len(all)+120_000/2 {
		t.Errorf("%d buckets: full ones are not used again", m.Len())
	}
	m.Sweep(epoch.Add(interval - 1))
	for _, name := range all {
		b := ratelimit.Bucket{Space: "org", Name: name}
		if d, _ := m.Take(ctx, b, l, epoch.Add(interval-1), 1); d.Allowed || d.RetryAfter != 1 {
			t.Fatalf("%s a nanosecond before its time: %+v", name, d)
		}
		if d, _ := m.Take(ctx, b, l, epoch.Add(interval), 1); !d.Allowed || d.Remaining != 0 {
			t.Fatalf("%s at its time: %+v", name, d)
		}
	}
}

// Sweep tells a bucket that is full from one that will be in a nanosecond.
func TestMemorySweepIsExact(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(60)
	var m ratelimit.Memory
	for i, name := range names(10_000) {
		now := epoch.Add(time.Duration(i % 2))
		if _, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, now, 60); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.Sweep(epoch.Add(time.Minute)); n != 5000 || m.Len() != 5000 {
		t.Errorf("swept %d buckets and left %d, want 5000 of each", n, m.Len())
	}
	for i, name := range names(10_000) {
		d, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, epoch.Add(time.Minute), 60)
		if err != nil || d.Allowed != (i%2 == 0) {
			t.Fatalf("%s: %+v, %v", name, d, err)
		}
	}
}

// Many goroutines on one bucket are admitted exactly a burst, with others
// making the tables grow and shrink around them.
func TestMemoryConcurrent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(1000)
	brief, err := ratelimit.NewLimit(1e6, 1)
	if err != nil {
		t.Fatal(err)
	}
	m := &ratelimit.Memory{MaxBuckets: 100} // few shards, so that they meet
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 500 {
				d, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: "acme"}, l, epoch.Add(2*time.Second), 1)
				if err != nil {
					t.Error(err)
				}
				if d.Allowed {
					admitted.Add(1)
				}
				now := epoch.Add(2*time.Second + time.Duration(i)*time.Millisecond)
				if _, err := m.Take(ctx, ratelimit.Bucket{Space: "addr", Name: fmt.Sprint(g, i)}, brief, now, 1); err != nil {
					t.Error(err)
				}
				if i%50 == 0 {
					m.Sweep(now)
					m.Len()
				}
			}
		})
	}
	wg.Wait()
	if admitted.Load() != 1000 {
		t.Errorf("admitted %d, want exactly the burst of 1000", admitted.Load())
	}
}

// No time makes Memory panic, stop its clock for good, or give more than a
// burst at once.
func TestMemoryAnyTime(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(10)
	times := []time.Time{
		epoch,
		{},
		epoch.Add(-time.Hour), epoch.Add(time.Hour), time.Unix(1<<40, 0), time.Unix(-1<<40, 0),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Unix(0, 0), epoch,
	}
	var m ratelimit.Memory
	latest := times[1]
	for _, now := range times {
		admitted := 0
		for range 30 {
			d, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: "acme"}, l, now, 1)
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed {
				admitted++
			}
			if d.RetryAfter > l.Horizon() {
				t.Errorf("at %v: locked out for %v", now, d.RetryAfter)
			}
		}
		if admitted > 10 || now.After(latest) && admitted != 10 {
			t.Errorf("at %v: %d admitted at once", now, admitted)
		}
		if now.After(latest) {
			latest = now
		}
	}
	if d, _ := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: "acme"}, l, epoch.Add(2*time.Minute), 10); !d.Allowed {
		t.Errorf("the clock stands still: %+v", d)
	}
}

func TestMemoryErrors(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := ratelimit.Bucket{Space: "org", Name: "acme"}
	var m ratelimit.Memory
	if n := m.Sweep(epoch) + m.Len(); n != 0 {
		t.Errorf("an unused Memory holds or sweeps %d buckets", n)
	}
	if d, err := m.Take(ctx, b, ratelimit.Limit{}, epoch, 1); !errors.Is(err, ratelimit.ErrInvalidLimit) || d != (ratelimit.Decision{}) {
		t.Errorf("zero limit: %+v, %v; want ErrInvalidLimit", d, err)
	}
	for _, n := range []int{-1, 0, 11} {
		if d, err := m.Take(ctx, b, ratelimit.MustPerMinute(10), epoch, n); !errors.Is(err, ratelimit.ErrCost) || d != (ratelimit.Decision{}) {
			t.Errorf("cost %d: %+v, %v; want ErrCost", n, d, err)
		}
	}
	if m.Len() != 0 {
		t.Errorf("errors left %d buckets behind", m.Len())
	}
}

func mustLimit(t testing.TB, perSecond float64, burst int) ratelimit.Limit {
	t.Helper()
	l, err := ratelimit.NewLimit(rate.Limit(perSecond), burst)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// steps returns how long a schedule is: n steps, or fewer with -short.
func steps(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// names returns n names of the length that IDs have.
func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("org_%012d", i)
	}
	return all
}
