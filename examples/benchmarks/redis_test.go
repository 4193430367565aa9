package benchmarks_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/throttled/throttled/v2"
	goredisstore "github.com/throttled/throttled/v2/store/goredisstore.v9"
	"github.com/ulule/limiter/v3"
	ululeredis "github.com/ulule/limiter/v3/drivers/store/redis"

	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// redisServer is one private server for all cases, without a file: syncs would
// be most of what is measured.
var redisServer = struct {
	sync.Mutex
	server *servers.Server
	err    error
}{}

func startRedis() (*servers.Server, error) {
	r := &redisServer
	r.Lock()
	defer r.Unlock()
	if r.server == nil && r.err == nil {
		r.server, r.err = servers.Redis("--appendonly", "no", "--save", "")
	}
	return r.server, r.err
}

func stopRedis() {
	if redisServer.server != nil {
		_ = redisServer.server.Close()
	}
}

// redisClient returns a client as go-redis ships, but that contexts end calls.
func redisClient(tb testing.TB) *redis.Client {
	tb.Helper()
	s, err := startRedis()
	servers.Require(tb, err)
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: s.Socket, ContextTimeoutEnabled: true})
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

var errRefused = errors.New("refused")

// A redisImpl is one row: how to make a limiter over a client. The call fails
// with errRefused if a request is not admitted.
type redisImpl struct {
	name string
	new  func(c *redis.Client, prefix string, q quota) (call func(ctx context.Context, name string) error)
}

// floorScript is the least that a script of GCRA does: one read, one write, and
// the server's clock, in microseconds. Claviger's counts in nanoseconds, heeds
// damage and clocks that went back, and returns what a client should be told.
var floorScript = redis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
if tat < now then tat = now end
tat = tat + ARGV[1]
if tat - now > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', string.format('%.0f', (tat - now) / 1000 + 1))
return 1`)

var redisImpls = []redisImpl{
	{"floor", func(c *redis.Client, prefix string, q quota) func(context.Context, string) error {
		cost, window := q.cost.Microseconds(), q.window().Microseconds()
		return func(ctx context.Context, name string) error {
			n, err := floorScript.EvalSha(ctx, c, []string{prefix + name}, cost, window).Int()
			return admitted(n == 1, err)
		}
	}},
	{"claviger", func(c *redis.Client, prefix string, q quota) func(context.Context, string) error {
		s := must(redisstore.New(c, &redisstore.Options{Prefix: prefix}))
		l := must(ratelimit.NewLimiter(s, &ratelimit.Options{OnFailure: ratelimit.FailClosed}))
		limit := must(ratelimit.NewLimit(q.rate(), q.burst))
		return func(ctx context.Context, name string) error {
			d, err := l.Take(ctx, name, limit, 1)
			return admitted(d.Allowed, err)
		}
	}},
	{"redis_rate", func(c *redis.Client, prefix string, q quota) func(context.Context, string) error {
		l := redis_rate.NewLimiter(c)
		limit := redis_rate.Limit{Rate: q.burst, Burst: q.burst, Period: q.window()}
		return func(ctx context.Context, name string) error {
			res, err := l.Allow(ctx, prefix+name, limit)
			return admitted(err == nil && res.Allowed == 1, err)
		}
	}},
	{"ulule", func(c *redis.Client, prefix string, q quota) func(context.Context, string) error {
		s := must(ululeredis.NewStoreWithOptions(c, limiter.StoreOptions{Prefix: prefix}))
		l := limiter.New(s, limiter.Rate{Period: q.window(), Limit: int64(q.burst)})
		return func(ctx context.Context, name string) error {
			res, err := l.Get(ctx, name)
			return admitted(!res.Reached, err)
		}
	}},
	{"throttled", func(c *redis.Client, prefix string, q quota) func(context.Context, string) error {
		l := must(throttled.NewGCRARateLimiterCtx(must(goredisstore.NewCtx(c, prefix)), throttledQuota(q)))
		// Callers of one key get in each other's way. By default, a limiter
		// gives up the tenth time.
		l.SetMaxCASAttemptsLimit(1000)
		return func(ctx context.Context, name string) error {
			limited, _, err := l.RateLimitCtx(ctx, name, 1)
			return admitted(!limited, err)
		}
	}},
}

func admitted(yes bool, err error) error {
	if err == nil && !yes {
		return errRefused
	}
	return err
}

// redisNames are the keys of BenchmarkRedisLimit.
var redisNames = names(1024)

// BenchmarkRedisLimit is one decision over a server on the same machine, by so
// many goroutines at once; the time is that of all of them together. floor-ping
// is the round trip without any work, and floor that of the least script.
func BenchmarkRedisLimit(b *testing.B) {
	c := redisClient(b)
	calls := map[string]func(context.Context, string) error{
		"floor-ping": func(ctx context.Context, _ string) error { return c.Ping(ctx).Err() },
	}
	rows := []string{"floor-ping"}
	if err := floorScript.Load(b.Context(), c).Err(); err != nil {
		b.Fatal(err)
	}
	for i, impl := range redisImpls {
		calls[impl.name] = impl.new(c, fmt.Sprintf("b%d", i), ample(len(redisNames)))
		rows = append(rows, impl.name)
	}
	for _, par := range []int{1, 16, 64} {
		for _, name := range rows {
			b.Run(fmt.Sprintf("par=%d/impl=%s", par, name), func(b *testing.B) {
				b.ReportAllocs()
				inParallel(b, par, calls[name])
			})
		}
	}
}

// inParallel has exactly par goroutines share the calls. B.RunParallel starts
// multiples of the number of processors, and B.Loop is for one goroutine.
func inParallel(b *testing.B, par int, call func(context.Context, string) error) {
	errs := make([]error, par)
	var group sync.WaitGroup
	for g := range par {
		share := b.N / par
		if g < b.N%par {
			share++
		}
		group.Go(func() {
			i := g * len(redisNames) / par
			for range share {
				if err := call(b.Context(), redisNames[i]); err != nil {
					errs[g] = err
					return
				}
				i = (i + stride) % len(redisNames)
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
}

func TestRedisLimit(t *testing.T) {
	c := redisClient(t)
	if err := c.FlushDB(t.Context()).Err(); err != nil { // of a run before this one
		t.Fatal(err)
	}
	if err := floorScript.Load(t.Context(), c).Err(); err != nil {
		t.Fatal(err)
	}
	for i, impl := range redisImpls {
		const burst = 5
		call := impl.new(c, fmt.Sprintf("t%d", i), quota{burst, time.Hour})
		for n := range burst {
			if err := call(t.Context(), "one"); err != nil {
				t.Errorf("%s: request %d of %d: %v", impl.name, n+1, burst, err)
			}
		}
		if err := call(t.Context(), "one"); !errors.Is(err, errRefused) {
			t.Errorf("%s: the request over the limit: %v, want %v", impl.name, err, errRefused)
		}
		if err := call(t.Context(), "two"); err != nil {
			t.Errorf("%s: the request of another key: %v", impl.name, err)
		}
	}
}
