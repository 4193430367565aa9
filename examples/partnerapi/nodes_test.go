package main

import (
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

var endings = flag.Int("endings", 0, "how many credentials TestNodes ends over each store; 0 for a few dozen")

// A fleet is three processes of the program over one store.
type fleet struct {
	t       *testing.T
	nodes   []*process
	manager *keys.Manager // of this process, which has no cache
	admin   string        // a key that may manage all
	server  *servers.Server
	limits  ratelimit.Store // of this process, over the store
	cached  bool            // the nodes have caches
	faulty  atomic.Bool     // something is made to fail, and requests may too
	base    time.Time

	// underWay gets a word for each credential that is about to end, if somebody
	// waits for that.
	underWay chan struct{}

	mu    sync.Mutex
	ended map[string]int // how many credentials were ended, by the way to end them
	over  []*subject     // those that were ended
}

// startFleet starts a fleet over a store, with caches if the store has a feed.
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
	args := []string{"-store", dsn, "-limits", "leased"}
	if _, f.cached = s.records.(keys.Feed); f.cached {
		args = append(args, "-cache", "500ms")
	}
	for range 3 {
		f.nodes = append(f.nodes, startProcess(t, args...))
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
	end        func(n *process) bool // see way
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

// A way is a way to end a credential. Make returns the text of a new one, the route
// that it may use, and what ends it by way of a node; that reports whether it is
// certain that the credential is over.
type way struct {
	name string
	make func(f *fleet) (text, path string, end func(n *process) bool)
}

const anyone, scoped = "/v1/chain", "/api/v1/partner/webhooks"

// does returns an ending that is one request.
func (f *fleet) does(method, path, body string, want int) func(n *process) bool {
	return func(n *process) bool {
		status, answer := n.send(f.t.Context(), method, path, f.admin, body)
		if status != want && !f.silent(status) {
			f.t.Errorf("%s %s: %d %s", method, path, status, answer)
		}
		return status == want
	}
}

var ways = []way{
	{"revoke", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		return k.Text.Reveal(), anyone, f.does("DELETE", "/v1/keys/"+k.Record.ID, "", 204)
	}},
	{"revoke without a cache", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		return k.Text.Reveal(), anyone, func(*process) bool {
			return f.manager.Revoke(f.t.Context(), "acme", keys.KindKey, k.Record.ID) == nil
		}
	}},
	{"revoke twice at once", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		end := f.does("DELETE", "/v1/keys/"+k.Record.ID, "", 204)
		return k.Text.Reveal(), anyone, func(n *process) bool {
			go end(f.nodes[0])
			return end(n)
		}
	}},
	{"descendants", func(f *fleet) (string, string, func(*process) bool) {
		maker := f.key("acme", 1_000_000, keysManage)
		p, err := f.manager.Verifier().Verify(f.t.Context(), maker.Text.Reveal())
		var made keys.Issued
		if err == nil {
			made, err = f.manager.As(p).Create(f.t.Context(), keys.Spec{RateLimit: 1_000_000})
		}
		if err != nil {
			f.t.Error(err)
		}
		return made.Text.Reveal(), anyone, f.does("DELETE", "/v1/keys/"+maker.Record.ID+"?descendants=true", "", 204)
	}},
	{"pause", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		return k.Text.Reveal(), anyone, f.does("PATCH", "/v1/keys/"+k.Record.ID, `{"disabled":true}`, 200)
	}},
	{"narrow", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000, webhooksManage)
		return k.Text.Reveal(), scoped, f.does("PATCH", "/v1/keys/"+k.Record.ID, `{"scopes":[]}`, 200)
	}},
	{"rotate", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		return k.Text.Reveal(), anyone, func(n *process) bool {
			status, answer := n.send(f.t.Context(), "POST", "/v1/keys/"+k.Record.ID+"/rotate", f.admin, `{"overlap":0}`)
			var issued struct{ Key string }
			if status != 201 || json.Unmarshal(answer, &issued) != nil {
				return false
			}
			for _, n := range f.nodes {
				if status := f.use(n, &subject{text: issued.Key, path: anyone}); status == 401 || status == 403 {
					f.t.Errorf("a new key: %d", status)
				}
			}
			return true
		}
	}},
	{"delete the client", func(f *fleet) (string, string, func(*process) bool) {
		client, token := f.token()
		return token.Text.Reveal(), anyone, f.does("DELETE", "/v1/oauth/clients/"+client.Record.ID, "", 204)
	}},
	{"revoke the token, and sweep", func(f *fleet) (string, string, func(*process) bool) {
		client, token := f.token()
		pair := client.Record.ID + ":" + client.Text.Reveal()
		return token.Text.Reveal(), anyone, func(n *process) bool {
			status, _ := n.send(f.t.Context(), "POST", "/v1/oauth/revoke", pair, "token="+token.Text.Reveal())
			if status == 200 {
				if _, err := f.manager.Sweep(f.t.Context(), time.Now()); err != nil && !errors.Is(err, keys.ErrUnavailable) {
					f.t.Error(err)
				}
			}
			return status == 200
		}
	}},
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
}

// A nodeStore is a store that several processes can share.
type nodeStore struct {
	name string
	open func(t *testing.T) (dsn string, server *servers.Server)
}

// someStores are the first of nodeStores in a short run, and else all.
func someStores() []nodeStore {
	if testing.Short() {
		return nodeStores[:1]
	}
	return nodeStores
}

var nodeStores = []nodeStore{
	{"sqlite", func(t *testing.T) (string, *servers.Server) {
		return "sqlite:" + filepath.Join(t.TempDir(), "claviger.db"), nil
	}},
	{"postgres", func(t *testing.T) (string, *servers.Server) {
		s, err := servers.Postgres()
		servers.Require(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s.DSN, s
	}},
	{"redis", func(t *testing.T) (string, *servers.Server) {
		s, err := servers.Redis()
		servers.Require(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s.DSN, s
	}},
}

// TestNodes ends credentials in every way, by way of three processes, while all
// three use them. No request is accepted that starts after the call has returned:
// also while databases and processes stand still, are killed, and come back.
func TestNodes(t *testing.T) {
	t.Parallel()
	for _, tt := range nodeStores {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dsn, server := tt.open(t)
			f := startFleet(t, dsn)
			f.server = server
			each := 1 // of the ways, while something goes wrong
			if os.Getenv("CLAVIGER_LONG") != "" {
				each = 3
			}
			count := *endings
			if count == 0 {
				count = (each + 1) * len(ways)
			}
			if testing.Short() {
				count = len(ways)
			}
			f.end(count, nil)
			f.mu.Lock()
			for _, w := range ways {
				if f.ended[w.name] == 0 {
					t.Errorf("%s: none was ended", w.name)
				}
			}
			f.mu.Unlock()
			for _, fault := range f.faults() {
				if !testing.Short() {
					f.endDuring(fault, max(each*len(ways), count/6))
				}
			}
			t.Logf("ended %v", f.ended)
		})
	}
}

// A fault is something that goes wrong for a while.
type fault struct {
	name string
	do   func() error // returns when all is well again
}

// endDuring ends credentials while something goes wrong.
func (f *fleet) endDuring(fault fault, count int) {
	done := make(chan error, 1)
	f.underWay = make(chan struct{}, min(count, 8))
	f.end(count, func() {
		f.faulty.Store(true)
		go func() {
			for range cap(f.underWay) {
				<-f.underWay
			}
			done <- fault.do()
		}()
	})
	if err := <-done; err != nil {
		f.t.Errorf("%s: %v", fault.name, err)
	}
	if err := f.recover(); err != nil {
		f.t.Errorf("%s: %v", fault.name, err)
	}
	f.faulty.Store(false)
	f.stayOver()
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
	return errors.New("no node accepts what is good")
}

// TestNodesTrips uses a few keys on three processes, and counts how often these ask
// the store for them.
func TestNodesTrips(t *testing.T) {
	t.Parallel()
	for _, tt := range someStores() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dsn, _ := tt.open(t)
			f := startFleet(t, dsn)
			subjects := []*subject{{text: f.admin, path: anyone}}
			for range 5 {
				subjects = append(subjects, &subject{text: f.key("acme", 1_000_000).Text.Reveal(), path: anyone})
			}
			_, token := f.token()
			subjects = append(subjects, &subject{text: token.Text.Reveal(), path: anyone})
			var users sync.WaitGroup
			for i := range 8 {
				users.Go(func() {
					for j := range 500 {
						if status := f.use(f.nodes[(i+j)%len(f.nodes)], subjects[j%len(subjects)]); status != 200 {
							t.Errorf("%d", status)
						}
					}
				})
			}
			users.Wait()
			sum := f.stop()
			checks := sum["hits"] + sum["misses"] + sum["lapses"]
			trips := sum["reads"]
			t.Logf("%d checks, %d trips; %v", checks, trips, sum)
			if !f.cached {
				return
			}
			if checks < 4000 || trips*50 > checks {
				t.Errorf("%d trips in %d checks", trips, checks)
			}
		})
	}
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

// TestCacheOverRedis says what a store without a feed of changes is told.
func TestCacheOverRedis(t *testing.T) {
	t.Parallel()
	if _, ok := any((*redisstore.Store)(nil)).(keys.Feed); ok {
		return // TestNodes uses it
	}
	s, err := servers.Redis()
	servers.Require(t, err)
	defer s.Close()
	_, err = openStores(t.Context(), config{store: s.DSN, cache: time.Second}, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("a cache over a store without a feed")
	}
	if got := err.Error(); got != "-cache: keys: the store has no feed of changes, so it can have no cache" {
		t.Error(got)
	}
}
