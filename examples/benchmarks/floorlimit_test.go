package benchmarks_test

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// A floorLimiter is the least that a decision for a key needs: the clock, a
// map behind a lock, and GCRA with one timestamp, swapped by a CAS.
//
// What it leaves out of what Claviger does: idle buckets are never dropped and
// memory is not bounded; each bucket has the one limit; growing the map is
// one long step; and nothing is said but yes or no.
type floorLimiter struct {
	origin       time.Time
	cost, window int64
	mu           sync.RWMutex
	buckets      map[string]*atomic.Int64
}

func newFloorLimiter(q quota) *floorLimiter {
	return &floorLimiter{
		origin: time.Now(), cost: int64(q.cost), window: int64(q.window()),
		buckets: make(map[string]*atomic.Int64),
	}
}

func (l *floorLimiter) take(name string) bool {
	now := int64(time.Since(l.origin))
	l.mu.RLock()
	tat := l.buckets[name]
	l.mu.RUnlock()
	if tat == nil {
		tat = l.add(name)
	}
	for {
		old := tat.Load()
		next := max(old, now) + l.cost
		if next > now+l.window {
			return false
		}
		if tat.CompareAndSwap(old, next) {
			return true
		}
	}
}

func (l *floorLimiter) add(name string) *atomic.Int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	tat := l.buckets[name]
	if tat == nil {
		tat = new(atomic.Int64)
		l.buckets[name] = tat
	}
	return tat
}

// An openLimiter is a floorLimiter whose buckets stand in one table without
// pointers: linear probing by a hash of 64 bits, in place of the name. It leaves
// out what a floorLimiter leaves out, and two names whose hashes are the same
// share a bucket.
type openLimiter struct {
	origin       time.Time
	cost, window int64
	seed         maphash.Seed
	mu           sync.Mutex
	used         int
	table        []openBucket // a power of two of them, three quarters full at most
}

type openBucket struct {
	hash uint64 // 0 if the place is free
	tat  int64
}

func newOpenLimiter(q quota) *openLimiter {
	return &openLimiter{
		origin: time.Now(), cost: int64(q.cost), window: int64(q.window()),
		seed: maphash.MakeSeed(), table: make([]openBucket, 8),
	}
}

func (l *openLimiter) take(name string) bool {
	now := int64(time.Since(l.origin))
	hash := maphash.String(l.seed, name) | 1
	l.mu.Lock()
	b := l.find(hash)
	if b.hash == 0 {
		b = l.add(hash)
	}
	next := max(b.tat, now) + l.cost
	admitted := next <= now+l.window
	if admitted {
		b.tat = next
	}
	l.mu.Unlock()
	return admitted
}

// find returns the bucket of a hash, or the place for it.
func (l *openLimiter) find(hash uint64) *openBucket {
	mask := uint64(len(l.table) - 1)
	// The highest bits choose the place: the lowest is always set.
	for i := hash >> (64 - bits.Len64(mask)); ; i++ {
		if b := &l.table[i&mask]; b.hash == hash || b.hash == 0 {
			return b
		}
	}
}

func (l *openLimiter) add(hash uint64) *openBucket {
	if l.used++; l.used*4 > len(l.table)*3 {
		old := l.table
		l.table = make([]openBucket, 2*len(old))
		for _, b := range old {
			if b.hash != 0 {
				*l.find(b.hash) = b
			}
		}
	}
	b := l.find(hash)
	b.hash = hash
	return b
}
