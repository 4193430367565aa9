package storetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A trailDB is a store with a trail.
type trailDB interface {
	store.Store
	keys.TrailStore
}

// A node is a process with a store in front of a database that others use too.
type node struct {
	trailDB // the database
	all     *[]*node

	mu      sync.Mutex
	records map[string]keys.Record // what Get remembers
	missing map[string]bool        // what Get remembers not to have found
	lists   map[keys.Query][]keys.Record

	own        ratelimit.Memory
	remembers  bool          // records
	misses     bool          // that there are none
	listsOwn   bool          // remembers lists
	lock       chan struct{} // keeps others of the process off, if it is there
	late       bool          // remembers what it read before another process updated it
	writing    int           // writes of this process that are under way
	written    int           // and those that are done
	bucketsOwn bool          // keeps buckets in the process
	clockOwn   bool          // decides by the time that it is given
	trailOwn   bool          // keeps entries in the process, unless it is the first
	trail      store.Memory
}

func (n *node) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	n.mu.Lock()
	cached, known := n.records[id]
	missing, written := n.missing[id], n.written
	n.mu.Unlock()
	switch {
	case known && n.remembers && ctx.Err() == nil:
		return cached, keys.Record{}, nil
	case missing && n.misses && ctx.Err() == nil:
		return rec, parent, keys.ErrNotFound
	}
	rec, parent, err = n.trailDB.Get(ctx, id)
	if n.late {
		latency(2)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.writing > 0 || n.written != written: // perhaps it is older than that write
	case err == nil && rec.Parent == "":
		n.records[id] = rec
	case errors.Is(err, keys.ErrNotFound):
		n.missing[id] = true
	}
	return rec, parent, err
}

func (n *node) Insert(ctx context.Context, r keys.Record) error {
	defer n.write()()
	return n.trailDB.Insert(ctx, r)
}

func (n *node) Update(ctx context.Context, r keys.Record) error {
	if n.lock != nil {
		n.lock <- struct{}{}
		defer func() { <-n.lock }()
		was, _, err := n.trailDB.Get(ctx, r.ID)
		if err != nil {
			return n.trailDB.Update(ctx, r)
		}
		if _, err := keys.Next(was, r); err != nil {
			return err
		}
		latency(1)
		if was, _, err = n.trailDB.Get(ctx, r.ID); err == nil && was.Version > r.Version {
			r.Version = was.Version // over what the other process wrote
		}
		return n.trailDB.Update(ctx, r)
	}
	defer n.write()()
	err := n.trailDB.Update(ctx, r)
	if n.late { // and else nobody tells the others
		for _, other := range *n.all {
			other.forget()
		}
	}
	return err
}

// write begins a write, and returns what ends it. What is read meanwhile is not
// remembered, so that the process itself never sees what it replaced.
func (n *node) write() (done func()) {
	n.mu.Lock()
	n.writing++
	n.mu.Unlock()
	n.forget()
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.writing--
		n.written++
	}
}

func (n *node) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.records)
	clear(n.missing)
	clear(n.lists)
}

func (n *node) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	n.mu.Lock()
	page, known := n.lists[q]
	written := n.written
	n.mu.Unlock()
	if known && n.listsOwn && ctx.Err() == nil {
		return append([]keys.Record{}, page...), nil
	}
	page, err := n.trailDB.List(ctx, q)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil && n.writing == 0 && n.written == written {
		n.lists[q] = append([]keys.Record{}, page...)
	}
	return page, err
}

func (n *node) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	defer n.write()()
	return n.trailDB.Sweep(ctx, before, limit)
}

func (n *node) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, cost int) (ratelimit.Decision, error) {
	if n.bucketsOwn {
		return n.own.Take(ctx, b, l, now, cost)
	}
	if !n.clockOwn {
		now = time.Now()
	}
	return n.trailDB.Take(ctx, b, l, now, cost)
}

func (n *node) AddEntry(ctx context.Context, e keys.Entry) error {
	if n.trailOwn && n != (*n.all)[0] {
		return n.trail.AddEntry(ctx, e)
	}
	return n.trailDB.AddEntry(ctx, e)
}

// handleDefects show through a second handle alone.
var handleDefects = []struct {
	name, clause string
	spoil        func(*node)
}{
	{"each process remembers records", "second-handle-sees-writes", func(n *node) { n.remembers = true }},
	{"each process remembers that there are none", "second-handle-sees-writes", func(n *node) { n.misses = true }},
	{"each process remembers lists", "second-handle-sees-writes", func(n *node) { n.listsOwn = true }},
	{"each process has a lock", "second-handle-one-wins", func(n *node) { n.lock = make(chan struct{}, 1) }},
	{"a slow read is remembered after another process wrote", "second-handle-revoke-is-seen", func(n *node) { n.remembers, n.late = true, true }},
	{"each process has its trail", "second-handle-shares-the-trail", func(n *node) { n.trailOwn = true }},
	{"each process has its buckets", "second-handle-shares-buckets", func(n *node) { n.bucketsOwn = true }},
	{"each process has its clock", "second-handle-has-the-same-clock", func(n *node) { n.clockOwn = true }},
}

// nodes returns functions that open a store, and another process on its data.
func nodes(spoil func(*node)) (open func(testing.TB) store.Store, second func(testing.TB, store.Store) store.Store) {
	process := func(db trailDB, all *[]*node) *node {
		n := &node{trailDB: db, all: all, records: map[string]keys.Record{}, missing: map[string]bool{}, lists: map[keys.Query][]keys.Record{}}
		spoil(n)
		*all = append(*all, n)
		return n
	}
	open = func(testing.TB) store.Store { return process(new(store.Memory), new([]*node)) }
	second = func(_ testing.TB, s store.Store) store.Store {
		return process(s.(*node).trailDB, s.(*node).all)
	}
	return open, second
}

func TestHandles(t *testing.T) {
	t.Parallel()
	defects := handleDefects
	if testing.Short() {
		defects = defects[:2]
	}
	for i, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if diff := cmp.Diff([]string{d.clause}, checkNodes(t, judgedBy(i, d.clause), d.spoil)); diff != "" {
					t.Errorf("clauses reported (-want +got):\n%s", diff)
				}
			})
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			if names := checkNodes(t, "", func(*node) {}); names != nil {
				t.Errorf("a sound store breaks %q", names)
			}
		})
	})
}

// checkNodes judges both halves of a store that has a second handle, as checkRecords
// does.
func checkNodes(t testing.TB, upTo string, spoil func(*node)) []string {
	open, second := nodes(spoil)
	records := storetest.CheckRecordsUpTo(t, upTo, func(t testing.TB) keys.Store { return open(t) }, &storetest.Options[keys.Store]{
		Race:   lap,
		Second: func(t testing.TB, s keys.Store) keys.Store { return second(t, s.(store.Store)) },
	})
	limits := storetest.CheckLimitsUpTo(t, upTo, func(t testing.TB) ratelimit.Store { return open(t) }, &storetest.Options[ratelimit.Store]{
		Race:   lap,
		Second: func(t testing.TB, s ratelimit.Store) ratelimit.Store { return second(t, s.(store.Store)) },
	})
	return append(names(records), names(limits)...)
}
