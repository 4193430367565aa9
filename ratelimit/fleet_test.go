package ratelimit_test

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// leaseTerm is how long quota may be spent after a store gave it out.
const leaseTerm = int64(time.Second)

// A payment is a request that was admitted.
type payment struct {
	at     int64 // the moment as of which it counts
	cost   int64 // nanoseconds of bucket time
	window int64 // of its limit, in full
}

// excess returns by how much the payments are above what a bucket may admit, over
// the worst of all spans of time: their sum, less the window and less the span. It
// looks at each window in turn, and at the payments under limits whose window is not
// longer. The result is not above 0 if no limit was exceeded.
func excess(all []payment) int64 {
	slices.SortStableFunc(all, func(a, b payment) int { return cmp.Compare(a.at, b.at) })
	var windows []int64
	for _, p := range all {
		if !slices.Contains(windows, p.window) {
			windows = append(windows, p.window)
		}
	}
	worst := -leaseTerm * 1e6
	for _, window := range windows {
		paid, low := int64(0), int64(0)
		for i, p := range all {
			if p.window > window {
				continue
			}
			if i == 0 || paid-p.at < low || paid == 0 {
				low = paid - p.at // what was paid until here, less the time
			}
			paid += p.cost
			worst = max(worst, paid-p.at-low-window)
		}
	}
	return worst
}

// An exactBucket is the bucket of an exact store, with arithmetic of its own.
type exactBucket struct{ tat int64 }

// take takes a request, and returns how far ahead the bucket is afterwards.
func (b *exactBucket) take(now, cost, window, horizon int64) (ahead int64, allowed bool) {
	ahead = max(b.tat-now, 0)
	if ahead > horizon {
		ahead = window
	}
	if allowed = ahead+cost <= window; allowed {
		ahead += cost
	}
	b.tat = now + ahead
	return ahead, allowed
}

// takeUnder is take for a limit.
func (b *exactBucket) takeUnder(l ratelimit.Limit, now int64, n int, how *broken) ratelimit.Decision {
	window, horizon := int64(l.Window()), int64(l.Horizon())
	if how.shortHorizon {
		horizon = max(window, int64(61*time.Second))
	}
	if how.fullWindow {
		window = int64(l.Burst()) * int64(l.Interval())
	}
	ahead, allowed := b.take(now, int64(n)*int64(l.Interval()), window, horizon)
	if how.fullWindow {
		ahead = min(ahead, int64(l.Window())) // or Leases would notice
	}
	return ratelimit.Decision{Allowed: allowed, Limit: l, ResetAfter: time.Duration(ahead)}
}

// A broken says which rule of the protocol a fleet breaks. The zero broken breaks
// none.
type broken struct {
	fullWindow   bool // the window is not shortened
	shortHorizon bool // the horizon is shortened with the window
	fromAnswer   bool // the age of a lease counts from the answer
	monotonic    bool // the wall clock is not looked at
	anyWindow    bool // a lease pays for requests under limits with shorter windows
	anyCost      bool // a refusal is remembered for cheaper requests
	renewed      bool // what is left of a lease gets the age of the next one
	slow         bool // clocks may run at half the speed
}

// after breaks what a node keeps after a trip. The clocks show mono and wall.
func (how *broken) after(l *ratelimit.Leases, newest *int64, mono, wall int64, allowed bool) {
	if !how.fromAnswer && !how.anyWindow && !how.anyCost && !how.renewed {
		return
	}
	l.Edit(func(leases *[2]ratelimit.LeaseView, ahead *int64) {
		for i := range leases {
			p := &leases[i]
			fresh := p.Left > 0 && p.Mono > *newest
			if how.renewed || how.fromAnswer && fresh {
				p.Mono, p.Wall = mono, wall
				*newest = mono
			}
			if how.anyWindow {
				p.Window = 0
			}
		}
		if how.anyCost && !allowed {
			*ahead = int64(400 * 24 * time.Hour)
		}
	})
}

// A nodeClock is the clocks of one machine.
type nodeClock struct {
	mu     sync.Mutex
	speed  float64 // 1 if the clocks are right
	slept  int64   // for how long the machine has slept in all
	offset int64   // by which the wall clock was set
}

// read returns what the clocks show at a moment.
func (c *nodeClock) read(at int64, how *broken) (mono, wall int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	speed := c.speed
	if how.slow {
		speed = 0.5
	}
	mono = int64(speed * float64(at-c.slept))
	wall = int64(speed*float64(at)) + c.offset
	if how.monotonic {
		wall = mono
	}
	return mono, wall
}
