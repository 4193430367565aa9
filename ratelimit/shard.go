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

	// cleanPerBucket is how long, for each bucket that it may hold, a crowded
	// shard waits before it looks for full buckets again. Looking at a bucket
	// costs some ten nanoseconds, so the looking comes to less than a fiftieth
	// of a processor's time for all shards together.
	cleanPerBucket = int64(128 * time.Microsecond)
)

// A slot is one bucket, without a pointer, so that the garbage collector never
// looks at it. A slot whose tat is 0 is empty.
type slot struct {
	key key
	tat int64 // in ticks
}

// A shard is a hash table with linear probing. A key is found between its home
// and the next empty slot. Full buckets keep their slots until the shard is
// crowded, or swept; then all of them go at once.
type shard struct {
	mu    sync.Mutex
	slots []slot
	used  int   // slots that are not empty
	spare int64 // tat of the bucket that newcomers share when there is no room
	clean int64 // tick before which a shard at its bound does not look for room
	most  int   // bound on used; constant

	// That is 64 bytes, a cache line for each lock.
}

// home returns the index at which the search for k begins, for a table of any
// size: h1 as a fraction of 2^64, times the size. Unlike a remainder it keeps the
// order of the keys when a table grows.
func (k key) home(slots int) int {
	hi, _ := bits.Mul64(k.h1, uint64(slots))
	return int(hi)
}

// roomy and crowded give the sizes of tables. A new table has about two thirds
// of its slots in use, and may fill up to four fifths. So a bucket takes 30 to 36
// bytes, plus what the allocator rounds up.
func roomy(used int) int { return max(minSlots, used+used/2) }

func crowded(used, slots int) bool { return used >= slots-slots/5 }

// longFull returns the last timestamp of which a Take at the tick at may say that
// its bucket has been full for long enough. It is never below that of an empty
// slot, which counts for no bucket, whatever the clock says.
func longFull(at int64) int64 { return max(at-grace, 0) }

// seat returns the place of k's timestamp, for settle to write to before the
// lock is let go: the slot of k, which a newcomer is given now, or the spare
// bucket if there is no room.
//
// A newcomer's slot starts with the spare bucket's timestamp, not with a full
// bucket, since it may have taken from there before.
func (s *shard) seat(k key, at int64) *int64 {
	if len(s.slots) == 0 {
		s.slots = makeSlots(minSlots)
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

// find returns the slot of k, or the empty one that it would get.
func (s *shard) find(k key) int {
	i := k.home(len(s.slots))
	for s.slots[i].tat != 0 && s.slots[i].key != k {
		if i++; i == len(s.slots) {
			i = 0
		}
	}
	return i
}

// makeRoom drops what is full, and makes the table larger if need be, so that
// there is an empty slot for a newcomer. It reports false if the shard holds as
// many buckets as it may.
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

// settle writes a timestamp back. The spare bucket belongs to many names, and
// perhaps to limits of very different windows, so that it never gets less.
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
	s.slots, s.used = makeSlots(size), 0
	for _, b := range old {
		if b.tat > cutoff {
			s.slots[s.find(b.key)] = b
			s.used++
		}
	}
}

// compact empties the slots of buckets that are full by cutoff, without a new
// table. Once there is a gap, a bucket that stays is taken out and put back, up
// to the next slot that was empty before. Beginning behind such a slot, it meets
// each bucket after those that could stand between it and its home, and so puts
// it where it was or nearer.
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

// makeSlots returns at least n empty slots: as many as the memory holds that the
// allocator hands out for n, which rounds up.
func makeSlots(n int) []slot {
	s := slices.Grow([]slot(nil), n)
	return s[:cap(s)]
}

// sweep drops buckets that are full by cutoff, and returns how many. Unless all
// is set, it does so only if the table can shrink by half: full buckets do no harm
// in a table that stays.
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

// len returns the number of buckets, size the number of slots.
func (s *shard) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

func (s *shard) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.slots)
}
