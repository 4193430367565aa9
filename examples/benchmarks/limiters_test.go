package benchmarks_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/didip/tollbooth/v8"
	"github.com/go-chi/httprate"
	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	"golang.org/x/time/rate"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A quota admits burst requests at once, and then one each cost.
type quota struct {
	burst int
	cost  time.Duration
}

func (q quota) window() time.Duration { return time.Duration(q.burst) * q.cost }
func (q quota) rate() rate.Limit      { return rate.Every(q.cost) }

// ample returns a quota of which no benchmark with n keys uses up any: a billion
// requests, over all keys. A request is not paid back soon, so that buckets are
// not full again and forgotten while the benchmark runs.
func ample(n int) quota {
	burst := 1_000_000_000 / n
	return quota{burst, 360 * 24 * time.Hour / time.Duration(burst)}
}

// A limiterImpl is one row: how to make a limiter. The decision takes one
// request from the bucket of a name, and reports whether it is admitted.
type limiterImpl struct {
	name string
	new  func(tb testing.TB, q quota) (decide func(name string) bool)
}

var limiters = []limiterImpl{
	{"floor", func(_ testing.TB, q quota) func(string) bool { return newFloorLimiter(q).take }},
	{"floor-open", func(_ testing.TB, q quota) func(string) bool { return newOpenLimiter(q).take }},
	{"claviger", newClaviger},
	{"go-limiter", newGoLimiter},
	{"httprate", newHTTPRate},
	{"throttled", newThrottled},
	{"tollbooth", newTollbooth},
	{"ulule", newUlule},
	{"x-time", newXTime},
}

// newClaviger is a Limiter over a Memory: GCRA, exact.
func newClaviger(_ testing.TB, q quota) func(string) bool {
	l := must(ratelimit.NewLimiter(&ratelimit.Memory{}, nil))
	limit, ctx := must(ratelimit.NewLimit(q.rate(), q.burst)), context.Background()
	return func(name string) bool {
		d, err := l.Take(ctx, name, limit, 1)
		return err == nil && d.Allowed
	}
}

// newGoLimiter is go-limiter's store in memory: a fixed window.
func newGoLimiter(tb testing.TB, q quota) func(string) bool {
	s := must(memorystore.New(&memorystore.Config{Tokens: uint64(q.burst), Interval: q.window()}))
	ctx := context.Background()
	tb.Cleanup(func() { _ = s.Close(ctx) })
	return func(name string) bool {
		_, _, _, admitted, err := s.Take(ctx, name)
		return err == nil && admitted
	}
}

// newHTTPRate is httprate's decision without its header: a sliding window, by
// two counters.
func newHTTPRate(_ testing.TB, q quota) func(string) bool {
	l := httprate.NewRateLimiter(q.burst, q.window(), httprate.WithResponseHeaders(httprate.ResponseHeaders{}))
	w, r := newWriter(), bearer("")
	return func(name string) bool { return !l.OnLimit(w, r, name) }
}

// newThrottled is throttled's GCRA over its store in memory, without a bound on
// the number of keys.
func newThrottled(_ testing.TB, q quota) func(string) bool {
	l := must(throttled.NewGCRARateLimiterCtx(must(memstore.NewCtx(0)), throttledQuota(q)))
	ctx := context.Background()
	return func(name string) bool {
		limited, _, err := l.RateLimitCtx(ctx, name, 1)
		return err == nil && !limited
	}
}

func throttledQuota(q quota) throttled.RateQuota {
	return throttled.RateQuota{MaxRate: throttled.PerDuration(1, q.cost), MaxBurst: q.burst - 1}
}

// newTollbooth is tollbooth's decision: token buckets in a cache.
func newTollbooth(_ testing.TB, q quota) func(string) bool {
	l := tollbooth.NewLimiter(float64(q.rate()), nil).SetBurst(q.burst)
	return func(name string) bool { return !l.LimitReached(name) }
}

// newUlule is ulule's limiter over its store in memory: a fixed window.
func newUlule(_ testing.TB, q quota) func(string) bool {
	l := limiter.New(memory.NewStore(), limiter.Rate{Period: q.window(), Limit: int64(q.burst)})
	ctx := context.Background()
	return func(name string) bool {
		c, err := l.Get(ctx, name)
		return err == nil && !c.Reached
	}
}

// newXTime is what people write around x/time/rate: a token bucket for each
// key, in a map behind a lock.
func newXTime(_ testing.TB, q quota) func(string) bool {
	var mu sync.RWMutex
	buckets := make(map[string]*rate.Limiter)
	return func(name string) bool {
		mu.RLock()
		l := buckets[name]
		mu.RUnlock()
		if l == nil {
			mu.Lock()
			if l = buckets[name]; l == nil {
				l = rate.NewLimiter(q.rate(), q.burst)
				buckets[name] = l
			}
			mu.Unlock()
		}
		return l.Allow()
	}
}

func TestLimiters(t *testing.T) {
	t.Parallel()
	for _, impl := range limiters {
		t.Run(impl.name, func(t *testing.T) {
			t.Parallel()
			const burst = 5
			decide := impl.new(t, quota{burst, time.Hour})
			for i := range burst {
				if !decide("one") {
					t.Fatalf("request %d of %d was refused", i+1, burst)
				}
			}
			for range 3 {
				if decide("one") {
					t.Error("a request over the limit was admitted")
				}
			}
			if !decide("two") {
				t.Error("the request of another key was refused")
			}
			decide = impl.new(t, ample(1))
			for i := range 10_000 {
				if !decide("one") {
					t.Fatalf("request %d of a billion was refused", i+1)
				}
			}
		})
	}
}

// TestLimitersKeepKeys fills the limiters that were written here, which have to
// grow without losing a bucket.
func TestLimitersKeepKeys(t *testing.T) {
	t.Parallel()
	all := names(100_000)
	for _, impl := range limiters[:3] {
		decide := impl.new(t, quota{1, time.Hour})
		for _, admitted := range []bool{true, false} {
			for _, name := range all {
				if decide(name) != admitted {
					t.Fatalf("%s: the request of %s: admitted %v, want %v", impl.name, name, !admitted, admitted)
				}
			}
		}
	}
}
