package pgstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// benchmark runs f by itself and from 16 goroutines. The number of a call is
// different for all calls.
func benchmark(b *testing.B, f func(ctx context.Context, n int64) error) {
	b.Helper()
	var n atomic.Int64
	b.Run("goroutines=1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := f(b.Context(), n.Add(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("goroutines=16", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(8) // times GOMAXPROCS
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := f(b.Context(), n.Add(1)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// benchStore returns a store with 10,000 tokens of 100 clients.
func benchStore(b *testing.B, opts *pgstore.Options) (*pgstore.Store, string) {
	b.Helper()
	name := schema(b)
	s := openIn(b, name, opts).With(connect(b, "pool_max_conns=16"))
	insert(b, s, record(keys.KindToken, "token"), record(keys.KindClient, "client"))
	for _, sql := range []string{
		`INSERT INTO ` + name + `.records (` + required + `)
			SELECT 'client ' || n, kind, org, parent, label, scopes, rate_limit, token_lifetime, digest, created_at, version
			FROM ` + name + `.records, generate_series(0, 99) AS n WHERE id = 'client'`,
		`INSERT INTO ` + name + `.records (` + required + `)
			SELECT 'token ' || n, kind, org, 'client ' || n % 100, label, scopes, rate_limit, token_lifetime, digest, created_at, version
			FROM ` + name + `.records, generate_series(0, 9999) AS n WHERE id = 'token'`,
		`ANALYZE ` + name + `.records`,
	} {
		if _, err := shared.pool.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	return s, name
}

// BenchmarkRead compares reading a record that has no parent, and one with its
// parent, with what the bare driver needs for one column of one row.
func BenchmarkRead(b *testing.B) {
	s, name := benchStore(b, nil)
	pool := connect(b, "pool_max_conns=16")
	text := `SELECT label FROM ` + name + `.records WHERE id = $1`
	b.Run("call=driver", func(b *testing.B) {
		benchmark(b, func(ctx context.Context, n int64) error {
			var label string
			return pool.QueryRow(ctx, text, fmt.Sprintf("token %d", n%10000)).Scan(&label)
		})
	})
	for _, kind := range []string{"client", "token"} {
		b.Run("call=Get/kind="+kind, func(b *testing.B) {
			benchmark(b, func(ctx context.Context, n int64) error {
				_, _, err := s.Get(ctx, fmt.Sprintf("%s %d", kind, n%100))
				return err
			})
		})
	}
}

// BenchmarkReadExec is BenchmarkRead as behind a pooler.
func BenchmarkReadExec(b *testing.B) {
	s, _ := benchStore(b, &pgstore.Options{Mode: pgx.QueryExecModeExec})
	b.Run("call=Get/kind=token", func(b *testing.B) {
		benchmark(b, func(ctx context.Context, n int64) error {
			_, _, err := s.Get(ctx, fmt.Sprintf("token %d", n%10000))
			return err
		})
	})
}

// BenchmarkWrite waits for the disk, as writes of records do.
func BenchmarkWrite(b *testing.B) {
	s, _ := benchStore(b, nil)
	b.Run("call=Insert", func(b *testing.B) {
		var id atomic.Int64 // for all runs of the benchmark
		benchmark(b, func(ctx context.Context, _ int64) error {
			return s.Insert(ctx, record(keys.KindKey, fmt.Sprintf("key %d", id.Add(1))))
		})
	})
	b.Run("call=Update", func(b *testing.B) {
		var id atomic.Int64
		benchmark(b, func(ctx context.Context, _ int64) error {
			r, _, err := s.Get(ctx, fmt.Sprintf("token %d", id.Add(1)%10000))
			if err != nil {
				return err
			}
			return s.Update(ctx, r)
		})
	})
}

// BenchmarkTake takes from a thousand buckets, from one that all goroutines
// share, and from one that is empty.
func BenchmarkTake(b *testing.B) {
	for _, test := range []struct {
		name   string
		opts   pgstore.Options
		alter  string
		bucket func(n int64) ratelimit.Bucket
		limit  ratelimit.Limit
	}{
		{"many", pgstore.Options{}, "", many, ratelimit.MustPerMinute(1e9)},
		{"many-unlogged", pgstore.Options{}, " SET UNLOGGED", many, ratelimit.MustPerMinute(1e9)},
		{"many-synced", pgstore.Options{SyncTake: true}, "", many, ratelimit.MustPerMinute(1e9)},
		{"many-exec", pgstore.Options{Mode: pgx.QueryExecModeExec}, "", many, ratelimit.MustPerMinute(1e9)},
		{"one", pgstore.Options{}, "", one, ratelimit.MustPerMinute(1e9)},
		{"empty", pgstore.Options{}, "", one, ratelimit.MustPerMinute(1)},
	} {
		b.Run("buckets="+test.name, func(b *testing.B) {
			name := schema(b)
			s := openIn(b, name, &test.opts).With(connect(b, "pool_max_conns=16"))
			if test.alter != "" {
				execute(b, shared.pool, `ALTER TABLE `+name+`.buckets`+test.alter)
			}
			benchmark(b, func(ctx context.Context, n int64) error {
				_, err := s.Take(ctx, test.bucket(n), test.limit, now, 1)
				return err
			})
		})
	}
}

func many(n int64) ratelimit.Bucket { return bucket(fmt.Sprint(n % 1000)) }

func one(int64) ratelimit.Bucket { return bucket("one") }
