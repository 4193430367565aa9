package ratelimit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A ledger checks the promise of a token bucket over every span of a schedule
// at once: what was paid between any two moments is at most one window plus the
// time between them. One request pays its interval, so for a single limit that
// is the burst plus the rate times the span.
type ledger struct {
	window time.Duration // the widest of the limits that share the bucket
	paid   time.Duration
	low    time.Duration // least of paid minus time so far, before paying
}

// pay enters an admitted request, at a time since the start.
func (b *ledger) pay(t *testing.T, at time.Duration, n int, l ratelimit.Limit) {
	t.Helper()
	b.low = min(b.low, b.paid-at)
	b.paid += time.Duration(n) * l.Interval()
	if over := b.paid - at - b.low - b.window; over > 0 {
		t.Fatalf("%v after the start: %v of quota too many admitted over some span (cost %d under %v)", at, over, n, l)
	}
}

// The promise holds for one limit, and for any limits of a minute that share a
// bucket, however their requests are interleaved.
func TestPromise(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		limits []int // requests a minute
	}{
		{"one limit", []int{600}},
		{"one limit with rounding", []int{7}},
		{"ten to one", []int{600, 60}},
		{"three credentials", []int{600, 250, 1}},
		// The window of 700000 a minute is half a millisecond over a minute,
		// worth dozens of its requests. A stricter limit must not forgive them.
		{"rounding is worth requests", []int{700_000, 60}},
		{"the widest gap", []int{999_999_999, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(len(tt.name))))
			var limits []ratelimit.Limit
			var book ledger
			for _, n := range tt.limits {
				l := ratelimit.MustPerMinute(n)
				limits = append(limits, l)
				book.window = max(book.window, l.Window())
			}
			var tat int64
			var at time.Duration
			admitted := 0
			for range 100_000 {
				l := limits[random.IntN(len(limits))]
				n := 1
				switch random.IntN(8) {
				case 0:
					n += random.IntN(l.Burst())
				case 1:
					at += time.Duration(random.Int64N(int64(2 * l.Interval())))
				case 2:
					if random.IntN(50) == 0 {
						at += time.Duration(random.Int64N(int64(2 * l.Window())))
					}
				}
				next, d, err := l.Take(tat, epoch.UnixNano()+int64(at), n)
				if err != nil {
					t.Fatal(err)
				}
				if d.Allowed {
					admitted++
					book.pay(t, at, n, l)
				}
				tat = next
			}
			if admitted < 1000 || at < 10*time.Minute {
				t.Fatalf("a dull schedule: %d admitted in %v", admitted, at)
			}
		})
	}
}

// Two credentials of one organization, one of 600 and one of 60 a minute, never
// get more out of their bucket than one of them could.
func TestMixedCredentials(t *testing.T) {
	t.Parallel()
	large, small := ratelimit.MustPerMinute(600), ratelimit.MustPerMinute(60)
	now := epoch.UnixNano()
	drain := func(l ratelimit.Limit, tat int64) (int64, int) {
		for n := 0; ; n++ {
			next, d, err := l.Take(tat, now, 1)
			if err != nil {
				t.Fatal(err)
			}
			if !d.Allowed {
				return next, n
			}
			tat = next
		}
	}
	tests := []struct {
		name                    string
		first, second           ratelimit.Limit
		takes                   int // of the first, before the second drains
		wantSecond, wantLastOne int // what is left for the second, and for the first after it
	}{
		{"large then small", large, small, 600, 0, 0},
		{"small then large", small, large, 60, 0, 0},
		{"half the minute each", large, small, 300, 30, 0},
		{"half the minute each, small first", small, large, 30, 300, 0},
		{"five are less than one of the small", large, small, 595, 0, 5},
		{"two keys of a rotation", large, large, 300, 300, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tat, d, err := tt.first.Take(0, now, tt.takes)
			if err != nil || !d.Allowed {
				t.Fatalf("taking %d from a full bucket: %+v, %v", tt.takes, d, err)
			}
			tat, second := drain(tt.second, tat)
			_, last := drain(tt.first, tat)
			if second != tt.wantSecond || last != tt.wantLastOne {
				t.Errorf("the second credential got %d and then the first %d; want %d and %d", second, last, tt.wantSecond, tt.wantLastOne)
			}
		})
	}
}

// Whatever the clock does, a bucket admits no more than a burst at any of its
// jumps, and is usable again within a horizon.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	l := ratelimit.MustPerMinute(600)
	for _, jump := range []time.Duration{
		-10 * 365 * 24 * time.Hour, -time.Hour, -62 * time.Second, -time.Second, -1,
		0, 1, time.Second, time.Minute, time.Hour, 10 * 365 * 24 * time.Hour,
	} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			t.Parallel()
			now := epoch.UnixNano()
			tat, d, err := l.Take(0, now, l.Burst())
			if err != nil || !d.Allowed {
				t.Fatal(d, err)
			}
			now += int64(jump)
			admitted := 0
			for range 2 * l.Burst() {
				if tat, d, err = l.Take(tat, now, 1); err != nil {
					t.Fatal(err)
				} else if d.Allowed {
					admitted++
				}
			}
			if admitted > l.Burst() || jump <= 0 && admitted > 0 {
				t.Errorf("%d admitted after a jump by %v", admitted, jump)
			}
			if d.RetryAfter > l.Horizon() {
				t.Errorf("locked out for %v", d.RetryAfter)
			}
			if _, d, _ = l.Take(tat, now+int64(l.Horizon()), l.Burst()); !d.Allowed {
				t.Errorf("not full a horizon later: %+v", d)
			}
		})
	}
}
