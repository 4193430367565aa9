package keys_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A node is one machine of a history, and the process on it.
type node struct {
	*history
	lease time.Duration // 0: the process has no cache
	slow  float64       // the speed of the clocks, at most 1
	fast  float64       // the speed of the timer of Settle, at least 1
	delay time.Duration // that messages take at most
	proc  atomic.Pointer[process]

	mu    sync.Mutex
	still []stillness
	cut   time.Duration // until when no message comes through
	wall  int64         // by which the wall clock was set
}

// A stillness is a time in which nothing runs on a node.
type stillness struct {
	from, to time.Duration
	sleep    bool // the machine sleeps, and its monotonic clock stands still
}

// A process is what runs on a node between two crashes.
type process struct {
	*node
	dead    atomic.Bool
	cache   *keys.Cache // nil if it has none
	manager *keys.Manager

	power chan struct{} // whoever starts and stops the cache puts something in, and takes it out
	stop  func()        // stops the cache; nil if it does not run
}

// launch starts a process.
func (n *node) launch() {
	p := &process{node: n, power: make(chan struct{}, 1)}
	var s keys.Store = p
	if n.lease > 0 {
		var err error
		p.cache, err = keys.NewCacheBy(p, &keys.CacheOptions{Lease: n.lease, Timeout: n.timeout}, n.read)
		if err != nil {
			panic(err)
		}
		s = p.cache
	}
	var err error
	if p.manager, err = keys.NewManager(s, &keys.Options{Format: partner, Timeout: n.timeout}); err != nil {
		panic(err)
	}
	n.proc.Store(p)
	if n.plot != cold {
		p.run()
	}
}

// run runs the cache, unless it runs.
func (p *process) run() {
	p.power <- struct{}{}
	defer func() { <-p.power }()
	if p.cache == nil || p.stop != nil || p.dead.Load() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.cache.Run(ctx) // that an announcement could not be taken back does no harm
	}()
	p.stop = func() { cancel(); <-done }
}

// close stops the cache, and returns when it has stopped.
func (p *process) close() {
	p.power <- struct{}{}
	defer func() { <-p.power }()
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// live lets processes crash, stop and start until the end.
func (n *node) live() {
	for n.going() {
		time.Sleep(n.upTo(20 * n.span)) // on the test's own clock
		p := n.proc.Load()
		switch what := n.roll(3); {
		case n.resting():
		case what == 0:
			p.dead.Store(true)
			p.close()
			n.launch()
		case what == 1:
			p.close()
			if n.roll(2) == 0 {
				time.Sleep(n.upTo(n.span)) // on the test's own clock
			}
			if n.plot != cold {
				p.run()
			}
		}
	}
}

// read reads the clocks of a node. A goroutine may have to wait before and after.
func (n *node) read() (mono, wall int64) {
	n.linger()
	at := n.now()
	n.mu.Lock()
	slept := time.Duration(0)
	for _, s := range n.still {
		if s.sleep && at > s.from {
			slept += min(at, s.to) - s.from
		}
	}
	mono, wall = int64(n.slow*float64(at-slept)), int64(n.slow*float64(at))+n.wall
	n.mu.Unlock()
	n.linger()
	return mono, wall
}

// linger waits while the node is still, and now and then for no reason.
func (n *node) linger() {
	if !n.calm.Load() && n.roll(100) == 0 {
		time.Sleep(n.upTo(2 * n.span)) // on the test's own clock
	}
	for {
		n.mu.Lock()
		wait := time.Duration(0)
		for _, s := range n.still {
			if at := n.now(); at >= s.from && at < s.to {
				wait = max(wait, s.to-at)
			}
		}
		n.mu.Unlock()
		if wait == 0 {
			return
		}
		time.Sleep(wait) // on the test's own clock
	}
}

// freeze lets the node stand still from now on.
func (n *node) freeze(d time.Duration, sleep bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.now()
	if len(n.still) > 0 && n.still[len(n.still)-1].to > at || n.wall != 0 && sleep {
		return
	}
	n.still = append(n.still, stillness{at, at + d, sleep})
}

// setWall sets the wall clock of a node that never sleeps.
func (n *node) setWall(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.still {
		if s.sleep {
			return
		}
	}
	n.wall += int64(d)
}

// sever lets no message of the node through for a time.
func (n *node) sever(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = max(n.cut, n.now()+d)
}

// travel is the way of a message. The error says that it is lost.
func (p *process) travel(ctx context.Context, delay time.Duration) error {
	p.linger()
	if p.dead.Load() {
		return errLost
	}
	p.mu.Lock()
	wait := p.cut - p.now()
	p.mu.Unlock()
	if p.calm.Load() {
		delay = min(delay, time.Millisecond)
	} else {
		if wait > 0 {
			sleepUntil(ctx, p.upTo(3*p.span))
			return errLost
		}
		if p.roll(40) == 0 {
			return errLost
		}
	}
	return sleepUntil(ctx, p.upTo(delay))
}

// sleepUntil waits for a time, or until ctx ends.
func sleepUntil(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call calls the server: do is carried out there.
func (p *process) call(ctx context.Context, op, id string, do func() error) error {
	if err := p.travel(ctx, p.delay); err != nil {
		return err
	}
	err := do()
	delay := max(p.delay, p.disturb(op, id, p))
	if lost := p.travel(ctx, delay); lost != nil {
		return lost
	}
	p.linger()
	if p.dead.Load() {
		return errLost
	}
	return err
}

// A process is the store of its manager and its cache.

func (p *process) Insert(ctx context.Context, r keys.Record) error {
	return p.call(ctx, "insert", r.ID, func() error { return p.insert(ctx, r) })
}

func (p *process) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	err = p.call(ctx, "get", id, func() error {
		rec, parent, err = p.get(ctx, id)
		return err
	})
	return rec, parent, err
}

// A transaction is one of the host's: what is written in it is committed later.
type transaction struct {
	seq, epoch int
	writes     []keys.Record
}

type transactionKey struct{}

func (p *process) Update(ctx context.Context, r keys.Record) error {
	return p.call(ctx, "update", r.ID, func() error {
		if tx, ok := ctx.Value(transactionKey{}).(*transaction); ok {
			tx.writes = append(tx.writes, r)
			return nil
		}
		seq, epoch := p.start()
		time.Sleep(p.upTo(p.delay)) // on the test's own clock
		return p.commit(ctx, r, seq, epoch)
	})
}

func (p *process) List(ctx context.Context, q keys.Query) (page []keys.Record, err error) {
	err = p.call(ctx, "list", "", func() error {
		page, err = p.list(ctx, q)
		return err
	})
	return page, err
}

func (p *process) Sweep(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = p.call(ctx, "sweep", "", func() error {
		n, err = p.sweep(ctx, before, limit)
		return err
	})
	return n, err
}

func (p *process) Announce(ctx context.Context, id string, lease time.Duration) error {
	return p.call(ctx, "announce", "", func() error { return p.announce(id, lease) })
}

func (p *process) Withdraw(ctx context.Context, ids ...string) error {
	return p.call(ctx, "withdraw", "", func() error { p.withdraw(ids); return nil })
}

func (p *process) MarkIdle(ctx context.Context, idle time.Duration) (ids []string, err error) {
	err = p.call(ctx, "mark", "", func() error { ids = p.markIdle(idle); return nil })
	return ids, err
}

func (p *process) Poll(ctx context.Context, id string, after keys.Position) (c keys.Changes, err error) {
	err = p.call(ctx, "poll", "", func() (err error) {
		c, err = p.poll(id, after)
		return err
	})
	return c, err
}

// LongestLease returns a shorter lease to a node whose clock is fast, so that the node
// waits for a shorter time.
func (p *process) LongestLease(ctx context.Context) (lease time.Duration, err error) {
	err = p.call(ctx, "lease", "", func() error {
		if tx, ok := ctx.Value(transactionKey{}).(*transaction); ok && len(tx.writes) > 0 {
			return keys.ErrUncommitted
		}
		lease = time.Duration(float64(p.longestLease()) / p.fast)
		return nil
	})
	return lease, err
}
