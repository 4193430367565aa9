package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// A postgres is a PostgreSQL server.
type postgres struct {
	*pgstore.Store
	pool    *pgxpool.Pool
	opts    pgstore.Options
	timeout time.Duration
}

// newPostgres returns a database whose statements are never prepared, so that they
// go through any pooler.
func newPostgres(ctx context.Context, url string, c *config, timeout time.Duration) (database, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, usageError("the URL of the store is not one of PostgreSQL; want postgres://USER@HOST/DATABASE")
	}
	if config.ConnConfig.ConnectTimeout == 0 || config.ConnConfig.ConnectTimeout > timeout {
		config.ConnConfig.ConnectTimeout = timeout
	}
	config.MinConns = 0
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "claviger"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, errors.New("the pool of connections to PostgreSQL cannot be made with the settings in the URL")
	}
	opts := pgstore.Options{Schema: c.Schema, Mode: pgx.QueryExecModeExec}
	if config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		opts.Mode = pgx.QueryExecModeSimpleProtocol
	}
	s, err := pgstore.New(pool, &opts)
	if err != nil {
		pool.Close()
		return nil, usageError("configuration: %v", err)
	}
	return &postgres{s, pool, opts, timeout}, nil
}

func (p *postgres) open(ctx context.Context) (keys.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	switch err := p.Check(ctx); {
	case errors.Is(err, pgstore.ErrSchema):
		return nil, fmt.Errorf("%w; see claviger help migrate", err)
	case err != nil && !errors.Is(err, pgstore.ErrSettings): // the command check reports settings
		return nil, err
	}
	return p.Store, nil
}

// check checks the server and the way to it as for a host with the same URL.
func (p *postgres) check(ctx context.Context, _ bool) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	asHost, err := pgstore.New(p.pool, &pgstore.Options{Schema: p.opts.Schema})
	if err != nil {
		return err
	}
	return asHost.Check(ctx)
}

func (p *postgres) plan(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	files, err := fs.Glob(pgstore.Migrations(), "*.sql")
	if err != nil {
		return nil, err
	}
	schema := p.opts.Schema
	if schema == "" {
		schema = pgstore.DefaultSchema
	}
	var there, tables bool
	const look = "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL"
	if err := p.pool.QueryRow(ctx, look, p.opts.Mode, schema, schema+".migrations").Scan(&there, &tables); err != nil {
		return nil, err
	}
	done := 0
	if tables {
		last := "SELECT coalesce(max(version), 0)::int FROM " + pgx.Identifier{schema, "migrations"}.Sanitize()
		if err := p.pool.QueryRow(ctx, last, p.opts.Mode).Scan(&done); err != nil {
			return nil, err
		}
	}
	var steps []string
	if !there {
		steps = append(steps, "create the schema "+schema)
	}
	return append(steps, missing(files, done)...), tooNew(done, len(files))
}

// missing returns a step for each migration that has not run. The first file is number
// 1, and done is the number of the last that has run.
func missing(files []string, done int) (steps []string) {
	for i, name := range files {
		if number, _, _ := strings.Cut(name, "_"); i >= done {
			if n, err := strconv.Atoi(number); err == nil {
				steps = append(steps, fmt.Sprintf("run %s, to version %d", name, n))
			}
		}
	}
	return steps
}

// tooNew returns an error if the tables are newer than this program.
func tooNew(done, known int) error {
	if done > known {
		return fmt.Errorf("%w: the tables have version %d, this program knows none after %d", errUnfit, done, known)
	}
	return nil
}

func (p *postgres) migrate(ctx context.Context) error { return pgstore.Migrate(ctx, p.pool, &p.opts) }

func (p *postgres) version(ctx context.Context) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	err = p.pool.QueryRow(ctx, "SELECT current_setting('server_version')", p.opts.Mode).Scan(&version)
	return "PostgreSQL " + version, err
}

func (p *postgres) now(ctx context.Context) (t time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var micros int64
	const clock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
	err = p.pool.QueryRow(ctx, clock, p.opts.Mode).Scan(&micros)
	return time.UnixMicro(micros), err
}

func (p *postgres) sweepBuckets(ctx context.Context, limit int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.SweepBuckets(ctx, limit)
}

func (p *postgres) close() error {
	p.pool.Close()
	return nil
}
