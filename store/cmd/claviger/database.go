package main

import (
	"context"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A database is a server or a file with a store in it.
type database interface {
	// open returns the store. It fails if the tables are not fit for it.
	open(ctx context.Context) (keys.Store, error)

	// plan says what migrate would do, a line for each step.
	plan(ctx context.Context) ([]string, error)
	migrate(ctx context.Context) error

	// check says what is wrong with the server and the tables.
	check(ctx context.Context, limitsAlone bool) error
	// version returns the name of the server's program, and its version.
	version(ctx context.Context) (string, error)
	// now returns the time by the server's clock, or the zero time if it has no
	// clock of its own.
	now(ctx context.Context) (time.Time, error)

	// sweepBuckets removes up to limit full buckets, and returns how many it
	// removed.
	sweepBuckets(ctx context.Context, limit int) (int, error)

	close() error
}

// openDatabase opens the database that a URL names, without connecting to it. The
// errors do not repeat the URL, which may hold a password.
func openDatabase(ctx context.Context, url string, c *config, timeout time.Duration) (database, error) {
	kind, rest, _ := strings.Cut(url, ":")
	switch kind {
	case "sqlite":
		return newSQLite(strings.TrimPrefix(rest, "//"), timeout)
	case "postgres", "postgresql":
		return newPostgres(ctx, url, c, timeout)
	case "redis", "rediss", "unix":
		return newRedis(url, c, timeout)
	}
	return nil, usageError("the URL of the store is of an unknown kind; want sqlite:FILE, postgres://USER@HOST/DATABASE or redis://HOST:6379")
}
