package ratelimit_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
	"golang.org/x/time/rate"
)

func TestNewLimit(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := []struct {
		name     string
		rate     rate.Limit
		burst    int
		interval time.Duration // 0: ErrInvalidLimit
	}{
		{"one a second", 1, 1, time.Second},
		{"250 a minute is whole in spite of the fraction", rate.Limit(250) / 60, 250, 240 * time.Millisecond},
		{"600 a minute", rate.Limit(600) / 60, 600, 100 * time.Millisecond},
		{"every 7 ms", rate.Every(7 * time.Millisecond), 3, 7 * time.Millisecond},
		{"every 86399999999999 ns", rate.Every(day - 1), 1, day - 1},
		{"three a second is rounded up", 3, 3, 333333334},
		{"seven a second is rounded up", 7, 1, 142857143},
		{"the fastest", 1e9, 1, 1},
		{"two thirds of the fastest", 2e9 / 3, 1, 2},
		{"the widest window", rate.Every(day), 366, day},
		{"every 32 days", rate.Every(32 * day), 11, 32 * day},

		{"zero rate", 0, 1, 0},
		{"negative zero rate", rate.Limit(math.Copysign(0, -1)), 1, 0},
		{"negative rate", -1, 1, 0},
		{"infinite rate", rate.Inf, 1, 0},
		{"IEEE infinity", rate.Limit(math.Inf(1)), 1, 0},
		{"negative infinity", rate.Limit(math.Inf(-1)), 1, 0},
		{"not a number", rate.Limit(math.NaN()), 1, 0},
		{"every zero, which x/time takes for unlimited", rate.Every(0), 1, 0},
		{"every negative", rate.Every(-time.Second), 1, 0},
		{"faster than a nanosecond", rate.Limit(math.Nextafter(1e9, 2e9)), 1, 0},
		{"the smallest float", math.SmallestNonzeroFloat64, 1, 0},
		{"slower than 366 days", rate.Every(366*day + time.Minute), 1, 0},
		{"zero burst", 1, 0, 0},
		{"negative burst", 1, -1, 0},
		{"window above 366 days", rate.Every(day), 367, 0},
		{"window overflows", rate.Every(day), math.MaxInt, 0},
		{"largest burst at 50 a second", 50, math.MaxInt, 0}, // too long even in 32 bits
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := ratelimit.NewLimit(tt.rate, tt.burst)
			if tt.interval == 0 {
				if !errors.Is(err, ratelimit.ErrInvalidLimit) || l != (ratelimit.Limit{}) {
					t.Fatalf("NewLimit(%v, %d) = %v, %v; want the zero Limit and ErrInvalidLimit", tt.rate, tt.burst, l, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("NewLimit(%v, %d): %v", tt.rate, tt.burst, err)
			}
			if l.Interval() != tt.interval || l.Burst() != tt.burst {
				t.Errorf("interval %d, burst %d; want %d, %d", l.Interval(), l.Burst(), tt.interval, tt.burst)
			}
			if want := time.Duration(tt.burst) * tt.interval; l.Window() != want {
				t.Errorf("window %v, want %v", l.Window(), want)
			}
			if want := max(time.Duration(tt.burst)*tt.interval, 61*time.Second); l.Horizon() != want {
				t.Errorf("horizon %v, want %v", l.Horizon(), want)
			}
			if got, most := float64(l.Rate()), float64(tt.rate)*(1+0x1p-47); got > most {
				t.Errorf("rate %v is above the %v that was asked for", got, tt.rate)
			}
		})
	}
}

func TestPerMinute(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		n        int
		interval time.Duration // 0: ErrInvalidLimit
	}{
		{"one", 1, time.Minute},
		{"seven is rounded up", 7, 8571428572},
		{"the default of 600", 600, 100 * time.Millisecond},
		{"a million", 1_000_000, 60 * time.Microsecond},
		{"999999 is rounded up", 999_999, 60_001},
		{"the most", 1_000_000_000, 60},
		{"one less than the most is rounded up", 999_999_999, 61},
		{"zero", 0, 0},
		{"negative", -600, 0},
		{"above the most", 1_000_000_001, 0},
		{"the largest int", math.MaxInt, 0},
		{"the smallest int", math.MinInt, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := ratelimit.PerMinute(tt.n)
			if tt.interval == 0 {
				if !errors.Is(err, ratelimit.ErrInvalidLimit) || l != (ratelimit.Limit{}) {
					t.Fatalf("PerMinute(%d) = %v, %v; want the zero Limit and ErrInvalidLimit", tt.n, l, err)
				}
				defer func() {
					if r, _ := recover().(error); !errors.Is(r, ratelimit.ErrInvalidLimit) {
						t.Errorf("MustPerMinute(%d) panicked with %v, want ErrInvalidLimit", tt.n, r)
					}
				}()
				ratelimit.MustPerMinute(tt.n)
				return
			}
			if err != nil {
				t.Fatalf("PerMinute(%d): %v", tt.n, err)
			}
			if l.Interval() != tt.interval || l.Burst() != tt.n {
				t.Errorf("interval %d, burst %d; want %d, %d", l.Interval(), l.Burst(), tt.interval, tt.n)
			}
			if l.Horizon() != 61*time.Second {
				t.Errorf("horizon %v; the horizons of per-minute limits must be equal, 61s", l.Horizon())
			}
			if l != ratelimit.MustPerMinute(tt.n) {
				t.Error("MustPerMinute differs from PerMinute")
			}
		})
	}
}

func TestPer(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := []struct {
		name     string
		n        int
		period   time.Duration
		burst    int
		interval time.Duration // 0: ErrInvalidLimit
	}{
		{"600 a minute", 600, time.Minute, 600, 100 * time.Millisecond},
		{"1000 an hour, 10 at once", 1000, time.Hour, 10, 3600 * time.Millisecond},
		{"10000 a day", 10_000, day, 100, 8640 * time.Millisecond},
		{"seven a minute is rounded up", 7, time.Minute, 7, 8571428572},
		{"three in ten nanoseconds is rounded up", 3, 10, 1, 4},
		{"one in a nanosecond", 1, 1, 1, 1},
		{"one a nanosecond", math.MaxInt32, math.MaxInt32, 5, 1},
		{"almost one a nanosecond", math.MaxInt32 - 1, math.MaxInt32, 5, 2},
		{"the widest window", 1, day, 366, day},
		{"one in 366 days", 1, 366 * day, 1, 366 * day},
		{"many in more than 366 days", 1000, 1000 * day, 366, day},
		{"many in the longest period", 1_000_000_000, math.MaxInt64, 1, 9223372037},

		{"none", 0, time.Minute, 1, 0},
		{"a negative number", -1, time.Minute, 1, 0},
		{"the smallest number", math.MinInt, time.Minute, 1, 0},
		{"no period", 1, 0, 1, 0},
		{"a negative period", 1, -time.Minute, 1, 0},
		{"both negative", -60, -time.Minute, 1, 0},
		{"more than one a nanosecond", 1001, time.Microsecond, 1, 0},
		{"no burst", 60, time.Minute, 0, 0},
		{"a negative burst", 60, time.Minute, -1, 0},
		{"a window above 366 days", 1, day, 367, 0},
		{"an interval above 366 days", 1, 366*day + 1, 1, 0},
		{"a window that overflows", 1, day, math.MaxInt, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := ratelimit.Per(tt.n, tt.period, tt.burst)
			if tt.interval == 0 {
				if !errors.Is(err, ratelimit.ErrInvalidLimit) || l != (ratelimit.Limit{}) {
					t.Fatalf("Per = %v, %v; want the zero Limit and ErrInvalidLimit", l, err)
				}
				defer func() {
					if r, _ := recover().(error); !errors.Is(r, ratelimit.ErrInvalidLimit) {
						t.Errorf("MustPer panicked with %v, want ErrInvalidLimit", r)
					}
				}()
				ratelimit.MustPer(tt.n, tt.period, tt.burst)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if l.Interval() != tt.interval || l.Burst() != tt.burst {
				t.Errorf("interval %d, burst %d; want %d, %d", l.Interval(), l.Burst(), tt.interval, tt.burst)
			}
			if l != ratelimit.MustPer(tt.n, tt.period, tt.burst) {
				t.Error("MustPer differs from Per")
			}
		})
	}
}

// Whatever the numbers, no span of one period sees more than n requests besides
// the burst, and rounding costs a request less than a nanosecond.
func TestPerIsNeverAboveN(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 9))
	for range 2000 {
		period := 1 + time.Duration(random.Int64N(1<<(1+random.IntN(43)))) // up to 2.4 hours
		n := 1 + random.IntN(int(min(period, 300)))
		burst := 1 + random.IntN(20)
		l, err := ratelimit.Per(n, period, burst)
		if err != nil {
			t.Fatal(err)
		}
		if cost := int64(n) * int64(l.Interval()); cost < int64(period) || cost >= int64(period)+int64(n) {
			t.Fatalf("%d in %v: one costs %v", n, period, l.Interval())
		}
		// Whoever takes whenever it is possible gets the most.
		start := epoch.UnixNano()
		now, tat, admitted := start, int64(0), 0
		for now-start <= int64(period) {
			next, d, err := l.Take(tat, now, 1)
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed {
				admitted++
			}
			tat, now = next, now+int64(d.RetryAfter)
		}
		if want := burst + int(period/l.Interval()); admitted != want || want > burst+n {
			t.Fatalf("%d in %v, burst %d: %d in one period, want %d", n, period, burst, admitted, want)
		}
	}
}

// All constructors agree, for every figure that a host is likely to use.
func TestConstructorsAgree(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 20_000; n++ {
		want := ratelimit.MustPerMinute(n)
		got, err := ratelimit.NewLimit(rate.Limit(n)/60, n)
		if err != nil || got != want {
			t.Fatalf("NewLimit(%d/60, %[1]d) = %v, %v; PerMinute says %v", n, got, err, want)
		}
		if got := ratelimit.MustPer(n, time.Minute, n); got != want {
			t.Fatalf("Per(%d, time.Minute, %[1]d) = %v; PerMinute says %v", n, got, want)
		}
	}
}

// A duration that goes through rate.Every comes back whole, whatever its float
// lost on the way.
func TestNewLimitEvery(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 5))
	for range 100_000 {
		want := 1 + time.Duration(random.Int64N(1<<(1+random.IntN(49)))) // up to 6 days
		l, err := ratelimit.NewLimit(rate.Every(want), 1)
		if err != nil || l.Interval() != want {
			t.Fatalf("NewLimit(Every(%d)) has interval %d, %v", want, l.Interval(), err)
		}
	}
}

func TestZeroLimit(t *testing.T) {
	t.Parallel()
	var zero ratelimit.Limit
	if zero.Rate() != 0 || zero.Burst() != 0 || zero.Interval() != 0 || zero.Window() != 0 {
		t.Errorf("the zero Limit has rate %v, burst %d, interval %v, window %v", zero.Rate(), zero.Burst(), zero.Interval(), zero.Window())
	}
	for _, n := range []int{-1, 0, 1, math.MaxInt} {
		next, d, err := zero.Take(5, 10, n)
		if next != 5 || d != (ratelimit.Decision{}) || err != ratelimit.ErrInvalidLimit {
			t.Errorf("Take(5, 10, %d) = %d, %+v, %v; want 5, the zero Decision and ErrInvalidLimit", n, next, d, err)
		}
		if err := zero.Check(n); err != ratelimit.ErrInvalidLimit {
			t.Errorf("Check(%d) = %v, want ErrInvalidLimit", n, err)
		}
	}
}
