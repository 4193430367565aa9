package benchmarks_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
)

// A population is one kind of thing that there can be many of. It returns the
// operation on the i-th of n, which must succeed, and the text by which the
// operation knows them, which is not counted.
type population struct {
	op    string
	build func(n int) (do func(i int) bool, texts string)
}

var populations = []population{
	// So many keys, each of which is checked by its text.
	{"verify", func(n int) (func(int) bool, string) {
		db, ctx := new(store.Memory), context.Background()
		manager := must(keys.NewManager(db, &keys.Options{Catalog: catalog}))
		texts := fillKeys(manager, n)
		verifier := manager.Verifier()
		size := len(texts) / n
		return func(i int) bool {
			_, err := verifier.Verify(ctx, texts[i*size:(i+1)*size])
			return err == nil
		}, texts
	}},
	// So many organizations, each with a bucket that is not full.
	{"limit", func(n int) (func(int) bool, string) {
		limiter, ctx := must(ratelimit.NewLimiter(&ratelimit.Memory{}, nil)), context.Background()
		q := ample(n)
		limit := must(ratelimit.NewLimit(q.rate(), q.burst))
		texts := fillNames(n)
		size := len(texts) / n
		do := func(i int) bool {
			d, err := limiter.Take(ctx, texts[i*size:(i+1)*size], limit, 1)
			return err == nil && d.Allowed
		}
		for i := range n {
			do(i)
		}
		return do, texts
	}},
}

// fillKeys makes n keys, ten for each organization, and returns their texts one
// after another: one string, so that the collector has none of them to look at.
func fillKeys(manager *keys.Manager, n int) string {
	ctx := context.Background()
	var b strings.Builder
	for i := range n {
		issued := must(manager.Create(ctx, fmt.Sprintf("org_%d", i/10), keys.Spec{}))
		text := issued.Text.Reveal()
		if i == 0 {
			b.Grow(n * len(text))
		}
		b.WriteString(text)
	}
	return b.String()
}

// fillNames returns n names of the same length, one after another.
func fillNames(n int) string {
	var b strings.Builder
	b.Grow(n * 12)
	for i := range n {
		fmt.Fprintf(&b, "org_%08d", i)
	}
	return b.String()
}

// BenchmarkScale is one check, or one decision, among so many entries, nearly
// all of which are cold, and what they mean for the collector: B/entry is what
// one of them takes, gc-ms the time that a forced collection takes, and
// max-pause-us the longest time in it that everything stood still.
func BenchmarkScale(b *testing.B) {
	sizes := []int{1000, 1_000_000}
	if *scale {
		sizes = append(sizes, 10_000_000)
	}
	for _, p := range populations {
		for _, n := range sizes {
			var do func(int) bool // the same for all runs of one case
			var size int64
			b.Run(fmt.Sprintf("op=%s/entries=%d", p.op, n), func(b *testing.B) {
				if do == nil {
					before := heap()
					var texts string
					do, texts = p.build(n)
					size = heap() - before - int64(len(texts))
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if !do(i) {
						b.Fatal("refused")
					}
					if i += stride % n; i >= n {
						i -= n
					}
				}
				elapsed, pause := collect()
				runtime.KeepAlive(do)
				b.ReportMetric(float64(size)/float64(n), "B/entry")
				b.ReportMetric(elapsed.Seconds()*1e3, "gc-ms")
				b.ReportMetric(pause*1e6, "max-pause-us")
			})
		}
	}
}

// collect runs a full collection and returns how long it took, and the longest
// time in it that the world was stopped, rounded up to the next step of the
// runtime's histogram.
func collect() (elapsed time.Duration, pause float64) {
	runtime.GC()
	before := pauses()
	begin := time.Now()
	runtime.GC()
	elapsed = time.Since(begin)
	after := pauses()
	for i, n := range after.Counts {
		if n > before.Counts[i] {
			pause = after.Buckets[i+1]
		}
	}
	return elapsed, pause
}

// pauses returns how often the collector stopped the world for how many seconds.
func pauses() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

func TestScale(t *testing.T) {
	t.Parallel()
	const n = 1000
	for _, p := range populations {
		do, _ := p.build(n)
		for i := range n {
			if !do(i) {
				t.Errorf("%s: entry %d was refused", p.op, i)
			}
		}
	}
}
