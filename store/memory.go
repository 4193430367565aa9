package store

import (
	"context"
	"hash/maphash"
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
// All of it is gone when the process ends: revoked keys too, so IDs are unique
// among those of one run. It is for tests, for examples, and for hosts that
// import their keys at start.
//
// Get and GetFamily neither lock nor allocate. Writes lock the records of one
// organization and kind, and for an instant one 256th of all records. Noting a
// use locks that 256th alone, and holds up no reader.
//
// The embedded Memory keeps the buckets. Its fields are settings of this Memory;
// its Len counts buckets, not records, and its Sweep, which drops idle buckets
// and which nobody needs to call, is reached as m.Memory.Sweep.
type Memory struct {
	ratelimit.Memory

	shards [shardCount]shard
	swept  atomic.Uint32 // the shard at which the next Sweep begins

	indexesMu sync.RWMutex
	indexes   map[owner]*index
}

var (
	_ Store            = (*Memory)(nil)
	_ keys.FamilyStore = (*Memory)(nil)
	_ keys.LocalStore  = (*Memory)(nil)
	_ keys.UseStore    = (*Memory)(nil)
)

// An owner names the records that one call of List can return.
type owner struct {
	org  string
	kind keys.Kind
}

// An entry is a record as it stands in a table. The record is never changed; an
// update puts another entry in its place.
type entry struct {
	keys.Record
	home *index  // where the ID is listed
	used lastUse // the one thing that changes, and goes from entry to entry
}

// seed keeps whoever chooses IDs from choosing their places in a table.
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
	if !s.add(hash, &entry{Record: r, home: home}) {
		return ErrExists
	}
	home.add(r.ID)
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

// Get returns the record with the given ID, as [keys.Store] says. Its errors are
// [ErrNotFound] and that of ctx. It does not allocate, and waits for nobody.
func (m *Memory) Get(ctx context.Context, id string) (keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return keys.Record{}, err
	}
	if r := m.view(id); r != nil {
		return *r, nil
	}
	return keys.Record{}, ErrNotFound
}

// Local returns m and a function that looks up an ID without a copy of the
// record, as [keys.LocalStore] says. Of a struct that embeds a Memory it is the
// Memory that is returned.
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

// GetFamily returns the record with the given ID and its parent, as
// [keys.FamilyStore] says. It does what two calls of Get do, the parent's after
// the record's: it does not allocate, waits for nobody, and sees a parent that
// is no older than the call.
func (m *Memory) GetFamily(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if rec, err = m.Get(ctx, id); err != nil || rec.Parent == "" {
		return rec, parent, err
	}
	if p := m.view(rec.Parent); p != nil {
		parent = *p
	}
	return rec, parent, nil
}

// Update writes r over an older version of it, as [keys.Store] says.
func (m *Memory) Update(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	hash, s := m.locate(r.ID)
	for {
		old := s.get(hash, r.ID)
		if old == nil || old.Org != r.Org {
			return ErrNotFound
		}
		if done, err := old.home.update(s, hash, r); done {
			return err
		}
	}
}

// update writes r if its ID is still one of x, and reports whether it is. It is
// not if a token was swept, and its ID used again, since the caller looked.
func (x *index) update(s *shard, hash uint64, r keys.Record) (done bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	old := s.get(hash, r.ID)
	switch {
	case old == nil || old.home != x:
		return false, nil
	case r.Version != old.Version:
		return true, ErrConflict
	case old.Revoked() && (!r.Revoked() || r.RevokedAt.After(old.RevokedAt)):
		return true, ErrConflict
	}
	r.ID, r.Org = old.ID, old.Org // equal; the old text need not be kept twice
	r.Kind, r.Parent, r.CreatedAt = old.Kind, old.Parent, old.CreatedAt
	if r.Kind != keys.KindClient {
		r.TokenLifetime = 0 // it goes with the kind
	}
	r.Version++
	s.replace(hash, &entry{Record: r, home: x})
	return true, nil
}

// List returns a page of records, as [keys.Store] says. It returns an empty
// slice if there are none. The page is one moment's: no write is seen while a
// write before it is not.
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
	if x.sorted(q.After, q.Limit) {
		defer x.mu.RUnlock()
		return m.page(x, q), nil
	}
	x.mu.RUnlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sort(q.After, q.Limit)
	return m.page(x, q), nil
}

// page reads a page of x, which is sorted that far and locked.
func (m *Memory) page(x *index, q keys.Query) []keys.Record {
	page := make([]keys.Record, 0, min(q.Limit, x.len))
	for id := range x.after(q.After) {
		if len(page) == q.Limit {
			break
		}
		hash, s := m.locate(id)
		page = append(page, s.get(hash, id).Record)
	}
	return page
}

// Sweep removes dead tokens, as [keys.Store] says. It looks at all records if it
// finds fewer than limit, but locks nothing while it looks. Calls take turns
// through the records, so that a loop of small sweeps costs what one large sweep
// does.
func (m *Memory) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if limit < 1 {
		return 0, &keys.InvalidError{Field: "limit", Reason: "is less than 1"}
	}
	n := 0
	first := m.swept.Load()
	for i := range uint32(shardCount) {
		at := (first + i) % shardCount
		s := &m.shards[at]
		for e := range s.all() {
			if e.dead(before) && e.home.sweep(s, e.ID, before) {
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

// dead reports whether e is a token that was over before the given time.
func (e *entry) dead(before time.Time) bool {
	return e.Kind == keys.KindToken &&
		(!e.ExpiresAt.IsZero() && e.ExpiresAt.Before(before) || e.Revoked() && e.RevokedAt.Before(before))
}

// sweep removes an ID, unless it is not of x or not dead any more, and reports
// whether it did.
func (x *index) sweep(s *shard, id string, before time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	hash := maphash.String(seed, id)
	e := s.get(hash, id)
	if e == nil || e.home != x || !e.dead(before) {
		return false
	}
	s.remove(hash, id)
	x.remove(id)
	return true
}
