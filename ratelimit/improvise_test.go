package ratelimit_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// improvise plays a random schedule. It comes near the limit by emptying a bucket that
// is hardly used, when there is something that was taken in advance.
func (s *stage) improvise(random *rand.Rand, limits []ratelimit.Limit) {
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d) + 1)) }
	for range 6 + random.IntN(20) {
		a := s.nodes[random.IntN(len(s.nodes))]
		l := limits[random.IntN(len(limits))]
		switch random.IntN(7) {
		case 0:
			a.take(l, 1+int(upTo(1500*time.Millisecond)/l.Interval()))
		case 1:
			a.take(l, 1)
		case 2:
			s.wait(upTo(900 * time.Millisecond))
		case 3: // what was taken in advance is almost too old
			s.wait(830 * time.Millisecond)
		case 4:
			if a.take(l, 1+int(upTo(1500*time.Millisecond)/l.Interval())) {
				s.wait(800 * time.Millisecond)
				a.take(l, 1)
			}
		case 5:
			switch random.IntN(4) {
			case 0:
				d := upTo(5 * time.Second)
				a.clock.slept += int64(d)
				s.wait(d)
			case 1:
				a.answer = upTo(800 * time.Millisecond)
			default:
				a.answer = 0
			}
		case 6:
			if random.IntN(3) == 0 {
				s.empty(l)
				for range 3 {
					s.nodes[random.IntN(len(s.nodes))].drain(limits[random.IntN(len(limits))])
				}
			}
		}
	}
}

// TestImprovised plays random schedules. The protocol exceeds no limit, and
// broken versions do in some of them. (Those that count the age from the answer, and
// that renew leftovers, need schedules that chance does not find.)
func TestImprovised(t *testing.T) {
	t.Parallel()
	sets := [][]ratelimit.Limit{
		{ratelimit.MustPerMinute(6000)},
		{ratelimit.MustPer(100, time.Second, 1600)},
		{ratelimit.MustPerMinute(6000), ratelimit.MustPer(100, time.Second, 1600)},
		{ratelimit.MustPerMinute(6000), ratelimit.MustPerMinute(70_000), ratelimit.MustPer(100, time.Second, 3000)},
	}
	run := func(seed int, how broken) int64 {
		random := rand.New(rand.NewPCG(uint64(seed), 2))
		s := newStage(t, how, 1+random.IntN(3))
		for _, a := range s.nodes {
			a.clock.speed = 1/1.19 + random.Float64()/5
		}
		s.improvise(random, sets[random.IntN(len(sets))])
		return excess(s.paid)
	}
	count := max(*histories, 500)
	if testing.Short() {
		count = 30
	}
	near := 0
	for seed := range count {
		if over := run(seed, broken{}); over > 0 {
			t.Errorf("schedule %d exceeds a limit by %v", seed, time.Duration(over))
		} else if over > -2*leaseTerm {
			near++
		}
	}
	t.Logf("%d of %d schedules came near the limit", near, count)
	if near < count/4 {
		t.Error("the schedules are dull")
	}
	for _, how := range []broken{{fullWindow: true}, {monotonic: true}, {anyWindow: true}, {slow: true}} {
		seed := 0
		for run(seed, how) <= 0 {
			if seed++; seed == 5000 {
				t.Fatalf("%+v exceeds no limit in %d schedules", how, seed)
			}
		}
		t.Logf("%+v exceeds a limit in schedule %d", how, seed)
	}
}
