package ratelimit_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

var histories = flag.Int("histories", 0, "the number of random histories of TestHistories; 0 for a few")

// A history is a few seconds of several nodes over one exact store, on the clock of
// a synctest bubble. Clients come and go, asks and answers are lost or late, and
// nodes crash, hang, sleep and have clocks of different speed.
type history struct {
	how    broken
	begin  time.Time
	end    int64
	beats  []int64 // moments at which clients come together
	calm   bool    // until the first of them, little is spent
	limits []ratelimit.Limit
	nodes  []*node

	mu     sync.Mutex
	random *rand.Rand
	bucket exactBucket
	paid   []payment
	direct bool   // something was taken that can exceed a limit by leaseTerm
	wrong  string // what a node said that was not true

	requests, trips, refused int
}

// A call is one request, as the store sees it.
type call struct {
	asked bool
	at    int64 // when the store admitted it, 0 if it did not
}

type callKey struct{}

var errLost = fmt.Errorf("lost")

// origin is where the time of a history begins.
const origin = int64(1e15)

func (h *history) now() int64 { return origin + int64(time.Since(h.begin)) }

// roll returns a random number from 0 to n-1.
func (h *history) roll(n int) int { return int(h.upTo(time.Duration(n) - 1)) }

// upTo returns a random duration up to d.
func (h *history) upTo(d time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Duration(h.random.Int64N(int64(d) + 1))
}

// play plays a random history and returns it.
func play(seed uint64, how broken) *history {
	h := &history{how: how, begin: time.Now(), random: rand.New(rand.NewPCG(seed, 1))}
	h.end = origin + int64(2*time.Second+h.upTo(4*time.Second))
	h.beats = []int64{origin + int64(1700*time.Millisecond+h.upTo(200*time.Millisecond))}
	for at := h.beats[0]; at < h.end; at += int64(h.upTo(2 * time.Second)) {
		h.beats = append(h.beats, at)
	}
	h.limits = someLimits(h.roll(6))
	if h.calm = h.roll(2) == 0; !h.calm {
		h.fill()
	}
	var clients sync.WaitGroup
	for range 2 + h.roll(3) {
		n := h.newNode()
		clients.Go(n.crash)
		for range 1 + h.roll(3) {
			clients.Go(n.client)
		}
	}
	clients.Wait()
	return h
}

// someLimits returns limits that share the bucket.
func someLimits(i int) []ratelimit.Limit {
	return [][]ratelimit.Limit{
		{ratelimit.MustPer(100, time.Second, 1600)},
		{ratelimit.MustPerMinute(6000)},
		{ratelimit.MustPerMinute(700_000), ratelimit.MustPerMinute(6000), ratelimit.MustPerMinute(70)},
		{ratelimit.MustPer(100, time.Second, 1600), ratelimit.MustPerMinute(6000)},
		{ratelimit.MustPer(10_000, time.Hour, 10_000)},
		{ratelimit.MustPer(10, time.Second, 20), ratelimit.MustPer(200, time.Second, 4000), ratelimit.MustPerMinute(600)},
	}[i]
}

// fill makes the bucket about as empty as makes a good history.
func (h *history) fill() {
	for _, l := range h.limits {
		window, cost := int64(l.Window())-leaseTerm, int64(0)
		switch h.roll(4) {
		case 0:
			cost = int64(h.upTo(time.Duration(window)))
		default:
			cost = window - int64(h.upTo(min(8*time.Second, time.Duration(window))))
		}
		cost -= cost % int64(l.Interval())
		if _, ok := h.bucket.take(origin, cost, window, int64(l.Horizon())); ok && cost > 0 {
			h.paid = append(h.paid, payment{origin, cost, int64(l.Window())})
		}
	}
}

// pause waits on the clock of the bubble. It reports false if the context ends.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// ask is the store as the node sees it.
func (n *node) ask(ctx context.Context, life int, l ratelimit.Limit, count int) (ratelimit.Decision, error) {
	c := ctx.Value(callKey{}).(*call)
	c.asked, c.at = true, 0
	sent := n.now()
	if !pause(ctx, n.upTo(10*time.Millisecond)) {
		return ratelimit.Decision{}, ctx.Err()
	}
	if n.roll(30) == 0 {
		return ratelimit.Decision{}, errLost
	}
	n.mu.Lock()
	at := n.now()
	d := n.bucket.takeUnder(l, at, count, &n.how)
	n.trips++
	n.mu.Unlock()

	late := n.upTo(10 * time.Millisecond)
	switch n.roll(30) {
	case 0:
		return ratelimit.Decision{}, errLost
	case 1, 2:
		late = n.upTo(1500 * time.Millisecond)
	}
	if !pause(ctx, late) {
		return ratelimit.Decision{}, ctx.Err()
	}
	n.awake()
	n.mu.Lock()
	if n.life == life && l.Window() < time.Duration(l.Burst())*l.Interval() {
		n.asked, n.ahead, n.known = sent, int64(d.ResetAfter), true
	}
	n.mu.Unlock()
	if d.Allowed {
		c.at = at
	}
	return d, nil
}

// client makes requests until the end.
func (n *node) client() {
	limit := n.limits[n.roll(len(n.limits))]
	for n.now() < n.end {
		what := n.roll(8)
		if n.calm && n.now() < n.beats[0] {
			what = 4 + n.roll(2)
		}
		switch what {
		case 0:
			for range n.roll(10) {
				n.request(limit, 1)
				time.Sleep(n.upTo(40 * time.Millisecond)) // on the test's own clock
			}
		case 1:
			for i := 0; i < 30 && n.request(limit, 1); i++ {
			}
		case 2:
			n.request(limit, 1+n.roll(max(1, limit.Burst()/(1+n.roll(20)))))
		case 3:
			time.Sleep(n.upTo(800 * time.Millisecond)) // on the test's own clock
		case 4:
			n.meet(0)
			n.spree(limit)
		case 5:
			// Takes as much as can be taken in advance, and spends it late.
			n.meet(1620 * time.Millisecond)
			n.request(limit, 1+n.roll(max(1, int(1500*time.Millisecond/limit.Interval()))))
			time.Sleep(800 * time.Millisecond) // on the test's own clock
			n.request(limit, 1)
			if n.roll(3) == 0 {
				time.Sleep(n.upTo(1500 * time.Millisecond)) // on the test's own clock
			}
			n.meet(0)
			for i := 0; i < 50 && n.request(limit, max(1, limit.Burst()/1000)); i++ {
			}
		case 6:
			n.request(limit, 1)
			time.Sleep(n.upTo(5 * time.Millisecond)) // on the test's own clock
		case 7:
			limit = n.limits[n.roll(len(n.limits))]
		}
		time.Sleep(time.Nanosecond) // on the test's own clock
	}
}

// meet waits until some time before clients come together.
func (n *node) meet(before time.Duration) {
	for _, at := range n.beats {
		if at -= int64(before); at > n.now() {
			time.Sleep(time.Duration(at - n.now())) // on the test's own clock
			return
		}
	}
}

// spree takes as much as it gets, in large pieces first.
func (n *node) spree(l ratelimit.Limit) {
	for cost := min(1024, l.Burst()/2); cost > 0; cost /= 2 {
		for i := 0; i < 20 && n.request(l, cost); i++ {
		}
	}
}

// request makes one request, and reports whether it was admitted.
func (n *node) request(l ratelimit.Limit, count int) bool {
	n.awake()
	n.mu.Lock()
	life, leases := n.life, n.leases
	n.mu.Unlock()
	c := new(call)
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), callKey{}, c), time.Duration(1+n.roll(20))*100*time.Millisecond)
	defer cancel()
	d, err := leases.Take(ctx, ratelimit.Bucket{Space: "org", Name: "acme"}, l, time.Now(), count)
	at := n.now()
	mono, wall := n.read()

	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests++
	if err != nil || n.life != life {
		return false // the process is not there any more
	}
	if c.asked {
		n.how.after(leases, &n.newest, mono, wall, d.Allowed)
	}
	cost, window := int64(count)*int64(l.Interval()), int64(l.Window())
	short := min(window, int64(time.Minute)) // as leases count it
	if window > int64(61*time.Second) {
		short = window
	}
	short -= leaseTerm
	if d.Allowed {
		if c.at > 0 && (window < int64(16*time.Second) || at > c.at+leaseTerm) {
			at = c.at // its own call asked the store
		}
		n.paid = append(n.paid, payment{at, cost, window})
		n.direct = n.direct || window >= int64(16*time.Second) && cost > short
		return true
	}
	n.refused++
	if c.asked || window < int64(16*time.Second) {
		return false
	}
	// What was remembered may be wrong by as much as the node's clock is slow.
	slow := int64(0)
	if n.clock.speed < 1 {
		slow = leaseTerm/5 + 1
	}
	empty := max(n.bucket.tat-at, 0)+cost > short-slow
	paused := n.known && short-n.ahead < leaseTerm && at-n.asked <= leaseTerm/3+slow
	if !empty && !paused {
		n.wrong = fmt.Sprintf("a request of %v was refused without a trip, and the bucket holds %v", time.Duration(cost), time.Duration(short-max(n.bucket.tat-at, 0)))
	}
	return false
}

// over returns by how much a limit was exceeded that should not have been.
func (h *history) over() time.Duration {
	over := excess(h.paid)
	if h.direct {
		over -= leaseTerm
	}
	return time.Duration(over)
}

// TestHistories plays random histories. None may exceed a limit, and no request may
// be refused from memory that the store would have admitted.
func TestHistories(t *testing.T) {
	t.Parallel()
	count := *histories
	if count == 0 {
		count = 600
		if testing.Short() {
			count = 60
		}
	}
	var requests, trips, refused, near int
	for seed := range count {
		synctest.Test(t, func(t *testing.T) {
			h := play(uint64(seed), broken{})
			if over := h.over(); over > 0 || h.wrong != "" {
				t.Fatalf("history %d: a limit was exceeded by %v; %s", seed, over, h.wrong)
			} else if over > -2*time.Second {
				near++
			}
			requests, trips, refused = requests+h.requests, trips+h.trips, refused+h.refused
		})
	}
	t.Logf("%d histories: %d requests, %d trips, %d refused; %d histories came near the limit", count, requests, trips, refused, near)
	if near < count/4 || refused < requests/20 || trips > requests {
		t.Error("the histories are dull")
	}
}

// TestBrokenHistories plays histories in which a rule is broken whose breach exceeds
// no limit. It is found all the same: a request is refused that could be admitted.
func TestBrokenHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		wrong := ""
		synctest.Test(t, func(t *testing.T) { wrong = play(seed, broken{anyCost: true}).wrong })
		if wrong != "" {
			t.Logf("history %d: %s", seed, wrong)
			return
		}
	}
	t.Error("that a refusal is remembered for cheaper requests is not noticed")
}
