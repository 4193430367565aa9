package ratelimit_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// endless is a store whose buckets are never empty: it admits every request under a
// limit with a burst above two, and refuses all others.
var endless = storeFunc(func(_ context.Context, _ ratelimit.Bucket, l ratelimit.Limit, _ time.Time, n int) (ratelimit.Decision, error) {
	if l.Burst() > 2 {
		return ratelimit.Decision{Allowed: true, ResetAfter: time.Duration(n) * l.Interval()}, nil
	}
	return ratelimit.Decision{ResetAfter: l.Window()}, nil
})

// BenchmarkLeases is a decision through a Limiter over Leases, and over a Memory in
// the same run. Trips are in the figures, one each 833 ms or each second.
func BenchmarkLeases(b *testing.B) {
	ctx := context.Background()
	limits := map[string]ratelimit.Limit{
		"leased":  ratelimit.MustPer(1, time.Nanosecond, int(min(int64(100_000_000_000), math.MaxInt))),
		"refused": ratelimit.MustPer(1, 30*time.Second, 2),
	}
	stores := map[string]func() ratelimit.Store{
		"Memory": func() ratelimit.Store { return new(ratelimit.Memory) },
		"Leases": func() ratelimit.Store { return newLeases(b, endless, nil) },
	}
	for outcome, l := range limits {
		for name, store := range stores {
			lim, err := ratelimit.NewLimiter(store(), nil)
			if err != nil {
				b.Fatal(err)
			}
			for _, n := range []int{l.Burst() / 2, 1, 1} { // a lease is as large as what was spent
				lim.Take(ctx, "acme", l, n)
			}
			b.Run("outcome="+outcome+"/by="+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if d, err := lim.Take(ctx, "acme", l, 1); err != nil || d.Allowed != (outcome == "leased") {
						b.Fatal(d, err)
					}
				}
			})
			b.Run("outcome="+outcome+"/by="+name+"/parallel", func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := lim.Take(ctx, "acme", l, 1); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}
