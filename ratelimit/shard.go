package ratelimit

import (
	"math/bits"
	"slices"
	"sync"
	"time"
)

const (
	// grace is how long a bucket has to be full before a Take drops it.
	grace = int64(time.Second)

	// minSlots is the size of the smallest table that a shard has.
	minSlots = 8

	// cleanPerBucket times the number of buckets that a shard may hold is the
	// time between two searches for full buckets in a shard that has no room.
	// Looking at a bucket takes about ten nanoseconds, so the searches of all
	// shards together take less than a fiftieth of one processor.
	cleanPerBucket = int64(128 * time.Microsecond)
)

// A slot holds one bucket. It has no pointers, so the garbage collector does not
// scan it. A slot whose tat is 0 is empty.
type slot struct {
	key key
	tat int64 // in ticks
}

// A shard is a hash table with linear probing: a key is found between its home
// and the next empty slot. Full buckets keep their slots until the shard is
// crowded or swept. Then all of them are dropped at once.
type shard struct {
	mu    sync.Mutex
	slots []slot
	used  int   // slots that are not empty
	spare int64 // tat of the bucket that newcomers share when there is no room
	clean int64 // tick before which a shard at its bound does not look for room
	most  int   // bound on used; constant

	// These fields are 64 bytes, so that each lock has a cache line of its own.
}

// home returns the index at which the search for k begins in a table of any
// size. It is the size times h1 as a fraction of 2^64. Unlike a remainder, it
// keeps the order of the keys when a table grows.
func (k key) home(slots int) int {
	hi, _ := bits.Mul64(k.h1, uint64(slots))
	return int(hi)
}

// roomy returns the size of a new table: about two thirds of its slots are in
// use. A table may fill up to four fifths, so a bucket takes 30 to 36 bytes, and
// what the allocator adds by rounding up.
func roomy(used int) int { return max(minSlots, used+used/2) }

// crowded reports whether a table is too full to be searched quickly.
func crowded(used, slots int) bool { return used >= slots-slots/5 }

// longFull returns the latest timestamp of a bucket that a Take at the tick at may
// drop. It is never below the timestamp of an empty slot, so that an empty slot
// never counts as a bucket, whatever the clock says.
func longFull(at int64) int64 { return max(at-grace, 0) }

// seat returns where k's timestamp is kept: in the slot of k, which a newcomer is
// given now, or in the spare bucket if there is no room. The caller writes the new
// timestamp with settle before it releases the lock.
//
// A newcomer's slot starts with the timestamp of the spare bucket, not with a full
// bucket, since the newcomer may have taken from the spare bucket before.
func (s *shard) seat(k key, at int64) *int64 {
	if len(s.slots) == 0 {
		s.slots = make([]slot, minSlots)
	}
	i := s.find(k)
	if s.slots[i].tat != 0 {
		return &s.slots[i].tat
	}
	if s.used >= s.most || crowded(s.used+1, len(s.slots)) {
		if !s.makeRoom(at) {
			return &s.spare
		}
		i = s.find(k)
	}
	s.slots[i] = slot{key: k, tat: s.spare}
	s.used++
	return &s.slots[i].tat
}

// find returns the index of k's slot, or of the empty slot that k would get.
func (s *shard) find(k key) int {
	i := k.home(len(s.slots))
	for s.slots[i].tat != 0 && s.slots[i].key != k {
		if i++; i == len(s.slots) {
			i = 0
		}
	}
	return i
}

// makeRoom drops full buckets and, if necessary, makes the table larger, so that
// a newcomer finds an empty slot. It reports false if the shard holds as many
// buckets as it may.
func (s *shard) makeRoom(at int64) bool {
	if s.used >= s.most {
		if at < s.clean {
			return false
		}
		s.clean = at + int64(s.most)*cleanPerBucket
	}
	cutoff := longFull(at)
	if size := roomy(s.live(cutoff) + 1); size > len(s.slots) {
		s.move(size, cutoff)
	} else {
		s.compact(cutoff)
	}
	return s.used < s.most
}

// settle writes a timestamp back. That of the spare bucket only ever grows, since
// many names share it, perhaps under limits with very different windows.
func (s *shard) settle(tat *int64, next int64) {
	if tat != &s.spare || next > s.spare {
		*tat = next
	}
}

// live returns the number of buckets that are not full by cutoff.
func (s *shard) live(cutoff int64) int {
	n := 0
	for i := range s.slots {
		if s.slots[i].tat > cutoff {
			n++
		}
	}
	return n
}

// move puts the buckets that are not full by cutoff into a new table.
func (s *shard) move(size int, cutoff int64) {
	old := s.slots
	s.slots, s.used = make([]slot, size), 0
	for _, b := range old {
		if b.tat > cutoff {
			s.slots[s.find(b.key)] = b
			s.used++
		}
	}
}

// compact drops the buckets that are full by cutoff, without a new table. After
// a dropped bucket, each bucket that stays is taken out and put back, up to the
// next slot that was empty before, because the search for it would end at the
// gap. The loop starts at an empty slot. So it reaches each bucket after all that
// lie between the bucket and its home, and puts it back in its place or nearer.
func (s *shard) compact(cutoff int64) {
	i := slices.IndexFunc(s.slots, func(b slot) bool { return b.tat == 0 })
	gap := false
	for range s.slots {
		switch b := s.slots[i]; {
		case b.tat == 0:
			gap = false
		case b.tat <= cutoff:
			s.slots[i] = slot{}
			s.used--
			gap = true
		case gap:
			s.slots[i] = slot{}
			s.slots[s.find(b.key)] = b
		}
		if i++; i == len(s.slots) {
			i = 0
		}
	}
}

// sweep drops buckets that are full by cutoff, and returns how many. Unless all
// is set, it drops them only if the table can then shrink to half its size: full
// buckets do no harm in a table that stays.
func (s *shard) sweep(cutoff int64, all bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, live := s.used, s.live(cutoff)
	switch size := roomy(live); {
	case live == 0:
		s.slots, s.used = nil, 0
	case size <= len(s.slots)/2:
		s.move(size, cutoff)
	case all && live < before:
		s.compact(cutoff)
	}
	return before - s.used
}

// len returns the number of buckets.
func (s *shard) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// size returns the number of slots.
func (s *shard) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.slots)
}
