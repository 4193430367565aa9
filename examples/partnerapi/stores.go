package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// stores has the stores of the API.
type stores struct {
	records      keys.Store
	limits       ratelimit.Store
	uses         keys.UseStore // the records, if they keep last uses
	trail        bool          // whether to keep a trail
	cache        *keys.Cache   // over the records, if they are cached
	sweepBuckets func(ctx context.Context, limit int) (int, error)
	close        func() error
}

// openStores opens the store that the flag -store names, and makes its tables
// if they are missing. The flag -limits says where limits are kept: "local", "store",
// "leased" for the store with leases, the URL of another store, also with "leased:" in
// front, or "" for the default of the store. If -cache is above 0, it is the lease of a
// cache of records. Errors do not repeat text that may hold a password.
func openStores(ctx context.Context, c config, log *slog.Logger) (*stores, error) {
	s, err := openStore(ctx, c.store, false)
	if err != nil {
		return nil, fmt.Errorf("-store %w", err)
	}
	s.uses, _ = s.records.(keys.UseStore)
	s.trail = c.trail
	if err := s.placeLimits(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("-limits %w", err), s.close())
	}
	if c.cache == 0 {
		return s, nil
	}
	s.cache, err = keys.NewCache(s.records, &keys.CacheOptions{
		Lease:   c.cache,
		OnError: keys.LogErrors(log, "cache"),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("-cache: %w", err), s.close())
	}
	s.records = s.cache
	return s, nil
}

// logFigures logs how the cache and the leases did. A host with metrics reads the
// same figures from time to time.
func (s *stores) logFigures(log *slog.Logger) {
	if s.cache != nil {
		c := s.cache.Stats()
		log.Info("cache", "hits", c.Hits, "misses", c.Misses, "lapses", c.Lapses, "reads", c.Reads, "failed", c.Failed)
	}
	if leases, ok := s.limits.(*ratelimit.Leases); ok {
		l := leases.Stats()
		log.Info("leases", "leased", l.Leased, "refused", l.Refused, "trips", l.Trips)
	}
}

// placeLimits decides where limits are kept.
func (s *stores) placeLimits(ctx context.Context, c config) (err error) {
	url, leased := strings.CutPrefix(c.limits, "leased:")
	switch {
	case c.limits == "local", c.limits == "" && kindOf(c.store) == "sqlite": // where each request would write to the disk
		s.limits, s.sweepBuckets = new(ratelimit.Memory), nil
	case c.limits == "", c.limits == "store", url == c.store:
	case c.limits == "leased":
		leased = true
	case strings.Contains(url, ":"):
		other, err := openStore(ctx, url, true)
		if err != nil {
			return err
		}
		closeRecords := s.close
		s.limits, s.sweepBuckets = other.limits, other.sweepBuckets
		s.close = func() error { return errors.Join(closeRecords(), other.close()) }
	default:
		return errors.New("wants local, store, leased, the URL of a store, or leased:URL")
	}
	if leased {
		if s.limits, err = ratelimit.NewLeases(s.limits, nil); err != nil {
			return fmt.Errorf("leased: %w", err)
		}
	}
	return nil
}

// openStore opens a store, for all that it can keep or for limits alone.
func openStore(ctx context.Context, name string, limitsAlone bool) (s *stores, err error) {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "memory":
		if rest != "" {
			return nil, errors.New("memory takes nothing more")
		}
		memory := new(store.Memory)
		return &stores{records: memory, limits: &memory.Memory, close: func() error { return nil }}, nil
	case "sqlite":
		s, err = openSQLite(rest)
	case "postgres", "postgresql":
		s, err = openPostgres(ctx, name)
	case "redis", "rediss", "unix":
		s, err = openRedis(ctx, name, limitsAlone)
	default:
		// What was given may be a DSN of another form, with a password in it.
		return nil, errors.New("is of an unknown kind; want memory, sqlite:FILE, postgres://… or redis://…")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return s, nil
}

func openSQLite(path string) (*stores, error) {
	s, err := sqlitestore.Open(path, nil)
	if err != nil {
		return nil, err
	}
	return &stores{records: s, limits: s, sweepBuckets: s.SweepBuckets, close: s.Close}, nil
}

func openPostgres(ctx context.Context, url string) (*stores, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("not a URL of PostgreSQL; want postgres://USER@HOST/DATABASE")
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	s, err := pgstore.New(pool, nil)
	if err == nil {
		err = pgstore.Migrate(ctx, pool, nil)
	}
	if err == nil {
		err = s.Check(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &stores{records: s, limits: s, sweepBuckets: s.SweepBuckets, close: func() error { pool.Close(); return nil }}, nil
}

// openRedis opens a Redis or Valkey server. The time limits are short: if a check takes
// longer, the answer is 503, and if a limit takes longer, this process decides. A server
// that only keeps limits may lose them when it ends, and need not tell its settings.
func openRedis(ctx context.Context, url string, limitsAlone bool) (*stores, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("not a URL of Redis; want redis://HOST:6379, rediss:// with TLS, or unix:///SOCKET")
	}
	options.ContextTimeoutEnabled = true
	options.DialTimeout = 500 * time.Millisecond
	client := redis.NewClient(options)
	s, err := redisstore.New(client, &redisstore.Options{Timeout: time.Second})
	switch {
	case err != nil:
	case !limitsAlone:
		err = s.Check(ctx)
	default:
		if err = s.CheckLimits(ctx); errors.Is(err, redisstore.ErrNotTold) {
			err = nil
		}
	}
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &stores{records: s, limits: s, close: client.Close}, nil
}
