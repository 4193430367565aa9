package benchmarks_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// A shared is a store that several processes of a host can share.
type shared interface {
	keys.Store
	ratelimit.Store
}

// memoryStore is a store in memory that cannot be shared: the measure of the others.
func memoryStore(testing.TB) shared { return new(store.Memory) }

var postgresServer = sync.OnceValues(func() (*servers.Server, error) { return servers.Postgres() })

// stopPostgres ends the server, if it was started.
func stopPostgres() {
	if postgresUsed.Load() {
		if s, err := postgresServer(); err == nil {
			_ = s.Close()
		}
	}
}

var postgresUsed atomic.Bool

// postgresStore is a private PostgreSQL on the same machine, over a Unix socket.
func postgresStore(tb testing.TB) shared {
	tb.Helper()
	postgresUsed.Store(true)
	s, err := postgresServer()
	servers.Require(tb, err)
	config := must(pgxpool.ParseConfig(s.DSN))
	config.MaxConns = 16
	pool := must(pgxpool.NewWithConfig(context.Background(), config))
	tb.Cleanup(pool.Close)
	if err := pgstore.Migrate(context.Background(), pool, nil); err != nil {
		tb.Fatal(err)
	}
	return must(pgstore.New(pool, nil))
}

// redisStore is a private Redis on the same machine, over a Unix socket.
func redisStore(tb testing.TB) shared {
	tb.Helper()
	return must(redisstore.New(redisClient(tb), &redisstore.Options{Prefix: "nodes"}))
}

// nodeImpls are the ways in which a host with several processes keeps its records and
// limits.
var nodeImpls = []struct {
	name          string
	open          func(testing.TB) shared
	cache, leases bool
}{
	{"memory", memoryStore, false, false},
	{"postgres", postgresStore, false, false},
	{"postgres-leased", postgresStore, false, true},
	{"postgres-cached-leased", postgresStore, true, true},
	{"redis", redisStore, false, false},
	{"redis-leased", redisStore, false, true},
	{"redis-cached-leased", redisStore, true, true},
}

// newNode makes a host over a store, with a cache and leases in front as is asked
// for. It returns nil for the cache if the store can have none.
func newNode(tb testing.TB, s shared, cached, leased bool) (h *host, cache *keys.Cache) {
	tb.Helper()
	h = new(host)
	var records keys.Store = s
	var limits ratelimit.Store = s
	if memory, ok := s.(*store.Memory); ok {
		limits = &memory.Memory
	}
	if _, ok := records.(keys.Feed); ok && cached {
		cache = must(keys.NewCache(records, nil))
		run(tb, cache)
		records = cache
	}
	if leased {
		limits = must(ratelimit.NewLeases(limits, nil))
	}
	h.manager = must(keys.NewManager(records, &keys.Options{Catalog: catalog, RateLimit: plenty}))
	h.guard = must(middleware.NewGuard(h.manager.Verifier(), must(ratelimit.NewLimiter(limits, nil)), nil))
	return h, cache
}

// run runs a cache until the end of a benchmark, and returns when it is in use.
func run(tb testing.TB, cache *keys.Cache) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cache.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	for cache.Stats().Age < 0 {
		time.Sleep(time.Millisecond) // until the server has answered, by its own clock
	}
}

// BenchmarkNodesVerify is the check of a key whose record is held here: in memory, or
// in a cache over PostgreSQL or Redis. Without a cache these are asked.
func BenchmarkNodesVerify(b *testing.B) {
	for _, impl := range nodeImpls {
		if impl.leases && !impl.cache {
			continue
		}
		b.Run("impl="+impl.name, func(b *testing.B) {
			h, _ := newNode(b, impl.open(b), impl.cache, impl.leases)
			_, text := h.key(org, plenty)
			r := bearer(text)
			if _, err := h.guard.Check(r, need); err != nil {
				b.Fatal(err)
			}
			verifier, ctx := h.manager.Verifier(), context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verifier.Verify(ctx, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNodesCheck is the decision on a request, with its limit: in memory, or over
// PostgreSQL or Redis, with and without a cache and leases.
func BenchmarkNodesCheck(b *testing.B) {
	for _, impl := range nodeImpls {
		b.Run("impl="+impl.name, func(b *testing.B) {
			h, _ := newNode(b, impl.open(b), impl.cache, impl.leases)
			_, text := h.key(org, plenty)
			r := bearer(text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.guard.Check(r, need); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNodesMisses is 64 checks at once of a key that is not held. It says how
// many reads of PostgreSQL they take.
func BenchmarkNodesMisses(b *testing.B) {
	h, cache := newNode(b, postgresStore(b), true, true)
	verifier, ctx := h.manager.Verifier(), context.Background()
	before := cache.Stats().Reads
	for b.Loop() {
		b.StopTimer()
		_, text := h.key(org, plenty)
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range 64 {
			all.Go(func() {
				<-begin
				if _, err := verifier.Verify(ctx, text); err != nil {
					b.Error(err)
				}
			})
		}
		b.StartTimer()
		close(begin)
		all.Wait()
	}
	b.ReportMetric(float64(cache.Stats().Reads-before)/float64(b.N), "reads/op")
}

// BenchmarkNodesServer is requests to a real server behind a Guard, on 16 connections
// at once, with all that this host keeps in memory, in PostgreSQL or in Redis.
func BenchmarkNodesServer(b *testing.B) {
	const connections = 16
	for _, impl := range nodeImpls {
		b.Run("impl="+impl.name, func(b *testing.B) {
			h, cache := newNode(b, impl.open(b), impl.cache, impl.leases)
			if impl.cache && cache == nil {
				b.Skip("the store has no feed of changes")
			}
			_, text := h.key(org, plenty)
			request := wireRequest(text)
			sessions := newSessions(b, h.guard.Require(scope)(nothing), connections)
			var next atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for _, s := range sessions {
				all.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if good, err := s.do(request); !good || err != nil {
							b.Error(good, err)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// TestNodes sends requests through each of the ways.
func TestNodes(t *testing.T) {
	t.Parallel()
	for _, impl := range nodeImpls {
		h, _ := newNode(t, impl.open(t), impl.cache, impl.leases)
		_, text := h.key(org, plenty)
		for text, want := range map[string]bool{text: true, must(newKeyText()): false} {
			good, err := newSession(t, h.guard.Require(scope)(nothing)).do(wireRequest(text))
			if good != want || err != nil && want {
				t.Errorf("%s: %t, %v", impl.name, good, err)
			}
		}
	}
}
