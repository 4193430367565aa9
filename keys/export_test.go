package keys

import (
	"hash"
	"sync"
	"sync/atomic"
)

// HoldSlowHashes takes every place for slow hashes until release is called.
func (v *Verifier) HoldSlowHashes() (release func()) {
	places := v.hasher.slow.places
	for range cap(places) {
		places <- struct{}{}
	}
	return func() {
		for range cap(places) {
			<-places
		}
	}
}

// HoldSlowTurn takes the turn of a credential until leave is called.
func (v *Verifier) HoldSlowTurn(id string) (leave func()) {
	l := v.hasher.slow
	s, err := l.join(id)
	if err != nil {
		panic(err)
	}
	s.turn <- struct{}{}
	return func() {
		<-s.turn
		l.part(id, s)
	}
}

// SlowChecks returns how many slow checks run or wait, or how many credentials
// they are of if that is more.
func (v *Verifier) SlowChecks() int {
	l := v.hasher.slow
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.n, len(l.ids))
}

// Lines returns of how many records changes are under way or wait.
func (m *Manager) Lines() int {
	m.queue.mu.Lock()
	defer m.queue.mu.Unlock()
	return len(m.queue.lines)
}

// WatchBuffers collects the buffers that secrets are copied to before they are
// hashed under a pepper. It is called before v is used.
func (v *Verifier) WatchBuffers() (buffers func() [][]byte) {
	var mu sync.Mutex
	var all [][]byte
	for _, p := range v.hasher.peppers {
		fresh := p.states.New
		p.states.New = func() any {
			s := fresh().(*hmacState)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, s.in[:])
			return s
		}
	}
	return func() [][]byte {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// CountHashes counts the HMACs that v computes from now on in n. It is called
// before v is used.
func (v *Verifier) CountHashes(n *atomic.Int64) {
	for _, p := range v.hasher.peppers {
		fresh := p.states.New
		p.states.New = func() any {
			s := fresh().(*hmacState)
			s.hash = countedHash{s.hash, n}
			return s
		}
	}
}

type countedHash struct {
	hash.Hash
	n *atomic.Int64
}

func (h countedHash) Sum(b []byte) []byte {
	h.n.Add(1)
	return h.Hash.Sum(b)
}

// ChangedFields returns the names that the trail has for what differs.
func ChangedFields(old, rec *Record) string { return changedFields(old, rec) }

// NewCacheBy returns a Cache that reads its clocks by a function.
func NewCacheBy(store Store, opts *CacheOptions, clock func() (mono, wall int64)) (*Cache, error) {
	c, err := NewCache(store, opts)
	if err != nil {
		return nil, err
	}
	c.clock = func() reading {
		mono, wall := clock()
		return reading{mono: mono, wall: wall}
	}
	return c, nil
}

// Counted returns how many entries r would write now.
func (r *Refusals) Counted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.tally.counts)
}
