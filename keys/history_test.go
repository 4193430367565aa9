package keys_test

import (
	"context"
	"flag"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

var (
	histories = flag.Int("histories", 0, "the number of random histories of TestHistories; 0 for a few")
	from      = flag.Int("from", 0, "the number of the first history")
	onePlot   = flag.Int("plot", -1, "the plot of all histories; -1 for all plots")
)

// A history is some seconds of several nodes over one world. Credentials are
// checked, and changed in every way, while messages are late or lost and nodes
// crash, hang, sleep and have clocks of different speed. A check that starts after
// a call of a manager has returned must see what that call wrote or read.
type history struct {
	*world
	plot    plot
	span    time.Duration // the longest lease
	end     time.Duration
	timeout time.Duration // of calls of the store
	nodes   []*node
	calm    atomic.Bool // nothing goes wrong
	work    sync.WaitGroup

	creds  []credential
	later  map[string]keys.Record // by ID, those that are not there yet
	tokens map[string]keys.Record // by ID, as they were made
	extra  atomic.Int64           // how many changes may still be made beside those of write

	checks, changes, hits atomic.Int64
}

// A plot is what a history is about.
type plot int

const (
	anything plot = iota
	cold          // caches start when somebody makes a change
	restarts      // caches stop and start while a change is made
	idle          // caches look for those that are no more, which takes minutes
)

// A credential is what checks present.
type credential struct{ id, parent, text string }

// play plays a random history and returns it.
func play(t *testing.T, seed uint64, how server) *history {
	h := &history{world: newWorld(seed, how), later: make(map[string]keys.Record), tokens: make(map[string]keys.Record)}
	h.plot = []plot{anything, anything, anything, anything, anything, anything, cold, cold, restarts, restarts}[h.roll(10)]
	if h.roll(20) == 0 {
		h.plot = idle
	}
	if *onePlot >= 0 {
		h.plot = plot(*onePlot)
	}
	h.setTheScene()
	h.populate(t)
	h.calm.Store(true)
	for _, n := range h.nodes {
		if h.plot == idle {
			time.Sleep(h.upTo(time.Second)) // on the test's own clock
		}
		n.launch()
	}
	h.calm.Store(false)
	for _, n := range h.nodes {
		h.work.Go(n.live)
		h.work.Go(n.check)
	}
	h.work.Go(h.write)
	h.work.Go(h.serve)
	h.work.Wait()
	h.rest()
	return h
}

// setTheScene makes nodes.
func (h *history) setTheScene() {
	leases := []time.Duration{keys.MinLease, 100 * time.Millisecond, 300 * time.Millisecond, time.Second, keys.MaxLease}
	for i := range 2 + h.roll(2) {
		n := &node{history: h, slow: 1, fast: 1, lease: leases[h.roll(len(leases))]}
		switch {
		case h.plot == idle:
			n.lease = leases[min(2+i, 4)]
		case h.plot == restarts && i == 0:
			n.lease = leases[2+h.roll(3)]
		case h.plot == restarts:
			n.lease = 0
		case i > 0 && h.roll(3) == 0:
			n.lease = 0
		}
		h.span = max(h.span, n.lease)
		h.nodes = append(h.nodes, n)
	}
	delay := h.span / time.Duration([]int{500, 50, 10, 3}[h.roll(4)])
	drift := h.roll(2) == 0
	for _, n := range h.nodes {
		if n.delay = delay; drift {
			n.slow, n.fast = 1-0.075*float64(h.roll(100))/99, 1+0.10*float64(h.roll(100))/99
		}
	}
	h.timeout = h.span/10 + h.upTo(2*h.span)
	h.extra.Store(20)
	if h.end = time.Duration(6+h.roll(10)) * h.span; h.plot == idle {
		h.end = 135 * time.Second
	}
}

func (h *history) going() bool { return h.now() < h.end }

// resting reports whether nothing happens for a while, but for polls, until it is
// time for caches to look for those that are no more.
func (h *history) resting() bool {
	now := h.now()
	return h.plot == idle && (now < 58*time.Second || now > 70*time.Second && now < 118*time.Second)
}

// populate makes credentials.
func (h *history) populate(t *testing.T) {
	maker, err := keys.NewManager(new(store.Memory), &keys.Options{Format: partner})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	add := func(issued keys.Issued, err error) keys.Record {
		if err != nil {
			t.Fatal(err)
		}
		if issued.Record.Kind != keys.KindClient {
			h.creds = append(h.creds, credential{issued.Record.ID, issued.Record.Parent, issued.Text.Reveal()})
		}
		return issued.Record
	}
	put := func(r keys.Record) {
		if err := h.insert(ctx, r); err != nil {
			t.Fatal(err)
		}
		h.everywhere(trail{r.ID: 1})
	}
	for i := range 4 {
		r := add(maker.Create(ctx, "acme", keys.Spec{}))
		if i < 2 {
			put(r)
		} else {
			h.later[r.ID] = r
		}
	}
	client := add(maker.Create(ctx, "acme", keys.Spec{Kind: keys.KindClient}))
	put(client)
	for i := range 2 {
		r := add(maker.IssueToken(ctx, client, scopes.Set{}, time.Hour))
		h.tokens[r.ID] = r
		if i > 0 {
			r.ExpiresAt = r.CreatedAt.Add(time.Millisecond) // and is swept
		}
		put(r)
	}
	if h.roll(2) == 0 {
		i := h.roll(len(h.creds))
		h.creds = h.creds[i : i+1] // all come for one
	}
}

// some returns a random credential.
func (h *history) some() credential { return h.creds[h.roll(len(h.creds))] }

// check checks credentials on a node until the end.
func (n *node) check() {
	for n.going() {
		if n.resting() {
			time.Sleep(time.Second) // on the test's own clock
			continue
		}
		n.checkOne(n.some())
		time.Sleep(n.upTo(n.span / 3)) // on the test's own clock
	}
}

func (n *node) checkOne(c credential) {
	n.linger()
	p := n.proc.Load()
	s := n.look(c.id, c.parent)
	ctx, cancel := context.WithTimeout(context.Background(), n.span/4+n.upTo(4*n.span))
	defer cancel()
	principal, err := p.manager.Verifier().VerifyAt(ctx, c.text, s.at)
	if !p.dead.Load() {
		n.judge(s, principal.Label, err)
	}
	n.checks.Add(1)
}

// write changes credentials until the end.
func (h *history) write() {
	for h.going() {
		time.Sleep(h.upTo(h.span)) // on the test's own clock
		if h.plot == idle {
			continue
		}
		if h.roll(2) == 0 {
			h.isolate()
		}
		h.change(h.some(), h.nodes[h.roll(len(h.nodes))])
	}
}

// isolate cuts nodes off, or stops them, for about a lease.
func (h *history) isolate() {
	for _, n := range h.nodes {
		switch h.roll(4) {
		case 0:
			n.sever(h.span/2 + h.upTo(h.span))
		case 1, 2:
			n.freeze(h.span/2+h.upTo(3*h.span), h.roll(2) == 0)
		}
	}
}

// spawn does something beside all else, if there is time.
func (h *history) spawn(do func()) {
	if h.now() < h.end-h.span && h.extra.Add(-1) >= 0 {
		h.work.Go(do)
	}
}

// serve lets the server and the clocks do what they do now and then.
func (h *history) serve() {
	for h.going() {
		time.Sleep(h.upTo(4 * h.span)) // on the test's own clock
		if h.resting() {
			h.jump(11 * time.Minute)
			continue
		}
		switch h.roll(10) {
		case 0, 1, 2, 3:
			h.trim(h.roll(4))
		case 4:
			h.crash()
		case 5:
			h.fail()
		case 6:
			h.nodes[h.roll(len(h.nodes))].setWall(time.Duration(h.roll(3)-1) * h.upTo(time.Hour))
		default:
			for _, n := range h.nodes {
				n.proc.Load().run()
			}
		}
	}
}

// rest waits until all is well again, and checks every credential on every node: by
// then each node must see what is in the store.
func (h *history) rest() {
	h.calm.Store(true)
	for _, n := range h.nodes {
		n.proc.Load().run()
	}
	time.Sleep(6 * h.span) // on the test's own clock
	h.mu.Lock()
	for id, s := range h.states {
		h.need[id] = len(s) - 1
	}
	h.mu.Unlock()
	for _, n := range h.nodes {
		for _, c := range h.creds {
			for range 2 {
				n.checkOne(c)
			}
		}
		p := n.proc.Load()
		p.close()
		if p.cache != nil {
			h.hits.Add(int64(p.cache.Stats().Hits))
		}
	}
}

// TestHistories plays random histories. In none of them does a check see what was
// over when it started, and in the end every node sees what is in the store.
func TestHistories(t *testing.T) {
	t.Parallel()
	count := *histories
	if count == 0 {
		count = 200
		if testing.Short() {
			count = 40
		}
	}
	var checks, changes, hits int64
	for seed := range count {
		synctest.Test(t, func(t *testing.T) {
			h := play(t, uint64(*from+seed), server{})
			if h.wrong != "" {
				t.Fatalf("history %d: %s", *from+seed, h.wrong)
			}
			checks, changes, hits = checks+h.checks.Load(), changes+h.changes.Load(), hits+h.hits.Load()
		})
	}
	t.Logf("%d histories: %d checks, %d from the caches, %d changes", count, checks, hits, changes)
	if *onePlot < 0 && changes < 3*int64(count) || hits < checks/20 {
		t.Error("the histories are dull")
	}
}
