package ratelimit_test

import (
	"math"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
	"golang.org/x/time/rate"
)

func TestLimitTake(t *testing.T) {
	t.Parallel()
	// Five requests at once, then one a second. Times in the table are in
	// milliseconds after start.
	five, err := ratelimit.NewLimit(1, 5)
	if err != nil {
		t.Fatal(err)
	}
	const start = int64(1_700_000_000_000_000_000)
	at := func(ms int64) int64 { return start + ms*int64(time.Millisecond) }
	const ms = time.Millisecond
	const wayAhead = 3_600_000
	tests := []struct {
		name     string
		tat, now int64
		n        int
		next     int64
		want     ratelimit.Decision
	}{
		{"never used", -start / 1e6, 0, 1, 1000, ratelimit.Decision{Allowed: true, Remaining: 4, NextAfter: 1000 * ms, ResetAfter: 1000 * ms}},
		{"full since long", -10_000, 0, 1, 1000, ratelimit.Decision{Allowed: true, Remaining: 4, NextAfter: 1000 * ms, ResetAfter: 1000 * ms}},
		{"full since now", 0, 0, 2, 2000, ratelimit.Decision{Allowed: true, Remaining: 3, NextAfter: 1000 * ms, ResetAfter: 2000 * ms}},
		{"whole burst", 0, 0, 5, 5000, ratelimit.Decision{Allowed: true, Remaining: 0, NextAfter: 1000 * ms, ResetAfter: 5000 * ms}},
		{"last one", 4000, 0, 1, 5000, ratelimit.Decision{Allowed: true, Remaining: 0, NextAfter: 1000 * ms, ResetAfter: 5000 * ms}},
		{"half of one is left over", 3500, 0, 1, 4500, ratelimit.Decision{Allowed: true, Remaining: 0, NextAfter: 500 * ms, ResetAfter: 4500 * ms}},
		{"half of one is missing", 4500, 0, 1, 4500, ratelimit.Decision{Remaining: 0, RetryAfter: 500 * ms, NextAfter: 500 * ms, ResetAfter: 4500 * ms}},
		{"a dear one is refused while cheap ones would pass", 2500, 0, 3, 2500, ratelimit.Decision{Remaining: 2, RetryAfter: 500 * ms, NextAfter: 500 * ms, ResetAfter: 2500 * ms}},
		{"empty", 5000, 0, 1, 5000, ratelimit.Decision{Remaining: 0, RetryAfter: 1000 * ms, NextAfter: 1000 * ms, ResetAfter: 5000 * ms}},
		{"the debt of a larger burst is kept", 61_000, 0, 1, 61_000, ratelimit.Decision{RetryAfter: 57_000 * ms, NextAfter: 57_000 * ms, ResetAfter: 61_000 * ms}},
		{"the clock went back", 61_001, 0, 1, 5000, ratelimit.Decision{RetryAfter: 1000 * ms, NextAfter: 1000 * ms, ResetAfter: 5000 * ms}},
		{"the clock went back by an hour", wayAhead, 0, 5, 5000, ratelimit.Decision{RetryAfter: 5000 * ms, NextAfter: 1000 * ms, ResetAfter: 5000 * ms}},
		{"the clock went on by an hour", 5000, wayAhead, 1, wayAhead + 1000, ratelimit.Decision{Allowed: true, Remaining: 4, NextAfter: 1000 * ms, ResetAfter: 1000 * ms}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.want.Limit = five
			next, got, err := five.Take(at(tt.tat), at(tt.now), tt.n)
			if err != nil {
				t.Fatal(err)
			}
			if next != at(tt.next) || got != tt.want {
				t.Errorf("next is %v after start, want %v\n got %+v\nwant %+v",
					time.Duration(next-start), time.Duration(at(tt.next)-start), got, tt.want)
			}
		})
	}
}

// Where a nanosecond is a whole request, each one that is left counts.
func TestLimitTakeByNanoseconds(t *testing.T) {
	t.Parallel()
	l := ratelimit.MustPer(1, 1, 5)
	for n := 1; n <= 5; n++ {
		_, d, err := l.Take(0, 10, n)
		if want := (ratelimit.Decision{Allowed: true, Limit: l, Remaining: 5 - n, NextAfter: 1, ResetAfter: time.Duration(n)}); err != nil || d != want {
			t.Errorf("Take of %d: %+v, %v; want %+v", n, d, err, want)
		}
	}
}

func TestLimitTakeCost(t *testing.T) {
	t.Parallel()
	l := ratelimit.MustPerMinute(5)
	for _, n := range []int{math.MinInt, -1, 0, 6, math.MaxInt} {
		next, d, err := l.Take(7, 1000, n)
		if next != 7 || d != (ratelimit.Decision{}) || err != ratelimit.ErrCost {
			t.Errorf("Take of %d = %d, %+v, %v; want 7, the zero Decision and ErrCost", n, next, d, err)
		}
		if err := l.Check(n); err != ratelimit.ErrCost {
			t.Errorf("Check(%d) = %v, want ErrCost", n, err)
		}
	}
	for n := 1; n <= 5; n++ {
		if err := l.Check(n); err != nil {
			t.Errorf("Check(%d) = %v", n, err)
		}
	}
}

// At the ends of int64 the arithmetic neither wraps nor gives anything away.
func TestLimitTakeExtremes(t *testing.T) {
	t.Parallel()
	widest, err := ratelimit.NewLimit(rate.Every(24*time.Hour), 366)
	if err != nil {
		t.Fatal(err)
	}
	times := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - int64(widest.Window()), math.MaxInt64 - 1, math.MaxInt64}
	for _, l := range []ratelimit.Limit{ratelimit.MustPerMinute(1), ratelimit.MustPerMinute(1_000_000_000), widest} {
		for _, now := range times {
			for _, tat := range times {
				admitted := 0
				for range 3 { // each takes the whole burst
					next, d, err := l.Take(tat, now, l.Burst())
					if err != nil {
						t.Fatal(err)
					}
					checkDecision(t, l, tat, now, l.Burst(), next, d)
					if d.Allowed {
						admitted++
					}
					tat = next
				}
				if admitted > 1 {
					t.Errorf("%v at %d admitted %d bursts at once", l, now, admitted)
				}
			}
		}
	}
}

// checkDecision checks what is true of every decision without an error.
func checkDecision(t *testing.T, l ratelimit.Limit, tat, now int64, n int, next int64, d ratelimit.Decision) {
	t.Helper()
	fail := func(what string) {
		t.Helper()
		t.Fatalf("%s: limit %v, tat %d, now %d, cost %d: next %d, %+v", what, l, tat, now, n, next, d)
	}
	if d.Limit != l || d.Fallback {
		fail("limit or fallback is wrong")
	}
	if d.Remaining < 0 || d.Remaining > l.Burst() {
		fail("remaining out of range")
	}
	if d.ResetAfter < 0 || d.ResetAfter > l.Horizon() {
		fail("reset out of range")
	}
	if most := max(l.Interval(), d.ResetAfter+l.Interval()-l.Window()); d.NextAfter < 1 || d.NextAfter > most || d.Remaining > 0 && d.NextAfter > l.Interval() {
		fail("next out of range")
	}
	if !d.Allowed && (d.NextAfter > d.RetryAfter || d.Remaining == n-1 && d.NextAfter != d.RetryAfter) {
		fail("next contradicts retry")
	}
	if d.RetryAfter < 0 || d.RetryAfter > l.Horizon() {
		fail("retry out of range")
	}
	if d.Allowed != (d.RetryAfter == 0) {
		fail("retry contradicts the answer")
	}
	if d.Allowed && (next <= now && now < math.MaxInt64-int64(366*24*time.Hour) || d.Remaining > l.Burst()-n || d.ResetAfter < time.Duration(n)*l.Interval()) {
		fail("admitted without pay")
	}
	if !d.Allowed && next != tat && d.ResetAfter != l.Window() {
		fail("refused, and yet the bucket changed")
	}
	if !d.Allowed && next == tat && d.Remaining >= n {
		fail("refused what it could pay for")
	}
	if (d.RetryAfterSeconds() > 0) == d.Allowed || d.RetryAfterSeconds() < int64(d.RetryAfter/time.Second) {
		fail("seconds to retry contradict the answer")
	}
}

func TestDecisionSeconds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name               string
		d                  ratelimit.Decision
		retry, next, reset int64
	}{
		{"zero refuses", ratelimit.Decision{}, 1, 0, 0},
		{"allowed, full", ratelimit.Decision{Allowed: true}, 0, 0, 0},
		{"a nanosecond", ratelimit.Decision{RetryAfter: 1, NextAfter: 1, ResetAfter: 1}, 1, 1, 1},
		{"exactly a second", ratelimit.Decision{RetryAfter: time.Second, NextAfter: time.Second, ResetAfter: time.Second}, 1, 1, 1},
		{"a nanosecond more", ratelimit.Decision{RetryAfter: time.Second + 1, NextAfter: time.Second + 1, ResetAfter: time.Second + 1}, 2, 2, 2},
		{"the longest", ratelimit.Decision{RetryAfter: math.MaxInt64, NextAfter: math.MaxInt64, ResetAfter: math.MaxInt64}, 9223372037, 9223372037, 9223372037},
		{"allowed, in debt", ratelimit.Decision{Allowed: true, NextAfter: 500 * time.Millisecond, ResetAfter: 1500 * time.Millisecond}, 0, 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.d.RetryAfterSeconds(); got != tt.retry {
				t.Errorf("RetryAfterSeconds() = %d, want %d", got, tt.retry)
			}
			if got := tt.d.NextAfterSeconds(); got != tt.next {
				t.Errorf("NextAfterSeconds() = %d, want %d", got, tt.next)
			}
			if got := tt.d.ResetAfterSeconds(); got != tt.reset {
				t.Errorf("ResetAfterSeconds() = %d, want %d", got, tt.reset)
			}
		})
	}
}
