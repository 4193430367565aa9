package store

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// Memory is a [Store] in the memory of the process. The zero value is empty and
// ready to use. A Memory is safe for concurrent use, starts no goroutine, and
// must not be copied after its first use.
//
// Everything is lost when the process ends, revoked keys too. So an ID is unique only
// among those of one run. A Memory is for tests, for examples, and for hosts that
// import their keys when they start.
//
// Get neither locks nor allocates. Writes lock the records of one organization and
// kind, and for an instant one 256th of all records. Noting a use locks only that
// 256th. No lock holds up Get.
//
// The embedded ratelimit.Memory keeps the buckets, and its fields are settings of this
// Memory. Its Len counts buckets, not records. Its Sweep drops idle buckets; nobody
// needs to call it, and it is reached as m.Memory.Sweep.
type Memory struct {
	ratelimit.Memory

	shards [shardCount]shard
	swept  atomic.Uint32 // the shard at which the next Sweep begins

	indexesMu sync.RWMutex
	indexes   map[owner]*index

	trails trails
}

var (
	_ Store           = (*Memory)(nil)
	_ keys.UseStore   = (*Memory)(nil)
	_ keys.CountStore = (*Memory)(nil)
	_ keys.OrgStore   = (*Memory)(nil)
	_ keys.TrailStore = (*Memory)(nil)
)

// errLimit reports a limit of records, organizations or entries that is too small.
var errLimit = &keys.InvalidError{Field: keys.FieldLimit, Reason: "is less than 1"}

// An owner names the records that one call of List can return.
type owner struct {
	org  string
	kind keys.Kind
}

// An entry is a record in a table. The record is never changed: an update puts
// another entry in its place.
type entry struct {
	keys.Record
	home *index  // where the ID is listed
	used lastUse // changes while the entry is in the table; an update copies it
}

// seed makes the hash of an ID unpredictable, so that whoever chooses IDs cannot make
// them collide.
var seed = maphash.MakeSeed()

// locate returns the hash of an ID and the shard that is responsible for it.
func (m *Memory) locate(id string) (uint64, *shard) {
	hash := maphash.String(seed, id)
	return hash, &m.shards[hash>>shardShift]
}

// Insert adds r, as [keys.Store] says.
func (m *Memory) Insert(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	hash, s := m.locate(r.ID)
	if s.get(hash, r.ID) != nil {
		return ErrExists
	}
	home := m.index(owner{r.Org, r.Kind})
	r.Org = home.org // one copy of the text for all records

	home.mu.Lock()
	defer home.mu.Unlock()
	added := false
	m.trails.write(ctx, &r, func() bool {
		added = s.add(hash, &entry{Record: r, home: home})
		return added
	})
	if !added {
		return ErrExists
	}
	home.of(r.Revoked()).add(r.ID)
	return nil
}

// index returns the index of an owner's records, and makes it at first use.
func (m *Memory) index(o owner) *index {
	m.indexesMu.RLock()
	x := m.indexes[o]
	m.indexesMu.RUnlock()
	if x != nil {
		return x
	}
	m.indexesMu.Lock()
	defer m.indexesMu.Unlock()
	if x = m.indexes[o]; x == nil {
		if m.indexes == nil {
			m.indexes = make(map[owner]*index)
		}
		x = &index{org: o.org}
		m.indexes[o] = x
	}
	return x
}

// Get returns the record with the given ID and its parent, as [keys.Store] says.
// Its errors are [ErrNotFound] and that of ctx. It does not allocate, and waits
// for nobody.
func (m *Memory) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if err := ctx.Err(); err != nil {
		return rec, parent, err
	}
	r := m.view(id)
	if r == nil {
		return rec, parent, ErrNotFound
	}
	if r.Parent != "" {
		if p := m.view(r.Parent); p != nil {
			parent = *p
		}
	}
	return *r, parent, nil
}

// Local is for a [keys.Verifier] only: authors of stores need no such method. It
// returns m, and a function that looks up an ID without copying the record, which
// must not be changed. A struct that embeds a Memory has the method Local too, and may
// have a Get of its own. The Verifier sees by the first result that the function does
// not belong to the struct, and then calls the struct's Get.
func (m *Memory) Local() (self keys.Store, view func(id string) *keys.Record) {
	return m, m.view
}

// view returns the record with the given ID, or nil.
func (m *Memory) view(id string) *keys.Record {
	hash, s := m.locate(id)
	if e := s.get(hash, id); e != nil {
		return &e.Record
	}
	return nil
}

// Update writes r over an older version of it, as [keys.Store] says.
func (m *Memory) Update(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	hash, s := m.locate(r.ID)
	for {
		old := s.get(hash, r.ID)
		if old == nil {
			return cmp.Or(r.Validate(), ErrNotFound)
		}
		if done, err := m.update(ctx, old.home, s, hash, r); done {
			return err
		}
	}
}

// update writes r if its ID is still listed in x, and reports whether it is. It is not
// if a token was swept, and its ID used again, since the caller looked.
func (m *Memory) update(ctx context.Context, x *index, s *shard, hash uint64, r keys.Record) (done bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	old := s.get(hash, r.ID)
	if old == nil || old.home != x {
		return false, nil
	}
	next, err := keys.Next(old.Record, r)
	if err != nil {
		return true, err
	}
	next.ID, next.Org = old.ID, old.Org // equal; the old text need not be kept twice
	if next.Revoked() != old.Revoked() {
		x.of(false).remove(next.ID)
		x.of(true).add(next.ID)
	}
	m.trails.write(ctx, &next, func() bool {
		s.replace(hash, &entry{Record: next, home: x})
		return true
	})
	return true, nil
}

// List returns a page of records, as [keys.Store] says. It returns an empty
// slice if there are none. The page shows the records as they are at one moment.
func (m *Memory) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	m.indexesMu.RLock()
	x := m.indexes[owner{q.Org, q.Kind}]
	m.indexesMu.RUnlock()
	if x == nil {
		return []keys.Record{}, nil
	}
	x.mu.RLock()
	if x.sorted(q.After, q.Limit, q.Live) {
		defer x.mu.RUnlock()
		return m.page(x, q), nil
	}
	x.mu.RUnlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sort(q.After, q.Limit, q.Live)
	return m.page(x, q), nil
}

// page reads a page of x. The caller holds the lock, and has sorted x as far as the
// page goes.
func (m *Memory) page(x *index, q keys.Query) []keys.Record {
	most := x.live.len
	if !q.Live {
		most += x.revoked.len
	}
	page := make([]keys.Record, 0, min(q.Limit, most))
	ids := x.after(q.After, q.Live)
	for len(page) < q.Limit {
		id := ids.next()
		if id == "" {
			break
		}
		page = append(page, *m.view(id))
	}
	return page
}

// Sweep removes dead tokens, as [keys.Store] says. It looks at all records if it
// finds fewer than limit, but locks nothing while it looks. A call begins where the
// last one stopped, so that a loop of small sweeps costs what one large sweep does.
func (m *Memory) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if limit < 1 {
		return 0, errLimit
	}
	n := 0
	first := m.swept.Load()
	for i := range uint32(shardCount) {
		at := (first + i) % shardCount
		s := &m.shards[at]
		for e := range s.all() {
			if e.Sweepable(before) && e.home.sweep(s, e.ID, before) {
				n++
			}
			if n == limit {
				m.swept.Store(at)
				return n, nil
			}
		}
	}
	return n, nil
}

// sweep removes an ID if it is listed in x and still dead, and reports whether it did.
func (x *index) sweep(s *shard, id string, before time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	hash := maphash.String(seed, id)
	e := s.get(hash, id)
	if e == nil || e.home != x || !e.Sweepable(before) {
		return false
	}
	s.remove(hash, id)
	x.of(e.Revoked()).remove(id)
	return true
}

// Count counts live records, as [keys.CountStore] says. It looks at the records that
// are not revoked, and stops at the number most.
func (m *Memory) Count(ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := (keys.Query{Org: org, Kind: kind, Limit: most}).Validate(); err != nil {
		return 0, err
	}
	m.indexesMu.RLock()
	x := m.indexes[owner{org, kind}]
	m.indexesMu.RUnlock()
	if x == nil {
		return 0, nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, b := range x.live.blocks {
		for _, id := range b.ids {
			if n >= most {
				return n, nil
			}
			if r := m.view(id); !r.Expired(now) {
				n++
			}
		}
	}
	return n, nil
}

// Orgs lists organizations, as [keys.OrgStore] says. It looks at all of them.
func (m *Memory) Orgs(ctx context.Context, after string, limit int) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, errLimit
	}
	var orgs []string
	m.indexesMu.RLock()
	for o, x := range m.indexes {
		if o.org > after && !x.empty() {
			orgs = append(orgs, o.org)
		}
	}
	m.indexesMu.RUnlock()
	slices.Sort(orgs)
	orgs = slices.Compact(orgs)
	return orgs[:min(limit, len(orgs))], nil
}

// empty reports whether no record is listed.
func (x *index) empty() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.live.len+x.revoked.len == 0
}
