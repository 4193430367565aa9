package pgstore

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Migrations returns the migrations as a folder of SQL files: 0001_tables.sql
// and so on, one for each version, in ascending order. They are for hosts that
// have a migration tool of their own. Each file must run once, as a whole, in
// one transaction whose search_path is the schema of [Options]; none is ever
// changed after its release. They record themselves in the table migrations,
// which [Store.Check] reads.
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

// Migrate brings the tables to the version that this package works with: it
// makes the schema if it is not there, and runs the migrations that are
// missing, all in one transaction. If nothing is missing, or the tables are
// newer, it changes nothing. Any number of processes may call it at the same
// time: they take turns. A nil opts is the zero Options.
//
// It needs a role that may create the schema, or tables in it. The role that a
// [Store] works with needs no more than USAGE on the schema and SELECT, INSERT,
// UPDATE and DELETE on its tables. No other function of this package changes
// tables.
//
// If db is a transaction, Migrate is a part of it; the transaction must be READ
// COMMITTED, and the turn ends when it does.
func Migrate(ctx context.Context, db DB, opts *Options) error {
	s, err := New(db, opts)
	if err != nil {
		return err
	}
	list, err := migrations()
	if err != nil {
		return failed("migrate", err)
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return failed("migrate", err)
	}
	defer tx.Rollback(ctx) // no more than a formality once it is committed
	if !joined(db) {
		// Above READ COMMITTED, the version would be read as of before the wait.
		if _, err := tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"); err != nil {
			return failed("migrate", err)
		}
	}
	if err := s.With(tx).migrate(ctx, list); err != nil {
		return failed("migrate", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return failed("migrate", err)
	}
	return nil
}

// migrate does in a transaction what Migrate promises.
func (s *Store) migrate(ctx context.Context, list []migration) error {
	turn := fnv.New64a()
	fmt.Fprintf(turn, "claviger pgstore %s", s.schema)
	if _, err := s.db.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", s.args(int64(turn.Sum64()))...); err != nil {
		return err
	}
	var path string
	var schema, table bool
	err := s.db.QueryRow(ctx, `SELECT current_setting('search_path'), to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL`,
		s.args(s.schema, s.schema+".migrations")...).Scan(&path, &schema, &table)
	if err != nil {
		return err
	}
	if !schema {
		if _, err := s.db.Exec(ctx, `CREATE SCHEMA "`+s.schema+`"`); err != nil {
			return err
		}
	}
	var version int64
	if table {
		if err := s.db.QueryRow(ctx, s.sql.version, s.args()...).Scan(&version); err != nil {
			return err
		}
	}
	// The files do not say in which schema. The host's path is put back after.
	if _, err := s.db.Exec(ctx, `SET LOCAL search_path TO "`+s.schema+`"`); err != nil {
		return err
	}
	for _, m := range list {
		if m.version <= version {
			continue
		}
		if _, err := s.db.Exec(ctx, m.text); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	_, err = s.db.Exec(ctx, `SELECT set_config('search_path', $1, true)`, s.args(path)...)
	return err
}
