package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// A sqlite is a file of SQLite's. Only migrate makes it, or changes its tables.
type sqlite struct {
	path    string
	timeout time.Duration
	db      *sql.DB // nil until pool is called
	store   *sqlitestore.Store
}

func newSQLite(path string, timeout time.Duration) (database, error) {
	if path == "" {
		return nil, usageError("the URL of the store names no file; want sqlite:FILE")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return &sqlite{path: path, timeout: timeout}, nil
}

// pool returns connections to the file, with the settings that the store demands.
func (l *sqlite) pool() (*sql.DB, error) {
	if l.db != nil {
		return l.db, nil
	}
	if _, err := os.Stat(l.path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s; claviger migrate makes it", l.path)
		}
		return nil, err
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(l.path), RawQuery: url.Values{
		"mode":          {"rw"},
		"_busy_timeout": {strconv.FormatInt(l.timeout.Milliseconds(), 10)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", file.String())
	l.db = db
	return db, err
}

func (l *sqlite) open(ctx context.Context) (keys.Store, error) {
	db, err := l.pool()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	l.store, err = sqlitestore.New(ctx, db, &sqlitestore.Options{BusyTimeout: l.timeout})
	if errors.Is(err, sqlitestore.ErrSchema) {
		err = fmt.Errorf("%w; see claviger help migrate", err)
	}
	if err != nil {
		return nil, err
	}
	return l.store, nil
}

func (l *sqlite) check(ctx context.Context, _ bool) error {
	_, err := l.open(ctx)
	return err
}

func (l *sqlite) plan(ctx context.Context) (steps []string, err error) {
	files, err := fs.Glob(sqlitestore.Migrations(), "*.sql")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(l.path); errors.Is(err, fs.ErrNotExist) {
		return append([]string{"create the file " + l.path}, missing(files, 0)...), nil
	}
	db, err := l.pool()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	var tables, done int
	const look = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'claviger_schema'"
	if err := db.QueryRowContext(ctx, look).Scan(&tables); err != nil {
		return nil, err
	}
	if tables > 0 {
		if err := db.QueryRowContext(ctx, "SELECT coalesce(max(version), 0) FROM claviger_schema").Scan(&done); err != nil {
			return nil, err
		}
	}
	return missing(files, done), tooNew(done, len(files))
}

func (l *sqlite) migrate(context.Context) error {
	s, err := sqlitestore.Open(l.path, &sqlitestore.Options{BusyTimeout: l.timeout})
	if err != nil {
		return err
	}
	return s.Close()
}

func (l *sqlite) version(ctx context.Context) (version string, err error) {
	db, err := l.pool()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	err = db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version)
	return "SQLite " + version + " of this program", err
}

// now returns the zero time: the clock is this machine's.
func (l *sqlite) now(context.Context) (time.Time, error) { return time.Time{}, nil }

func (l *sqlite) sweepBuckets(ctx context.Context, limit int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	return l.store.SweepBuckets(ctx, limit)
}

func (l *sqlite) close() error {
	var errs []error
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	if l.db != nil {
		errs = append(errs, l.db.Close())
	}
	return errors.Join(errs...)
}
