package store

import (
	"iter"
	"sync"
	"sync/atomic"
)

const (
	shardBits  = 8
	shardCount = 1 << shardBits
	shardShift = 64 - shardBits // shards go by the high bits, slots by the low ones
	leastSlots = 8
)

// A shard holds the entries whose hashes begin alike. Reading takes no lock: the
// table's slots are atomic pointers to entries whose records never change. A read that
// begins after a write has returned sees the write: it finds the slot that was written,
// or the newer table that the slot was copied to. Last uses are noted with the shard
// locked, so that none is noted in an entry that has just been replaced.
type shard struct {
	table atomic.Pointer[table] // nil until the first entry comes

	mu   sync.Mutex // held to change the table
	used int        // slots that are not free
	live int        // slots with an entry

	_ [32]byte // keeps neighbours off the cache line
}

// A table is an open-addressing hash table with linear probing. Its size is a
// power of two and at least a quarter of it is free, so probes end.
type table struct {
	slots []slot
}

// A slot is free, then holds an entry, then may be marked as removed. It never becomes
// free again, since a search for the entries behind it would end there. A new table
// leaves such slots out.
type slot struct {
	hash  uint64 // written before the first entry, and never after
	entry atomic.Pointer[entry]
}

// removed is what a slot holds in place of an entry that was removed.
var removed = new(entry)

// find returns the slot of an ID and the entry in it, or nil and nil.
func (t *table) find(hash uint64, id string) (*slot, *entry) {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		e := s.entry.Load()
		if e == nil {
			return nil, nil
		}
		if s.hash == hash && e.ID == id && e != removed {
			return s, e
		}
	}
}

// put puts e into the first free slot. The caller knows that there is one, and
// that the ID is not there yet.
func (t *table) put(hash uint64, e *entry) {
	mask := uint64(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i].entry.Load() != nil {
		i = (i + 1) & mask
	}
	t.slots[i].hash = hash
	t.slots[i].entry.Store(e)
}

// get returns the entry of an ID, or nil.
func (s *shard) get(hash uint64, id string) *entry {
	t := s.table.Load()
	if t == nil {
		return nil
	}
	_, e := t.find(hash, id)
	return e
}

// all returns the entries. Those that come or go meanwhile may be among them.
func (s *shard) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		t := s.table.Load()
		if t == nil {
			return
		}
		for i := range t.slots {
			if e := t.slots[i].entry.Load(); e != nil && e != removed && !yield(e) {
				return
			}
		}
	}
}

// add adds e, unless its ID is there, and reports whether it did.
func (s *shard) add(hash uint64, e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.get(hash, e.ID) != nil {
		return false
	}
	t := s.table.Load()
	if t == nil || 4*(s.used+1) > 3*len(t.slots) {
		t = s.rebuild()
	}
	t.put(hash, e)
	s.used++
	s.live++
	return true
}

// replace puts e in the place of the entry with the same ID, which is there, and
// copies its last use.
func (s *shard) replace(hash uint64, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, old := s.table.Load().find(hash, e.ID)
	e.used.copy(&old.used)
	slot.entry.Store(e)
}

// remove removes the entry of an ID, which is there.
func (s *shard) remove(hash uint64, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	slot, _ := t.find(hash, id)
	slot.entry.Store(removed)
	s.live--
	if len(t.slots) > leastSlots && 8*s.live < len(t.slots) {
		s.rebuild()
	}
}

// rebuild copies the entries to a new table, which is at most half full with one entry
// more, and publishes it. Readers may go on reading the old table.
func (s *shard) rebuild() *table {
	n := leastSlots
	for n < 2*(s.live+1) {
		n *= 2
	}
	t := &table{slots: make([]slot, n)}
	if old := s.table.Load(); old != nil {
		for i := range old.slots {
			if e := old.slots[i].entry.Load(); e != nil && e != removed {
				t.put(old.slots[i].hash, e)
			}
		}
	}
	s.used = s.live
	s.table.Store(t)
	return t
}
