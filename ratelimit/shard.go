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
// and the next empty slot. Slots become empty only when the whole table is
// rebuilt; until then a full bucket keeps its slot, or leaves it to a newcomer
// that comes by.
type shard struct {
	mu    sync.Mutex
	slots []slot
	used  int   // slots that are not empty
	spare int64 // tat of the bucket that newcomers share when there is no room
	clean int64 // tick before which a crowded shard is not rebuilt
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
// of its slots in use, and may fill up to four fifths. So a bucket takes between
// 30 and 36 bytes.
func roomy(used int) int { return max(minSlots, used+used/2) }

func crowded(used, slots int) bool { return used >= slots-slots/5 }

// seat returns the place of k's timestamp, for settle to write to before the
// lock is let go. It is one of: the slot of k; a slot that k takes over from a
// bucket that is full since long; a new slot; or, if there is no room, the spare
// bucket.
//
// A newcomer's slot starts with the spare bucket's timestamp, not with a full
// bucket, since it may have taken from there before.
func (s *shard) seat(k key, at int64) *int64 {
	if len(s.slots) == 0 {
		s.rebuild(0, at-grace)
	}
	free := -1
	i := k.home(len(s.slots))
	for s.slots[i].tat != 0 {
		p := &s.slots[i]
		if p.key == k {
			return &p.tat
		}
		if free < 0 && p.tat <= at-grace {
			free = i
		}
		if i++; i == len(s.slots) {
			i = 0
		}
	}
	if free < 0 {
		if s.used >= s.most || crowded(s.used+1, len(s.slots)) {
			return s.seatCrowded(k, at)
		}
		free = i
		s.used++
	}
	s.slots[free] = slot{key: k, tat: s.spare}
	return &s.slots[free].tat
}

// seatCrowded is seat for a newcomer in a shard that has no slot to give: it
// makes the table larger, or drops what is full, or falls back on the spare.
func (s *shard) seatCrowded(k key, at int64) *int64 {
	if s.used >= s.most {
		if at < s.clean {
			return &s.spare
		}
		s.clean = at + int64(s.most)*cleanPerBucket
	}
	s.rebuild(s.live(at-grace)+1, at-grace)
	if s.used >= s.most {
		return &s.spare
	}
	return s.seat(k, at)
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

// rebuild moves the buckets that are not full by cutoff to a new table, with
// room for at least the given number.
func (s *shard) rebuild(room int, cutoff int64) {
	old := s.slots
	s.slots, s.used = makeSlots(roomy(room)), 0
	for _, b := range old {
		if b.tat > cutoff {
			i := b.key.home(len(s.slots))
			for s.slots[i].tat != 0 {
				if i++; i == len(s.slots) {
					i = 0
				}
			}
			s.slots[i] = b
			s.used++
		}
	}
}

// makeSlots returns at least n empty slots: as many as the memory holds that the
// allocator hands out for n, which rounds up.
func makeSlots(n int) []slot {
	s := slices.Grow([]slot(nil), n)
	return s[:cap(s)]
}

// sweep drops buckets that are full by cutoff, and returns how many. It gives
// memory back if the table could be half as large. Unless all is set, it leaves
// full buckets in a table that is not going to shrink: newcomers will use them.
func (s *shard) sweep(cutoff int64, all bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, live := s.used, s.live(cutoff)
	switch size := roomy(live); {
	case live == before && size > len(s.slots)/2:
		return 0
	case live == 0 && (all || len(s.slots) > 2*minSlots):
		s.slots, s.used = nil, 0
	case all || size <= len(s.slots)/2:
		s.rebuild(live, cutoff)
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
