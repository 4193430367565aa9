package main

import (
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/claviger-auth/claviger/store/storetest/servers"
)

var endings = flag.Int("endings", 0, "how many credentials TestNodes ends over each store; 0 for a few dozen")

// A nodeStore is a store that several processes can share.
type nodeStore struct {
	name string
	open func(t *testing.T) (dsn string, server *servers.Server)
}

// someStores are the first of nodeStores in a short run, otherwise all of them.
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
	for _, tt := range someStores() {
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
			f.endedInAllWays()
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
			if checks < 4000 || trips*50 > checks {
				t.Errorf("%d trips in %d checks", trips, checks)
			}
		})
	}
}
