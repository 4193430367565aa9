package main

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// A fleet is three processes of the program over one store.
type fleet struct {
	t       *testing.T
	nodes   []*process
	manager *keys.Manager // of this process, which has no cache
	admin   string        // a key that may manage all
	server  *servers.Server
	limits  ratelimit.Store // of this process, over the store
	faulty  atomic.Bool     // something is made to fail, and requests may too
	base    time.Time
	others  sync.WaitGroup // calls for whose end whoever ends a credential does not wait

	// underWay gets a word for each credential that is about to end, if somebody
	// waits for that.
	underWay chan struct{}

	mu    sync.Mutex
	ended map[string]int // how many credentials were ended, by the way to end them
	over  []*subject     // those that were ended
}

// startFleet starts a fleet over a store. Its processes have caches and leases.
func startFleet(t *testing.T, dsn string) *fleet {
	t.Helper()
	s, err := openStores(t.Context(), config{store: dsn, limits: "store"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	f := &fleet{t: t, base: time.Now(), limits: s.limits, ended: make(map[string]int)}
	if f.manager, err = keys.NewManager(s.records, &keys.Options{Format: keyFormat, Catalog: catalog}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f.nodes = append(f.nodes, startProcess(t, "-store", dsn, "-limits", "leased", "-cache", "500ms"))
	}
	f.admin = f.key("acme", 1_000_000, catalog.Grantable().Names()...).Text.Reveal()
	return f
}

// key makes a key.
func (f *fleet) key(org string, limit int, names ...string) keys.Issued {
	for try := 0; ; try++ {
		issued, err := f.manager.Create(f.t.Context(), org, keys.Spec{Scopes: names, RateLimit: limit})
		if err != nil && try < 5 && errors.Is(err, keys.ErrUnavailable) {
			continue
		}
		if err != nil {
			f.t.Error(err)
		}
		return issued
	}
}

// now returns the time since the fleet was started.
func (f *fleet) now() time.Duration { return time.Since(f.base) }

// silent reports whether a status says nothing: the store did not answer in time, or
// something is being made to fail.
func (f *fleet) silent(status int) bool { return status >= 500 || f.faulty.Load() }

// A subject is a credential that is ended while it is in use on all nodes.
type subject struct {
	way        string
	text, path string                // what is sent, and to which route
	end        func(n *process) bool // see way.make
	latest     atomic.Int64          // when the latest request began that was accepted, by the fleet's time
	stop       chan struct{}         // ends its use
}

// use sends one request and reports its status.
func (f *fleet) use(n *process, s *subject) int {
	began := int64(f.now())
	status, _ := n.send(f.t.Context(), "GET", s.path, s.text, "")
	if status == 200 {
		for {
			latest := s.latest.Load()
			if began <= latest || s.latest.CompareAndSwap(latest, began) {
				break
			}
		}
	}
	return status
}

// token makes a client and a token of it.
func (f *fleet) token() (client, token keys.Issued) {
	client, err := f.manager.Create(f.t.Context(), "acme", keys.Spec{Kind: keys.KindClient, RateLimit: 1_000_000})
	if err == nil {
		token, err = f.manager.IssueToken(f.t.Context(), client.Record, scopes.Set{}, time.Hour)
	}
	if err != nil {
		f.t.Error(err)
	}
	return client, token
}

// endOne ends one credential by way of a node, while it is used on all nodes.
func (f *fleet) endOne(s *subject, n *process) {
	var users sync.WaitGroup
	warm := make(chan struct{}, len(f.nodes))
	for _, n := range f.nodes {
		users.Go(func() {
			status := f.use(n, s)
			if status == 401 || status == 403 {
				f.t.Errorf("%s: %d before the end", s.way, status)
			}
			warm <- struct{}{}
			for {
				select {
				case <-s.stop:
					return
				case <-time.After(20 * time.Millisecond):
					f.use(n, s)
				}
			}
		})
	}
	for range f.nodes {
		<-warm
	}
	select {
	case f.underWay <- struct{}{}:
	default: // nobody waits for it
	}
	over := s.end(n)
	for deadline := time.Now().Add(30 * time.Second); !over && time.Now().Before(deadline); over = s.end(n) {
		time.Sleep(50 * time.Millisecond) // while the processes come back, by their own clock
	}
	returned := f.now()
	if over {
		for _, n := range f.nodes {
			for range 2 {
				users.Go(func() {
					if status := f.use(n, s); status != 401 && status != 403 && !f.silent(status) {
						f.t.Errorf("%s: %d after the end", s.way, status)
					}
				})
			}
		}
	}
	close(s.stop)
	users.Wait()
	if !over {
		return
	}
	if late := time.Duration(s.latest.Load()) - returned; late > 0 {
		f.t.Errorf("%s: a request that started %v after the call had returned was accepted", s.way, late)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended[s.way]++
	f.over = append(f.over, s)
}

// stayOver checks that no node accepts what was ended.
func (f *fleet) stayOver() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.over {
		for _, n := range f.nodes {
			if status := f.use(n, s); status != 401 && status != 403 && !f.silent(status) {
				f.t.Errorf("%s: %d long after the end", s.way, status)
			}
		}
	}
}

// end ends many credentials, in all ways and by way of all nodes. Begin, if not
// nil, is called when all of them are made.
func (f *fleet) end(count int, begin func()) {
	subjects := make([]*subject, count)
	for i := range subjects {
		w := ways[i%len(ways)]
		s := &subject{way: w.name, stop: make(chan struct{})}
		s.text, s.path, s.end = w.make(f)
		subjects[i] = s
	}
	if begin != nil {
		begin()
	}
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(count, 32) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				f.endOne(subjects[i], f.nodes[i/len(ways)%len(f.nodes)])
			}
		})
	}
	workers.Wait()
	f.others.Wait()
}

// endedInAllWays checks that each way has ended a credential.
func (f *fleet) endedInAllWays() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range ways {
		if f.ended[w.name] == 0 {
			f.t.Errorf("%s: none was ended", w.name)
		}
	}
}

// recover waits until all nodes accept again what is good, by their own clock.
func (f *fleet) recover() error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) { // by the nodes' own clock
		good := 0
		for _, n := range f.nodes {
			if f.use(n, &subject{text: f.admin, path: anyone}) == 200 {
				good++
			}
		}
		if good == len(f.nodes) {
			return nil
		}
	}
	return errors.New("half a minute later, not all nodes accept what is good")
}

// stop stops the nodes, and returns the sums of their figures.
func (f *fleet) stop() map[string]int {
	sum := make(map[string]int)
	for _, n := range f.nodes {
		for name, figure := range n.stop() {
			sum[name] += figure
		}
	}
	return sum
}
