package redisstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// measure runs a call by one goroutine, and by many.
func measure(b *testing.B, name string, call func(ctx context.Context) error) {
	b.Run(name+"/callers=1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, call(b.Context()))
		}
	})
	b.Run(name+"/callers=many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := call(b.Context()); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkRead compares reads with the bare client's.
func BenchmarkRead(b *testing.B) {
	s, c, p := fresh(b)
	key, token, client := record(keys.KindKey, "key"), record(keys.KindToken, "token"), record(keys.KindClient, "client")
	token.Parent = client.ID
	for _, r := range []keys.Record{key, token, client} {
		must(b, s.Insert(b.Context(), r))
	}
	name := redisstore.RecordKey(p, key.ID)
	measure(b, "call=PING", func(ctx context.Context) error { return c.Ping(ctx).Err() })
	measure(b, "call=HGETALL", func(ctx context.Context) error { return c.HGetAll(ctx, name).Err() })
	measure(b, "call=Get", func(ctx context.Context) error { _, _, err := s.Get(ctx, key.ID); return err })
	measure(b, "call=Get of a token", func(ctx context.Context) error { _, _, err := s.Get(ctx, token.ID); return err })
	must(b, s.Announce(b.Context(), cacheID, time.Second))
	first, err := s.Poll(b.Context(), cacheID, "")
	must(b, err)
	measure(b, "call=Poll of nothing", func(ctx context.Context) error { _, err := s.Poll(ctx, cacheID, first.Next); return err })
	measure(b, "call=LongestLease", func(ctx context.Context) error { _, err := s.LongestLease(ctx); return err })
}

// BenchmarkWrite compares writes with the bare client's, on a server that syncs
// each of them.
func BenchmarkWrite(b *testing.B) {
	s, c, p := fresh(b)
	var n atomic.Int64
	measure(b, "call=HSET", func(ctx context.Context) error {
		return c.HSet(ctx, fmt.Sprintf("%s:x%d", p, n.Add(1)), "field", "value").Err()
	})
	measure(b, "call=Insert", func(ctx context.Context) error {
		return s.Insert(ctx, record(keys.KindKey, fmt.Sprint("key ", n.Add(1))))
	})
	measure(b, "call=Insert+Update", func(ctx context.Context) error {
		r := record(keys.KindKey, fmt.Sprint("updated ", n.Add(1)))
		if err := s.Insert(ctx, r); err != nil {
			return err
		}
		return s.Update(ctx, r)
	})
}

// BenchmarkTake compares taking with a ping and with the least that a script
// costs: one that reads, one that reads and writes, and one that is told the time
// and does the arithmetic in floating point, which is wrong by some hundred
// nanoseconds and for the rest what Take does.
func BenchmarkTake(b *testing.B) {
	// Syncs would be most of it.
	c, p := connect(b, private(b, "--appendfsync", "everysec").Socket), prefix()
	s := open(b, c, redisstore.Options{Prefix: p})
	ctx := b.Context()
	name := []string{p + ":floor"}
	script := func(source string) func(args ...any) error {
		sum := redis.NewScript(source).Load(ctx, c).Val()
		return func(args ...any) error { return c.EvalSha(ctx, sum, name, args...).Err() }
	}
	get := script("return redis.call('GET', KEYS[1]) or ''")
	set := script("redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000) return 1")
	gcra := script(`
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local new = tat + ARGV[1]
if new - now > tonumber(ARGV[2]) then
  return {0, tostring(tat - now)}
end
redis.call('SET', KEYS[1], string.format('%.6f', new), 'PX', math.ceil((new - now) * 1000) + 1000)
return {1, tostring(new - now)}`)
	var n atomic.Int64
	many, one := ratelimit.MustPerMinute(1_000_000_000), daily(1)
	take := func(name string, l ratelimit.Limit) func() error {
		return func() error {
			_, err := s.Take(ctx, ratelimit.Bucket{Space: "org", Name: name}, l, time.Time{}, 1)
			return err
		}
	}
	ways := []struct {
		name string
		call func() error
	}{
		{"floor-ping", func() error { return c.Ping(ctx).Err() }},
		{"floor-evalsha-get", func() error { return get() }},
		{"refused", take("one", one)},
		{"floor-evalsha-set", func() error { return set(n.Add(1)) }},
		{"floor-evalsha-gcra", func() error { return gcra("0.00000006", "60") }},
		{"admitted", take("many", many)},
	}
	for _, callers := range []int{1, 16, 64} {
		for _, way := range ways {
			b.Run(fmt.Sprintf("callers=%d/call=%s", callers, way.name), func(b *testing.B) {
				b.ReportAllocs()
				var left atomic.Int64
				left.Store(int64(b.N))
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if err := way.call(); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}
