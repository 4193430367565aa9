package main

import (
	"context"
	"errors"
	"fmt"
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

// stores are where the API keeps what it keeps.
type stores struct {
	records keys.Store
	limits  ratelimit.Store
	uses    keys.UseStore // the records, if they keep last uses
	close   func() error
}

// openStores opens the store that the flag -store names, and makes its tables
// if need be. The flag -limits says where limits live: "local", "store", the
// URL of another store, or "" for the store if it can keep them. Errors do not
// repeat what may hold a password.
func openStores(ctx context.Context, name, limits string) (s *stores, err error) {
	scheme, rest, _ := strings.Cut(name, ":")
	switch scheme {
	case "memory":
		if rest != "" {
			return nil, errors.New("-store memory takes nothing more")
		}
		memory := new(store.Memory)
		s = &stores{records: memory, limits: &memory.Memory, close: func() error { return nil }}
	case "sqlite":
		s, err = openSQLite(rest)
	case "postgres", "postgresql":
		s, err = openPostgres(ctx, name)
	case "redis", "rediss", "unix":
		s, err = openRedis(ctx, name)
	default:
		// What was given may be a DSN of another form, with a password in it.
		return nil, errors.New("-store: unknown kind of store; want memory, sqlite:FILE, postgres://… or redis://…")
	}
	if err != nil {
		return nil, fmt.Errorf("-store %s: %w", scheme, err)
	}
	s.uses, _ = s.records.(keys.UseStore)
	switch {
	case limits == "local", limits == "" && s.limits == nil:
		s.limits = new(ratelimit.Memory)
	case strings.Contains(limits, ":") && limits != name:
		var other *stores
		if other, err = openStores(ctx, limits, "store"); err == nil {
			closeRecords := s.close
			s.limits = other.limits
			s.close = func() error { return errors.Join(closeRecords(), other.close()) }
		} else {
			err = fmt.Errorf("-limits: %w", err)
		}
	case limits != "" && limits != "store" && limits != name:
		err = errors.New("-limits: want local, store, or the URL of a store")
	case s.limits == nil:
		err = fmt.Errorf("-limits store: the store %s keeps no limits", scheme)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// openSQLite opens a file. Limits stay in memory: the file belongs to one
// machine.
func openSQLite(path string) (*stores, error) {
	s, err := sqlitestore.Open(path, nil)
	if err != nil {
		return nil, err
	}
	return &stores{records: s, close: s.Close}, nil
}

func openPostgres(ctx context.Context, url string) (*stores, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("not a URL that PostgreSQL's clients read")
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
	return &stores{records: s, limits: s, close: func() error { pool.Close(); return nil }}, nil
}

// openRedis opens a Redis or Valkey server. The time limits are short: a check
// that takes longer is answered 503, and a limit that takes longer is decided
// here.
func openRedis(ctx context.Context, url string) (*stores, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("not a URL that Redis's clients read")
	}
	options.ContextTimeoutEnabled = true
	options.DialTimeout = 500 * time.Millisecond
	client := redis.NewClient(options)
	s, err := redisstore.New(client, &redisstore.Options{Timeout: time.Second})
	if err == nil {
		err = s.Check(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &stores{records: s, limits: s, close: client.Close}, nil
}
