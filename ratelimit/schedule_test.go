package ratelimit_test

import (
	"context"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A stage runs one schedule of several nodes over one exact store, a step at a time,
// by a clock that the schedule moves.
type stage struct {
	t      *testing.T
	how    broken
	now    int64
	bucket exactBucket
	paid   []payment
	nodes  []*actor
}

// An actor is a node on a stage.
type actor struct {
	*stage
	leases *ratelimit.Leases // nil: a process without leases
	clock  nodeClock
	answer time.Duration // after which the store's answers come
	newest int64         // see broken.after
	trips  int
}

func newStage(t *testing.T, how broken, nodes int) *stage {
	s := &stage{t: t, how: how, now: 1e15}
	for range nodes {
		a := &actor{stage: s, clock: nodeClock{speed: 1}}
		var err error
		a.leases, err = ratelimit.NewLeasesBy(storeFunc(a.ask), nil, func() (mono, wall int64) { return a.clock.read(s.now, &s.how) })
		if err != nil {
			t.Fatal(err)
		}
		s.nodes = append(s.nodes, a)
	}
	return s
}

// ask is the store as the node sees it.
func (a *actor) ask(_ context.Context, _ ratelimit.Bucket, l ratelimit.Limit, _ time.Time, n int) (ratelimit.Decision, error) {
	d := a.bucket.takeUnder(l, a.now, n, &a.how)
	a.wait(a.answer)
	a.trips++
	return d, nil
}

func (s *stage) wait(d time.Duration) { s.now += int64(d) }

// take makes one request.
func (a *actor) take(l ratelimit.Limit, n int) bool {
	a.t.Helper()
	before := a.trips
	var d ratelimit.Decision
	var err error
	b := ratelimit.Bucket{Space: "org", Name: "acme"}
	if a.leases == nil {
		d, err = a.ask(a.t.Context(), b, l, time.Time{}, n)
	} else {
		d, err = a.leases.Take(a.t.Context(), b, l, time.Time{}, n)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	if a.leases != nil && a.trips > before {
		mono, wall := a.clock.read(a.now, &a.how)
		a.how.after(a.leases, &a.newest, mono, wall, d.Allowed)
	}
	if d.Allowed {
		a.paid = append(a.paid, payment{a.now, int64(n) * int64(l.Interval()), int64(l.Window())})
	}
	return d.Allowed
}

// drain takes one by one until it is refused, or for long enough.
func (a *actor) drain(l ratelimit.Limit) {
	for i := 0; i < 1000 && a.take(l, 1); i++ {
	}
}

// empty takes all that is left in the bucket, as many other nodes together would,
// and spends it at once.
func (s *stage) empty(l ratelimit.Limit) {
	window := int64(l.Window())
	if !s.how.fullWindow {
		window -= leaseTerm
	}
	cost := window - max(s.bucket.tat-s.now, 0)
	if cost -= cost % int64(l.Interval()); cost <= 0 {
		return
	}
	if _, allowed := s.bucket.take(s.now, cost, window, int64(l.Horizon())); !allowed {
		s.t.Fatal("the bucket does not give what it has")
	}
	s.paid = append(s.paid, payment{s.now, cost, int64(l.Window())})
}

// hoard makes the node take about d more than it spends. It spends d, and
// 800 milliseconds later it takes as much again, for one request.
func (a *actor) hoard(l ratelimit.Limit, d time.Duration) {
	a.t.Helper()
	trips := a.trips
	spent := a.take(l, int(d/l.Interval()))
	a.wait(800*time.Millisecond - a.answer)
	if !spent || !a.take(l, 1) || a.trips != trips+2 {
		a.t.Fatal("the node could not hoard")
	}
}

// TestSchedules plays schedules in which quota that was taken in advance is spent as
// late as possible, at once, together with all that the store has then. The protocol
// exceeds no limit. Each broken version does.
func TestSchedules(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	minute := ratelimit.MustPerMinute(6000)
	short := ratelimit.MustPer(100, time.Second, 1600) // 16 seconds
	half := ratelimit.MustPer(100, time.Second, 3000)  // 30 seconds
	hour := ratelimit.MustPer(10_000, time.Hour, 10_000)

	// spend has node 0 spend its leases late, while others empty the bucket.
	spend := func(s *stage, late time.Duration) {
		s.wait(late)
		s.empty(minute)
		s.nodes[0].drain(minute)
	}
	schedules := []struct {
		name   string
		broken broken // must exceed the limit
		play   func(s *stage)
		over   time.Duration // by which the limit may be exceeded all the same
	}{
		{"hoard and spend", broken{fullWindow: true}, func(s *stage) {
			s.nodes[0].hoard(minute, 1200*ms)
			spend(s, 833*ms)
		}, 0},
		{"late answer", broken{fromAnswer: true}, func(s *stage) {
			s.nodes[0].answer = 800 * ms
			s.nodes[0].hoard(minute, 1200*ms)
			s.nodes[0].answer = 0
			spend(s, 830*ms)
		}, 0},
		{"sleep", broken{monotonic: true}, func(s *stage) {
			s.nodes[0].hoard(minute, 1200*ms)
			s.nodes[0].clock.slept = int64(10 * time.Second)
			spend(s, 10*time.Second)
		}, 0},
		{"hoard under a longer window", broken{anyWindow: true}, func(s *stage) {
			for _, a := range s.nodes {
				a.take(minute, 800)
			}
			s.wait(800 * ms)
			for _, a := range s.nodes {
				a.take(minute, 1)
			}
			s.wait(800 * ms)
			s.empty(minute)
			for _, a := range s.nodes {
				a.drain(short)
			}
		}, 0},
		{"leftovers", broken{renewed: true}, func(s *stage) {
			a := s.nodes[0]
			a.hoard(minute, 1300*ms)
			// Requests under a limit with a shorter window go past the hoard. Each
			// costs more than what was spent lately, so that nothing is left of it.
			for i := range 8 {
				s.wait(830 * ms)
				a.take(half, 68+i)
			}
			spend(s, 830*ms)
		}, 0},
		{"a process without leases", broken{}, func(s *stage) {
			s.nodes[0].hoard(minute, 1200*ms)
			s.nodes[1].leases = nil
			spend(s, 833*ms)
			s.nodes[1].drain(minute)
		}, time.Second},
		{"a process without leases under a long window", broken{shortHorizon: true}, func(s *stage) {
			s.nodes[1].leases = nil
			for range 100 {
				s.wait(time.Second)
				s.nodes[1].take(hour, 10_000)
				s.nodes[1].drain(hour)
				s.nodes[0].take(hour, 1)
			}
		}, time.Second},
		{"slow clock", broken{}, func(s *stage) {
			s.nodes[0].clock.speed = 1 / 1.2
			s.nodes[0].hoard(minute, 1200*ms)
			spend(s, 999*ms)
		}, 0},
		{"clock at half the speed", broken{slow: true}, func(s *stage) {
			s.nodes[0].hoard(minute, 1200*ms)
			spend(s, 1600*ms)
		}, 0},
	}
	for _, tt := range schedules {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, broken{}, 3)
			tt.play(s)
			over := time.Duration(excess(s.paid))
			t.Logf("%d requests, %v over", len(s.paid), over)
			if over > tt.over {
				t.Errorf("the limit was exceeded by %v, want at most %v", over, tt.over)
			}
			if tt.broken == (broken{}) {
				// Such a schedule shows how much may be exceeded, or how near one comes.
				if over < tt.over-time.Second {
					t.Errorf("%v over, so the schedule proves nothing", over)
				}
				return
			}
			s = newStage(t, tt.broken, 3)
			tt.play(s)
			over = time.Duration(excess(s.paid))
			t.Logf("%d requests, %v over, with %+v", len(s.paid), over, tt.broken)
			if over <= tt.over {
				t.Errorf("with %+v the limit was exceeded by %v, and nobody would notice", tt.broken, over)
			}
		})
	}
}
