package ratelimit

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// maxShards is the number of shards of the largest tables. More of them
	// make the longest pause shorter, since a Take may have to move a whole
	// shard, and an almost empty table larger: it is 64 bytes for each. With
	// DefaultMaxBuckets a shard that is as full as can be has 4096 buckets.
	maxShards = 4096

	// minPerShard is the number of buckets below which a shard is not worth
	// having: shards fill unevenly, and the fewer buckets the more so.
	minPerShard = 512

	// lap is the time in which all shards are looked at, given some traffic.
	// A window (a minute) and two laps are two windows.
	lap = 30 * time.Second

	// scanAtOnce is the number of slots after which a Take that is behind
	// schedule stops looking at further shards.
	scanAtOnce = 4096

	// half is the tick of the origin of time, half of what an int64 holds.
	half = 1 << 62
)

// A table holds the buckets of a [Memory]: shards, each with a lock of its own,
// and what all of them have in common.
type table struct {
	origin time.Time // see ticks
	seed1  maphash.Seed
	seed2  maphash.Seed
	step   int64 // ticks from one shard's turn to be looked at to the next's

	// mark is the tick at which the last shard should have had its turn, a
	// multiple of step, and turns is how many turns there were. The shards have
	// theirs one after the other, however far the mark is behind.
	mark  atomic.Int64
	turns atomic.Uint64

	shards []shard // a power of two of them
}

// newTable returns a table for most buckets. The origin should be the present
// time, but nothing depends on it apart from the range of ticks.
func newTable(most int, origin time.Time) *table {
	shards := 1
	for shards < maxShards && most/(2*shards) >= minPerShard {
		shards *= 2
	}
	t := &table{
		origin: origin,
		seed1:  maphash.MakeSeed(),
		seed2:  maphash.MakeSeed(),
		step:   int64(lap) / int64(shards),
		shards: make([]shard, shards),
	}
	t.mark.Store(half - half%t.step)
	for i := range t.shards {
		t.shards[i].most = most / shards
	}
	return t
}

// take is the whole of a decision at the tick at, which goes to d.
func (t *table) take(k key, l Limit, at int64, n int, d *Decision) error {
	if err := l.check(n); err != nil {
		return err
	}
	s := t.shard(k)
	s.mu.Lock()
	tat := s.seat(k, at)
	s.settle(tat, l.take(*tat, at, n, d))
	s.mu.Unlock()
	t.tend(at)
	return nil
}

// ticks returns now in nanoseconds on the table's own scale, which begins far
// from zero, the tick of an empty slot, and ends where [Limit.Take] stops the
// clock. Times more than a century from the origin are taken for the nearest that
// is not. The difference is monotonic if now is.
func (t *table) ticks(now time.Time) int64 {
	return half + min(max(int64(now.Sub(t.origin)), 1-half), maxTime-half)
}

// ticksNow is ticks of the present time.
func (t *table) ticksNow() int64 { return half + int64(time.Since(t.origin)) }

// A key stands for a [Bucket]: 128 bits of keyed hash. That two of 2^24 buckets
// have the same is less likely than 2^-80, and cannot be brought about by
// choosing names; they would share a bucket, and nothing worse.
type key struct{ h1, h2 uint64 }

// key hashes both strings apart, so that it does not matter where one ends and
// the other begins.
func (t *table) key(b Bucket) key { return t.keyIn(t.hashSpace(b.Space), b.Name) }

// hashSpace hashes a space for keyIn.
func (t *table) hashSpace(space string) uint64 {
	// The odd factor keeps a space and a name that are swapped from meeting.
	const odd = 0x9e3779b97f4a7c15
	return maphash.String(t.seed1, space) * odd
}

// keyIn is key for a space that was hashed before.
func (t *table) keyIn(space uint64, name string) key {
	return key{
		h1: maphash.String(t.seed1, name) + space,
		h2: maphash.String(t.seed2, name) ^ bits.RotateLeft64(space, 32),
	}
}

// shard returns the shard of k. It goes by other bits than key.home does.
func (t *table) shard(k key) *shard {
	return &t.shards[k.h2&uint64(len(t.shards)-1)]
}

// tend sweeps the shards whose turn has come, in the ordinary case none or one.
// After a pause in the traffic it catches up, some slots at a time.
func (t *table) tend(at int64) {
	// A mark after at, when the clock went back, wraps around and is large.
	if uint64(at)-uint64(t.mark.Load()) >= uint64(t.step) {
		t.catchUp(at)
	}
}

// catchUp is the part of tend that has something to do. A mark that is ahead by
// less than a lap is no reason: it belongs to a Take that read the clock later.
func (t *table) catchUp(at int64) {
	for scanned := 0; scanned < scanAtOnce; {
		mark := t.mark.Load()
		if mark <= at && at-mark < t.step || mark > at && mark-at < int64(lap) {
			return
		}
		// A mark that is more than a lap behind, or ahead because the clock
		// went back, begins anew: one lap looks at everything.
		next := mark + t.step
		if oldest := at - at%t.step - int64(len(t.shards)-1)*t.step; next < oldest || next > at {
			next = oldest
		}
		if !t.mark.CompareAndSwap(mark, next) {
			return // another Take is at it
		}
		s := &t.shards[t.turns.Add(1)&uint64(len(t.shards)-1)]
		scanned += 1 + s.size()
		s.sweep(longFull(at), false)
	}
}
