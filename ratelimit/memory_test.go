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

// The bound holds for every size, and is reached but for a few in a hundred.
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
