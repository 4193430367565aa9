package ratelimit

import (
	"sync/atomic"
	"time"
)

const (
	// maxShards is the number of shards in the largest tables. A Take may have to
	// move a whole shard, so more shards make the longest pause shorter. Each
	// shard takes 64 bytes even if it is empty. With DefaultMaxBuckets a shard
	// holds at most 4096 buckets.
	maxShards = 4096

	// minPerShard is the least number of buckets that a shard may hold, if
	// there are several. Shards fill unevenly, small ones most of all.
	minPerShard = 512

	// lap is the time in which all shards are looked at once, given some
	// traffic. With a window of a minute, idle memory is given back after a
	// window and two laps, which are two windows.
	lap = 30 * time.Second

	// scanAtOnce is the number of slots after which one Take stops looking at
	// further shards, even if it is behind schedule.
	scanAtOnce = 4096

	// half is the tick of the origin, in the middle of the positive int64s.
	half = 1 << 62
)

// A table holds the buckets of a [Memory] in shards. Each shard has a lock of its
// own.
type table struct {
	hasher
	origin time.Time // see ticks
	step   int64     // ticks between the turns of two shards to be looked at

	// mark is the tick at which the last turn was due, a multiple of step, and
	// turns is the number of turns so far. The shards take turns in their
	// order, however late they are.
	mark  atomic.Int64
	turns atomic.Uint64

	shards []shard // a power of two of them
}

// newTable returns a table for at most that many buckets. The origin should be
// about the present time: ticks reach a century into the past and the future.
func newTable(most int, origin time.Time) *table {
	shards := 1
	for shards < maxShards && most/(2*shards) >= minPerShard {
		shards *= 2
	}
	t := &table{
		hasher: newHasher(),
		origin: origin,
		step:   int64(lap) / int64(shards),
		shards: make([]shard, shards),
	}
	t.mark.Store(half - half%t.step)
	for i := range t.shards {
		t.shards[i].most = most / shards
	}
	return t
}

// take takes n requests from the bucket k at the tick at, and fills d, which is
// the zero Decision.
func (t *table) take(k key, l Limit, at int64, n int, d *Decision) error {
	if err := l.Check(n); err != nil {
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

// note moves the bucket k on, at the tick at, by what a store has answered under l.
// The bucket pays for what the store gave out. It is then at least as far ahead as
// the store's bucket, from which others take too. It may be further ahead, since it
// also counts what was admitted while the store failed. It is moved at most one
// window ahead, where it is empty.
func (t *table) note(k key, l Limit, at int64, a *answer) {
	s := t.shard(k)
	s.mu.Lock()
	tat := s.seat(k, at)
	window := l.window()
	next := max(max(*tat, at)+a.taken, at+min(max(a.ahead, 0), window))
	s.settle(tat, max(*tat, min(next, at+l.horizon())))
	s.mu.Unlock()
	t.tend(at)
}

// ticks returns now in nanoseconds on the table's own scale. The scale begins far
// above zero, which is the timestamp of an empty slot, and ends where [Limit.Take]
// stops the clock. A time more than about a century from the origin counts as the
// nearest tick on the scale. Ticks are monotonic if now has a monotonic reading.
func (t *table) ticks(now time.Time) int64 {
	return half + min(max(int64(now.Sub(t.origin)), 1-half), maxTime-half)
}

// ticksNow returns the tick of the present time.
func (t *table) ticksNow() int64 { return half + int64(time.Since(t.origin)) }

// shard returns the shard of k. It depends on other bits than key.home does.
func (t *table) shard(k key) *shard {
	return &t.shards[k.h2&uint64(len(t.shards)-1)]
}

// tend sweeps the shards whose turn has come, usually none or one. After a pause
// in the traffic it catches up, a limited number of slots in each call.
func (t *table) tend(at int64) {
	// If the mark is after at, the difference wraps around and is large.
	if uint64(at)-uint64(t.mark.Load()) >= uint64(t.step) {
		t.catchUp(at)
	}
}

// catchUp does the work of tend, if there is any. There is none if the mark is
// ahead by less than a lap: another Take has then read the clock later.
func (t *table) catchUp(at int64) {
	for scanned := 0; scanned < scanAtOnce; {
		mark := t.mark.Load()
		if mark <= at && at-mark < t.step || mark > at && mark-at < int64(lap) {
			return
		}
		// If the mark is more than a lap behind, or ahead because the clock was
		// set back, it starts anew: one lap looks at everything.
		next := mark + t.step
		if oldest := at - at%t.step - int64(len(t.shards)-1)*t.step; next < oldest || next > at {
			next = oldest
		}
		if !t.mark.CompareAndSwap(mark, next) {
			return // another Take is catching up
		}
		s := &t.shards[t.turns.Add(1)&uint64(len(t.shards)-1)]
		scanned += 1 + s.size()
		s.sweep(longFull(at), false)
	}
}
