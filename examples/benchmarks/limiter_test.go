package benchmarks_test

import (
	"fmt"
	"testing"
)

// BenchmarkLimiter is one decision on one of so many keys, the reading of the
// clock included. A million keys are cold: hardly one is in the processor's
// cache. All keys have a bucket before the first decision is measured.
func BenchmarkLimiter(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		all := names(n)
		for _, impl := range limiters {
			var decide func(string) bool // the same for all runs of one case
			b.Run(fmt.Sprintf("keys=%d/impl=%s", n, impl.name), func(run *testing.B) {
				if decide == nil {
					decide = impl.new(b, ample(n))
					for _, name := range all {
						decide(name)
					}
				}
				run.ReportAllocs()
				i := 0
				for run.Loop() {
					if !decide(all[i]) {
						run.Fatal("refused")
					}
					if i += stride % n; i >= n {
						i -= n
					}
				}
			})
		}
	}
}
