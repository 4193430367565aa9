package ratelimit_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// stride visits all keys in an order that the processor does not foresee.
const stride = 611_953

// benchLimits returns a limit that admits every request of a benchmark, and one
// that refuses all but the first.
func benchLimits(b *testing.B) map[string]ratelimit.Limit {
	b.Helper()
	accepted, err := ratelimit.NewLimit(1e9, min(1<<50, math.MaxInt))
	if err != nil {
		b.Fatal(err)
	}
	refused, err := ratelimit.NewLimit(1.0/(300*24*3600), 1)
	if err != nil {
		b.Fatal(err)
	}
	return map[string]ratelimit.Limit{"accepted": accepted, "refused": refused}
}

func BenchmarkLimitTake(b *testing.B) {
	for outcome, l := range benchLimits(b) {
		b.Run("outcome="+outcome, func(b *testing.B) {
			b.ReportAllocs()
			var tat int64
			now := epoch.UnixNano()
			for b.Loop() {
				next, _, err := l.Take(tat, now, 1)
				if err != nil {
					b.Fatal(err)
				}
				tat, now = next, now+1
			}
		})
	}
}

func BenchmarkPerMinute(b *testing.B) {
	b.ReportAllocs()
	n := 600
	for b.Loop() {
		if _, err := ratelimit.PerMinute(n); err != nil {
			b.Fatal(err)
		}
		n ^= 1
	}
}

// BenchmarkTake is a decision as a host makes it, the reading of the clock
// included. A million keys are cold: hardly one is in the processor's cache.
func BenchmarkTake(b *testing.B) {
	for _, keys := range []int{1, 1000, 1_000_000} {
		all := names(keys)
		for outcome, l := range benchLimits(b) {
			b.Run(fmt.Sprintf("keys=%d/outcome=%s", keys, outcome), func(b *testing.B) {
				lim, err := ratelimit.NewLimiter(&ratelimit.Memory{}, nil)
				if err != nil {
					b.Fatal(err)
				}
				ctx := context.Background()
				for _, name := range all {
					lim.Take(ctx, name, l, 1)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					d, err := lim.Take(ctx, all[i], l, 1)
					if err != nil || d.Allowed != (outcome == "accepted") {
						b.Fatal(d, err)
					}
					i = (i + stride) % keys
				}
			})
		}
	}
}

func BenchmarkTakeParallel(b *testing.B) {
	for _, keys := range []int{1, 1000, 1_000_000} {
		all := names(keys)
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			lim, err := ratelimit.NewLimiter(&ratelimit.Memory{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			l := ratelimit.MustPerMinute(600)
			var start atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				ctx := context.Background()
				i := int(start.Add(7919)) % keys
				for pb.Next() {
					if _, err := lim.Take(ctx, all[i], l, 1); err != nil {
						b.Fatal(err)
					}
					i = (i + stride) % keys
				}
			})
		})
	}
}

// BenchmarkFloor is what a decision cannot do without: the monotonic clock, a map
// behind a lock, and the arithmetic. Compare it with BenchmarkTake in one run.
func BenchmarkFloor(b *testing.B) {
	type bucket struct {
		mu  sync.Mutex
		tat int64
	}
	for _, keys := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			all := names(keys)
			l := benchLimits(b)["accepted"]
			buckets := make(map[string]*bucket)
			for _, name := range all {
				buckets[name] = new(bucket)
			}
			var mu sync.RWMutex
			origin := time.Now()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				now := int64(time.Since(origin))
				mu.RLock()
				p := buckets[all[i]]
				mu.RUnlock()
				p.mu.Lock()
				next, d, err := l.Take(p.tat, now, 1)
				p.tat = next
				p.mu.Unlock()
				if err != nil || !d.Allowed {
					b.Fatal(d, err)
				}
				i = (i + stride) % keys
			}
		})
	}
}

// BenchmarkTakeAt is a decision whose time the caller has read already, by each
// way to one, and what it cannot do without: a map behind a lock and the
// arithmetic. Compare the ways with the floor in one run.
func BenchmarkTakeAt(b *testing.B) {
	type bucket struct {
		mu  sync.Mutex
		tat int64
	}
	for _, keys := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			ctx := context.Background()
			all := names(keys)
			l := benchLimits(b)["accepted"]
			m := new(ratelimit.Memory)
			lim, err := ratelimit.NewLimiter(m, nil)
			if err != nil {
				b.Fatal(err)
			}
			buckets := make(map[string]*bucket)
			now := time.Now()
			for _, name := range all {
				lim.TakeAt(ctx, name, l, now, 1)
				buckets[name] = new(bucket)
			}
			var mu sync.RWMutex
			ways := []struct {
				name string
				take func(name string) (ratelimit.Decision, error)
			}{
				{"floor", func(name string) (ratelimit.Decision, error) {
					mu.RLock()
					p := buckets[name]
					mu.RUnlock()
					p.mu.Lock()
					next, d, err := l.Take(p.tat, 1<<60, 1)
					p.tat = next
					p.mu.Unlock()
					return d, err
				}},
				{"Limiter", func(name string) (ratelimit.Decision, error) { return lim.TakeAt(ctx, name, l, now, 1) }},
				{"Memory", func(name string) (ratelimit.Decision, error) {
					return m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, now, 1)
				}},
				{"Peek", func(name string) (ratelimit.Decision, error) {
					return m.Peek(ratelimit.Bucket{Space: "org", Name: name}, l, now, 1)
				}},
			}
			for _, way := range ways {
				b.Run("by="+way.name, func(b *testing.B) {
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						if d, err := way.take(all[i]); err != nil || !d.Allowed {
							b.Fatal(d, err)
						}
						i = (i + stride) % keys
					}
				})
			}
		})
	}
}

// BenchmarkMemoryFill fills a Memory and reports what a bucket takes in bytes,
// and how long the slowest Takes took: one in ten thousand is slower. (The very
// slowest says more about the machine's scheduler.)
func BenchmarkMemoryFill(b *testing.B) {
	for _, keys := range []int{700_000, 800_000, 900_000, 1_000_000, 1_150_000, 1_300_000, 10_000_000} {
		b.Run("keys="+strconv.Itoa(keys), func(b *testing.B) {
			ctx := context.Background()
			l, err := ratelimit.NewLimit(1.0/3600, 1)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				var took [10_000]int // by microseconds
				before := heap()
				m := &ratelimit.Memory{}
				for i := range keys {
					name := "org_" + strconv.Itoa(i)
					begin := time.Now()
					if _, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, begin, 1); err != nil {
						b.Fatal(err)
					}
					took[min(time.Since(begin).Microseconds(), int64(len(took)-1))]++
				}
				b.ReportMetric(float64(heap()-before)/float64(keys), "B/key")
				b.ReportMetric(float64(slowest(took[:], keys/10_000)), "p99.99-µs")
				if m.Len() != keys {
					b.Fatalf("%d buckets, want %d", m.Len(), keys)
				}
				runtime.KeepAlive(m)
			}
		})
	}
}

// slowest returns the index in counts above which there are n at most.
func slowest(counts []int, n int) int {
	i := len(counts) - 1
	for ; i > 0 && n >= counts[i]; i-- {
		n -= counts[i]
	}
	return i
}

// BenchmarkMemorySweep is one Sweep over buckets of which none is full.
func BenchmarkMemorySweep(b *testing.B) {
	ctx := context.Background()
	l := ratelimit.MustPerMinute(1)
	var m ratelimit.Memory
	for _, name := range names(1_000_000) {
		if _, err := m.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, epoch, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := m.Sweep(epoch); n != 0 {
			b.Fatal(n)
		}
	}
}
