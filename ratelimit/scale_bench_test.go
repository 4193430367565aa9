package ratelimit_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// BenchmarkMemoryLife is the life of a Memory of some size: it is filled, swept
// while nothing is full, collected, and left idle but for ten decisions a second
// and a million buckets, over two windows of a clock of the benchmark's. The
// figures, each from the best round, since the worst say more about the machine:
//
//	take-ns      one decision, while all buckets are there, in an order not foreseen
//	B/key        what a bucket takes
//	sweep-ms     one Sweep
//	gc-ms        one collection, of the names too; gc-pause-µs is how long all stopped
//	idle-max-µs  the slowest decision of those while buckets are given back
//	left-%       of the heap that is still in use afterwards
func BenchmarkMemoryLife(b *testing.B) {
	for _, keys := range []int{1000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			least := make(map[string]float64)
			note := func(unit string, value float64) {
				if old, ok := least[unit]; !ok || value < old {
					least[unit] = value
				}
			}
			all := names(keys)
			for b.Loop() {
				life(b, all, note)
			}
			for unit, value := range least {
				b.ReportMetric(value, unit)
			}
		})
	}
}

// life is one round of BenchmarkMemoryLife.
func life(b *testing.B, all []string, note func(unit string, value float64)) {
	ctx := context.Background()
	l := ratelimit.MustPerMinute(600)
	before := heap()
	m := new(ratelimit.Memory)
	take := func(i int, now time.Time, n int) {
		if _, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: all[i%len(all)]}, l, now, n); err != nil {
			b.Fatal(err)
		}
	}
	for i := range all {
		take(i, epoch, l.Burst()-1)
	}
	full := heap() - before
	note("B/key", float64(full)/float64(len(all)))

	const takes = 200_000
	begin := time.Now()
	for i := range takes {
		take(i*stride, epoch, 1)
	}
	note("take-ns", float64(time.Since(begin))/takes)

	begin = time.Now()
	m.Sweep(epoch)
	note("sweep-ms", time.Since(begin).Seconds()*1e3)

	begin = time.Now()
	runtime.GC()
	note("gc-ms", time.Since(begin).Seconds()*1e3)
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	note("gc-pause-µs", float64(stats.PauseNs[(stats.NumGC+255)%256])/1e3)

	perSecond := 10 * max(1, len(all)/1_000_000)
	var slowest time.Duration
	for i := range 120 * perSecond {
		now := epoch.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		begin := time.Now()
		take(i%10, now, 1)
		slowest = max(slowest, time.Since(begin))
	}
	note("idle-max-µs", float64(slowest)/1e3)
	left := math.Max(0, float64(heap())-float64(before))
	note("left-%", 100*left/float64(full))
	runtime.KeepAlive(m)
}
