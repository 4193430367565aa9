package ratelimit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultMaxBuckets is the number of buckets that a [Memory] holds at most if
// [Memory.MaxBuckets] is not set.
const DefaultMaxBuckets = 1 << 24

// Memory is a [Store] that keeps its buckets in the memory of the process, 32 to
// 38 bytes for each when they are many, and at most a quarter of a megabyte for
// itself. The zero Memory is ready for use. It is safe for concurrent use, must
// not be copied after its first use, and starts no goroutine.
//
// Only full buckets are ever dropped, because a full bucket is the same as none.
// Memory looks for them as it works: each Take does a small, bounded share, so
// that all buckets are looked at twice a minute as long as there are some ten
// decisions a second for each million of them; with fewer it takes longer. Tables
// that are mostly idle shrink, and the memory goes back. Without any traffic
// nothing is looked at; a host that wants the memory back even then calls
// [Memory.Sweep] from time to time.
//
// Memory does not keep the names but a keyed hash of 128 bits, and it measures
// time by the monotonic clock if the times that it is given have a monotonic
// reading, as those of [time.Now] do, so that it does not notice when the wall
// clock is set.
type Memory struct {
	// MaxBuckets bounds the number of buckets, and with it the memory. If zero
	// or negative, [DefaultMaxBuckets]. It must not change after the first use.
	//
	// When about as many buckets are held that are not full, newcomers are
	// neither turned away nor admitted free, and nobody's bucket is dropped for
	// them: they share a few spare buckets, and are limited together until there
	// is room again.
	MaxBuckets int

	once  sync.Once
	table atomic.Pointer[table]
}

var _ Store = (*Memory)(nil)

// inProcess marks stores that a [Limiter] need not bound in time. Structs that
// embed a Memory have it too.
func (m *Memory) inProcess() {}

// Take takes n requests from bucket b under limit l at the time now. It ignores
// the context, since it waits for nothing. It fails with [ErrInvalidLimit] and [ErrCost]
// as [Limit.Take] does, and takes any two strings for b.
//
// Times need not grow from call to call. A bucket is only dropped once it has
// been full for a second, so that readings of the clock which arrive out of order
// by less than that find every bucket that they should.
func (m *Memory) Take(_ context.Context, b Bucket, l Limit, now time.Time, n int) (d Decision, err error) {
	t := m.open()
	err = t.take(t.key(b), l, t.ticks(now), n, &d)
	return d, err
}

// Len returns the number of buckets held. Full ones count until they are
// dropped; the spare buckets of newcomers do not count.
func (m *Memory) Len() int {
	n := 0
	if t := m.table.Load(); t != nil {
		for i := range t.shards {
			n += t.shards[i].len()
		}
	}
	return n
}

// Sweep drops every bucket that is full at the time now, gives back the memory
// that is not needed any more, and returns the number of buckets dropped. Hosts
// need not call it, see [Memory]. Later Takes should not carry earlier times, to
// which a dropped bucket is full too soon. Sweep locks a small part of the buckets at a time,
// so that Takes hardly wait for it.
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

// tend looks for full buckets, as a Take does.
func (m *Memory) tend(now time.Time) {
	if t := m.table.Load(); t != nil {
		t.tend(t.ticks(now))
	}
}

// open returns the table, which is made on first use.
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
