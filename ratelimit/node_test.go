package ratelimit_test

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A node is one process of a history, and the machine on which it runs.
type node struct {
	*history
	clock   nodeClock
	freezes []freeze

	// The mutex of the history guards these.
	life   int // how often the process was started anew
	leases *ratelimit.Leases
	newest int64 // see broken.after
	asked  int64 // when the last ask began that was answered
	ahead  int64 // how far the bucket was ahead then
	known  bool
}

// A freeze is a time in which nothing runs on a node.
type freeze struct {
	from, to int64
	sleep    bool // the machine sleeps, and its monotonic clock stands still
}

func (h *history) newNode() *node {
	n := &node{history: h, clock: nodeClock{speed: 1, offset: int64(h.upTo(time.Hour))}}
	if h.roll(2) == 0 {
		n.clock.speed = 0.84 + float64(h.roll(30))/100
	}
	for at := origin + int64(h.upTo(4*time.Second)); at < h.end && h.roll(2) == 0; {
		f := freeze{from: at, to: at + int64(h.upTo(2*time.Second)), sleep: h.roll(2) == 0}
		n.freezes = append(n.freezes, f)
		at = f.to + int64(h.upTo(2*time.Second))
	}
	n.start()
	h.nodes = append(h.nodes, n)
	return n
}

// start starts the process of a node anew.
func (n *node) start() {
	n.mu.Lock()
	life := n.life + 1
	n.mu.Unlock()
	ask := func(ctx context.Context, _ ratelimit.Bucket, l ratelimit.Limit, _ time.Time, count int) (ratelimit.Decision, error) {
		return n.ask(ctx, life, l, count)
	}
	l, err := ratelimit.NewLeasesBy(storeFunc(ask), nil, func() (mono, wall int64) {
		n.awake()
		return n.read()
	})
	if err != nil {
		panic(err)
	}
	n.mu.Lock()
	n.life = life
	n.leases, n.known, n.newest = l, false, 0
	n.mu.Unlock()
}

// read reads the clocks of a node.
func (n *node) read() (mono, wall int64) {
	at, slept := n.now(), int64(0)
	for _, f := range n.freezes {
		if f.sleep && at > f.from {
			slept += min(at, f.to) - f.from
		}
	}
	n.clock.mu.Lock()
	n.clock.slept = slept
	n.clock.mu.Unlock()
	return n.clock.read(at, &n.how)
}

// awake waits until the node is not frozen.
func (n *node) awake() {
	for _, f := range n.freezes {
		if at := n.now(); at >= f.from && at < f.to {
			time.Sleep(time.Duration(f.to - at)) // on the test's own clock
		}
	}
}

// crash starts the process anew now and then.
func (n *node) crash() {
	for n.roll(3) == 0 {
		time.Sleep(n.upTo(3 * time.Second)) // on the test's own clock
		n.start()
	}
}
