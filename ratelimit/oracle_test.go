package ratelimit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
	"golang.org/x/time/rate"
)

// epoch is where the schedules of the tests start. It has no monotonic reading.
var epoch = time.Unix(1_700_000_000, 0)

// tick is a 512th of a second, a whole number of nanoseconds and a binary
// fraction of a second. Rates that are powers of two and times that are whole
// ticks are exact for x/time/rate too, which computes in float64.
const tick = time.Second / 512

// Over exact rates and times, Limit.Take and rate.Limiter must agree on every
// single decision, ties included.
func TestOracleExact(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []int{1, 2, 8, 64, 512} {
		for _, burst := range []int{1, 2, 10, 600, 5000} {
			t.Run(fmt.Sprintf("rate=%d/burst=%d", perSecond, burst), func(t *testing.T) {
				t.Parallel()
				s := newSchedule(t, rate.Limit(perSecond), burst)
				for range steps(25_000) {
					s.advance(tick)
					s.step(t, 0)
				}
				s.report(t)
			})
		}
	}
}

// Over any rate and any time the oracle's floats may err when the tokens come
// to the cost almost exactly. There, and only there, the clock is moved on by
// some nanoseconds first. All decisions must then agree.
func TestOracle(t *testing.T) {
	t.Parallel()
	limits := []struct {
		name  string
		rate  rate.Limit
		burst int
	}{
		{"1 a minute", rate.Limit(1) / 60, 1},
		{"7 a minute", rate.Limit(7) / 60, 7},
		{"60 a minute", 1, 60},
		{"250 a minute", rate.Limit(250) / 60, 250},
		{"600 a minute", 10, 600},
		{"6000 a minute", 100, 6000},
		{"3 a second", 3, 2},
		{"pi a second", 3.14159265358979, 31},
		{"10000 a second", 10_000, 100},
		{"a million a second", 1e6, 1000},
		{"10 an hour", rate.Limit(10) / 3600, 10},
		{"1000 a day", rate.Limit(1000) / 86400, 1000},
	}
	for _, tt := range limits {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSchedule(t, tt.rate, tt.burst)
			for range steps(50_000) {
				s.advance(1)
				s.step(t, 3)
			}
			s.report(t)
		})
	}
}

// A schedule runs one bucket and the oracle side by side.
type schedule struct {
	random            *rand.Rand
	limit             ratelimit.Limit
	oracle            *rate.Limiter
	now               time.Time
	tat               int64
	admitted, refused int
	moved             int // times that the clock was moved out of a tie
}

func newSchedule(t *testing.T, r rate.Limit, burst int) *schedule {
	t.Helper()
	l, err := ratelimit.NewLimit(r, burst)
	if err != nil {
		t.Fatal(err)
	}
	return &schedule{
		random: rand.New(rand.NewPCG(uint64(burst), uint64(l.Interval()))),
		limit:  l,
		oracle: rate.NewLimiter(l.Rate(), burst),
		now:    epoch,
	}
}

// advance moves the clock on by a multiple of unit: often not at all, mostly by
// about what a request costs, now and then by about a window.
func (s *schedule) advance(unit time.Duration) {
	var most time.Duration
	switch s.random.IntN(16) {
	case 0:
		most = 3 * s.limit.Window() / 2
	case 1, 2, 3, 4:
		return
	default:
		most = 2 * s.limit.Interval()
	}
	d := time.Duration(s.random.Int64N(int64(most) + 1))
	s.now = s.now.Add(d - d%unit)
}

// cost is mostly one, and sometimes anything up to the burst.
func (s *schedule) cost() int {
	if s.random.IntN(4) > 0 {
		return 1
	}
	return 1 + s.random.IntN(s.limit.Burst())
}

// step makes one decision on both sides, not nearer to a tie than margin.
func (s *schedule) step(t *testing.T, margin time.Duration) {
	t.Helper()
	n := s.cost()
	for margin > 0 && s.tie(n).Abs() < margin {
		s.now = s.now.Add(1)
		s.moved++
	}
	now := s.now.UnixNano()
	next, d, err := s.limit.Take(s.tat, now, n)
	if err != nil {
		t.Fatal(err)
	}
	checkDecision(t, s.limit, s.tat, now, n, next, d)
	tokens := s.oracle.TokensAt(s.now)
	if want := s.oracle.AllowN(s.now, n); d.Allowed != want {
		t.Fatalf("after %d decisions: cost %d with %v tokens: %+v, the oracle says %t", s.admitted+s.refused, n, tokens, d, want)
	}
	if d.Allowed {
		s.admitted++
	} else {
		s.refused++
		s.checkRetry(t, next, now, n, d)
	}
	if _, full, _ := s.limit.Take(next, now+int64(d.ResetAfter), s.limit.Burst()); !full.Allowed {
		t.Fatalf("not full after ResetAfter: %+v", d)
	}
	if _, full, _ := s.limit.Take(next, now+int64(d.ResetAfter)-1, s.limit.Burst()); full.Allowed {
		t.Fatalf("full before ResetAfter: %+v", d)
	}
	s.checkNext(t, next, now, d)
	left := s.oracle.TokensAt(s.now)
	if float64(d.Remaining) > left+1e-6 || float64(d.Remaining) < left-1-1e-6 {
		t.Fatalf("remaining is %d, the oracle has %v tokens", d.Remaining, left)
	}
	s.tat = next
}

// tie says how far the next decision is from being the other one. The bucket
// goes on filling here after it is full, so that the moment at which it can
// just pay for a whole burst counts as a tie too.
func (s *schedule) tie(n int) time.Duration {
	lead := time.Duration(s.tat - s.now.UnixNano())
	return s.limit.Window() - time.Duration(n)*s.limit.Interval() - lead
}

// checkRetry checks that RetryAfter is exact to the nanosecond.
func (s *schedule) checkRetry(t *testing.T, tat, now int64, n int, d ratelimit.Decision) {
	t.Helper()
	at := now + int64(d.RetryAfter)
	if _, early, _ := s.limit.Take(tat, at-1, n); early.Allowed {
		t.Fatalf("admitted a nanosecond before RetryAfter: %+v", d)
	}
	if _, later, _ := s.limit.Take(tat, at, n); !later.Allowed {
		t.Fatalf("refused at RetryAfter: %+v, then %+v", d, later)
	}
}

// checkNext checks that Remaining grows by one at NextAfter, to the nanosecond: a
// request for one more than is left is admitted then, and not before.
func (s *schedule) checkNext(t *testing.T, tat, now int64, d ratelimit.Decision) {
	t.Helper()
	at := now + int64(d.NextAfter)
	if _, early, _ := s.limit.Take(tat, at-1, d.Remaining+1); early.Allowed {
		t.Fatalf("one more is left before NextAfter: %+v", d)
	}
	if _, later, _ := s.limit.Take(tat, at, d.Remaining+1); !later.Allowed || later.Remaining != 0 {
		t.Fatalf("not exactly one more is left at NextAfter: %+v, then %+v", d, later)
	}
}

// report fails if the schedule was too dull to prove anything.
func (s *schedule) report(t *testing.T) {
	t.Helper()
	total := s.admitted + s.refused
	t.Logf("%d admitted, %d refused, moved %d ns out of ties", s.admitted, s.refused, s.moved)
	if s.admitted < total/20 || s.refused < total/20 {
		t.Errorf("%d admitted and %d refused: one of the two is hardly tested", s.admitted, s.refused)
	}
	if s.moved > total/2 {
		t.Errorf("moved the clock %d times in %d decisions", s.moved, total)
	}
}
