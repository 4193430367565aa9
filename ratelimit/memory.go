package ratelimit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultMaxBuckets is the largest number of buckets that a [Memory] holds if
// [Memory.MaxBuckets] is not set.
const DefaultMaxBuckets = 1 << 24

// A Memory is a [Store] that keeps its buckets in the memory of the process. The
// zero Memory is empty and ready for use. A Memory is safe for concurrent use, must
// not be copied after its first use, and starts no goroutine.
//
// A bucket takes 32 to 38 bytes if there are many, and the Memory itself at most a
// quarter of a megabyte. A Memory drops only full buckets, since a full bucket is
// the same as none. Each Take looks for full buckets in a small part of the memory.
// With at least ten decisions a second for each million buckets, every bucket is
// looked at twice a minute; with fewer it takes longer. Memory that is no longer
// needed is given back. Without any decisions nothing is looked at. A host that
// wants the memory back even then calls [Memory.Sweep] from time to time.
//
// A Memory keeps no names, only a hash of 128 bits under a random seed. If the times
// that it is given have a monotonic reading, as those of [time.Now] do, it does not
// notice when the wall clock is set.
type Memory struct {
	// MaxBuckets bounds the number of buckets, and with it the memory. If zero
	// or negative, [DefaultMaxBuckets]. It must not change after the first use.
	//
	// If a Memory holds about that many buckets and none of them is full, it
	// drops none to make room. Newcomers then share a few spare buckets, and are
	// limited together until there is room again.
	MaxBuckets int

	once  sync.Once
	table atomic.Pointer[table]
}

var _ Store = (*Memory)(nil)

// inProcess marks stores to which a [Limiter] gives no time limit. A struct that
// embeds a Memory has the method too.
func (m *Memory) inProcess() {}

// Take takes n requests from bucket b under limit l at the time now. It ignores
// the context, since it does not wait. It fails as [Limit.Check] does. It takes any
// strings in b, even those that [Bucket.Validate] refuses.
//
// Times need not grow from call to call. A Take drops a bucket only after it has
// been full for a second. So times that are out of order by less than a second
// find every bucket that they need.
func (m *Memory) Take(_ context.Context, b Bucket, l Limit, now time.Time, n int) (d Decision, err error) {
	t := m.open()
	err = t.take(t.key(b), l, t.ticks(now), n, &d)
	return d, err
}

// Len returns the number of buckets. Full buckets count until they are dropped. The
// spare buckets of newcomers do not count.
func (m *Memory) Len() int {
	n := 0
	if t := m.table.Load(); t != nil {
		for i := range t.shards {
			n += t.shards[i].len()
		}
	}
	return n
}

// Sweep drops every bucket that is full at the time now, gives back the memory that
// is no longer needed, and returns the number of buckets dropped. Hosts need not
// call it, see [Memory]. After a Sweep no Take should have an earlier time, at which
// a dropped bucket would not have been full yet. Sweep locks one small part of the
// buckets after the other, so that Takes hardly wait for it.
func (m *Memory) Sweep(now time.Time) int {
	n := 0
	if t := m.table.Load(); t != nil {
		at := t.ticks(now)
		for i := range t.shards {
			n += t.shards[i].sweep(at, true)
		}
	}
	return n
}

// note moves a bucket on to where another store has it, by that store's answer.
func (m *Memory) note(b Bucket, l Limit, now time.Time, a *answer) {
	t := m.open()
	t.note(t.key(b), l, t.ticks(now), a)
}

// open returns the table, and makes it on first use.
func (m *Memory) open() *table {
	if t := m.table.Load(); t != nil {
		return t
	}
	m.once.Do(func() {
		most := m.MaxBuckets
		if most <= 0 {
			most = DefaultMaxBuckets
		}
		m.table.Store(newTable(most, time.Now()))
	})
	return m.table.Load()
}
