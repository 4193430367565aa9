package pgstore

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Migrations returns the migrations as a folder of SQL files: 0001_tables.sql
// and so on, one for each version, in ascending order. They are for hosts that
// have a migration tool of their own. Each file must run once, as a whole, in
// one transaction whose search_path is the schema of [Options]. No file is changed
// after its release. They record themselves in the table migrations, which
// [Store.Check] reads.
func Migrations() fs.FS {
	dir, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return dir
}

// A migration is one file of [Migrations].
type migration struct {
	version int64
	name    string
	text    string
}

// migrations returns the migrations in ascending order.
func migrations() ([]migration, error) {
	entries, err := fs.ReadDir(Migrations(), ".")
	if err != nil {
		return nil, err
	}
	list := make([]migration, len(entries))
	for i, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "_")
		version, err1 := strconv.ParseInt(number, 10, 64)
		text, err2 := fs.ReadFile(Migrations(), e.Name())
		if err := cmp.Or(err1, err2); err != nil {
			return nil, err
		}
		list[i] = migration{version, e.Name(), string(text)}
	}
	return list, nil
}

// latest returns the version that this package works with.
func latest() (int64, error) {
	list, err := migrations()
	if err != nil {
		return 0, err
	}
	return list[len(list)-1].version, nil
}

const (
	// lockTimeout bounds how long a migration waits for a table. Whoever wants to
	// use the table meanwhile waits behind the migration.
	lockTimeout = 400 * time.Millisecond
	// lockTries is how often a migration is tried in all. lockPause is the time
	// between two tries, in which those who waited behind it can use the table.
	lockTries = 30
	lockPause = time.Second
)

// Migrate brings the tables to the version that this package works with: it
// makes the schema if it is not there, and runs the migrations that are missing,
// each in a transaction of its own. If nothing is missing it changes nothing. If
// the tables are newer it changes nothing either, and the error wraps
// [ErrSchema]. Any number of processes may call it at the same time: they take
// turns. A nil opts is the zero Options; prepared statements are not used in any
// case.
//
// The tables may be in use. No migration waits longer than 0.4 s for a table that
// others have locked; it is tried again, for half a minute at most, and then the
// error is that of the server. The package comment says what each migration locks.
//
// It needs a role that may create the schema, or tables and functions in it. No
// other function of this package creates or alters tables, so the role that a [Store]
// works with needs less: USAGE on the schema, and the rights that the package comment
// lists.
//
// If db is a transaction, or a connection in one, Migrate is a part of it; the
// transaction must be READ COMMITTED, the turn ends when it does, and locks are waited
// for as the host has set.
func Migrate(ctx context.Context, db DB, opts *Options) error {
	s, err := New(db, opts)
	if err != nil {
		return err
	}
	list, err := migrations()
	if err != nil {
		return failed("migrate", err)
	}
	s = s.unprepared()
	for more := true; more; {
		if more, err = s.migrateOne(ctx, list); err != nil {
			if errors.Is(err, ErrSchema) {
				return err
			}
			return failed("migrate", err)
		}
	}
	return nil
}

// migrateOne runs the first migration that is missing, and reports whether there
// may be more.
func (s *Store) migrateOne(ctx context.Context, list []migration) (more bool, err error) {
	if joined(s.db) {
		err = savepoint(ctx, s.db, func(DB) error {
			more, err = s.migrate(ctx, list, true)
			return err
		})
		return more, err
	}
	for range lockTries {
		err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
			more, err = s.With(tx).migrate(ctx, list, false)
			return err
		})
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "55P03" { // lock_not_available
			return more, err
		}
		if pause(ctx, lockPause) != nil {
			return false, err
		}
	}
	return false, err
}

// migrate does in a transaction what migrateOne says. The transaction may be a
// part of the host's.
func (s *Store) migrate(ctx context.Context, list []migration, hosts bool) (more bool, err error) {
	if !hosts {
		// At a higher level, the version would be read as it was before the wait.
		if _, err := s.db.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"); err != nil {
			return false, err
		}
	}
	turn := fnv.New64a()
	fmt.Fprintf(turn, "claviger pgstore %s", s.schema)
	if _, err := s.db.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", s.args(int64(turn.Sum64()))...); err != nil {
		return false, err
	}
	var path string
	var schema, table bool
	err = s.db.QueryRow(ctx, `SELECT current_setting('search_path'), to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL`,
		s.args(s.schema, s.schema+".migrations")...).Scan(&path, &schema, &table)
	if err != nil {
		return false, err
	}
	if !schema {
		if _, err := s.db.Exec(ctx, `CREATE SCHEMA "`+s.schema+`"`); err != nil {
			return false, err
		}
	}
	var version int64
	if table {
		if err := s.db.QueryRow(ctx, s.sql.version, s.args()...).Scan(&version); err != nil {
			return false, err
		}
	}
	last := list[len(list)-1].version
	if version > last {
		return false, unfit(version, last)
	}
	if !hosts {
		if _, err := s.db.Exec(ctx, fmt.Sprintf(`SET LOCAL lock_timeout TO %d`, lockTimeout.Milliseconds())); err != nil {
			return false, err
		}
	}
	// The files name no schema. The host's search_path is restored at the end.
	if _, err := s.db.Exec(ctx, `SET LOCAL search_path TO "`+s.schema+`"`); err != nil {
		return false, err
	}
	for _, m := range list {
		if m.version > version {
			if _, err := s.db.Exec(ctx, m.text); err != nil {
				return false, fmt.Errorf("%s: %w", m.name, err)
			}
			more = m.version < last
			break
		}
	}
	_, err = s.db.Exec(ctx, `SELECT set_config('search_path', $1, true)`, s.args(path)...)
	return more, err
}
