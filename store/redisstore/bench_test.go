package redisstore_test

import (
	"context"
	"fmt"
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
	measure(b, "call=Get", func(ctx context.Context) error { _, err := s.Get(ctx, key.ID); return err })
	measure(b, "call=GetFamily", func(ctx context.Context) error { _, _, err := s.GetFamily(ctx, token.ID); return err })
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

// BenchmarkTake compares taking with the least that a script costs, one that
// reads and one that writes.
func BenchmarkTake(b *testing.B) {
	// Syncs would be most of it.
	c, p := connect(b, private(b, "--appendfsync", "everysec").Socket), prefix()
	s := open(b, c, redisstore.Options{Prefix: p})
	floor := redis.NewScript("return redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)")
	idle := redis.NewScript("return redis.call('GET', KEYS[1]) or ''")
	var n atomic.Int64
	name := p + ":floor"
	many, one := ratelimit.MustPerMinute(1_000_000_000), daily(1)
	measure(b, "call=EVALSHA-get", func(ctx context.Context) error { return idle.Run(ctx, c, []string{name}).Err() })
	measure(b, "call=Take/answer=refused", func(ctx context.Context) error {
		_, err := s.Take(ctx, ratelimit.Bucket{Space: "org", Name: "one"}, one, time.Time{}, 1)
		return err
	})
	measure(b, "call=EVALSHA-set", func(ctx context.Context) error {
		return floor.Run(ctx, c, []string{name}, n.Add(1)).Err()
	})
	measure(b, "call=Take/answer=admitted", func(ctx context.Context) error {
		_, err := s.Take(ctx, ratelimit.Bucket{Space: "org", Name: "many"}, many, time.Time{}, 1)
		return err
	})
}
