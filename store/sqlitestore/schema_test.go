package sqlitestore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// schema returns all that is defined in a database, and the migrations done.
func schema(t testing.TB, db *sql.DB) string {
	t.Helper()
	var text string
	err := db.QueryRowContext(t.Context(), `SELECT
		(SELECT group_concat(name || ifnull(sql, ''), ';') FROM (SELECT * FROM sqlite_schema ORDER BY name)) || ';' ||
		(SELECT group_concat(version) FROM (SELECT * FROM claviger_schema ORDER BY version))`).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMigrateAgainDoesNothing(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	insert(t, s, record(t, keys.KindKey, "key_1"))
	db := database(t, hostDSN(path))
	before := schema(t, db)
	// A lock that another connection holds shows that nothing is written.
	other := database(t, hostDSN(path))
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlitestore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if after := schema(t, db); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if _, _, err := s.Get(t.Context(), "key_1"); err != nil {
		t.Error(err)
	}
}

// TestMigrateAtOnce has several hosts migrate one file, which is a database that
// has no table yet.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for range rounds(5, 2, 1) {
		path := file(t)
		execute(t, database(t, hostDSN(path)), "PRAGMA user_version = 1")
		var wg sync.WaitGroup
		for range 8 {
			db := database(t, hostDSN(path))
			wg.Go(func() {
				if err := sqlitestore.Migrate(t.Context(), db); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		open(t, path)
	}
}

func TestMigrateLeavesTheHostsTablesAlone(t *testing.T) {
	t.Parallel()
	db := database(t, hostDSN(file(t)))
	execute(t, db, "CREATE TABLE records (id TEXT)")
	execute(t, db, "INSERT INTO records VALUES ('mine')")
	execute(t, db, "PRAGMA user_version = 7")
	if err := sqlitestore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	var id string
	var version int
	if err := db.QueryRowContext(t.Context(), "SELECT id FROM records").Scan(&id); err != nil || id != "mine" {
		t.Errorf("the host's table: %q, %v", id, err)
	}
	if err := db.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&version); err != nil || version != 7 {
		t.Errorf("the host's version: %d, %v", version, err)
	}
}

// TestMigrateIsAllOrNothing has a migration fail halfway, on an index whose name
// the host has taken.
func TestMigrateIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db := database(t, hostDSN(file(t)))
	execute(t, db, "CREATE TABLE mine (id TEXT)")
	execute(t, db, "CREATE INDEX claviger_records_by_end ON mine (id)")
	if err := sqlitestore.Migrate(t.Context(), db); err == nil || !strings.Contains(err.Error(), "claviger_records_by_end") {
		t.Fatalf("Migrate over a name that is taken: %v", err)
	}
	var n int
	err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> 'mine'").Scan(&n)
	if err != nil || n != 0 {
		t.Fatalf("%d things are left of a migration that failed, %v", n, err)
	}
	execute(t, db, "DROP INDEX claviger_records_by_end")
	if err := sqlitestore.Migrate(t.Context(), db); err != nil {
		t.Errorf("once the name is free: %v", err)
	}
}

func TestOtherVersionsAreRefused(t *testing.T) {
	t.Parallel()
	newer := file(t)
	open(t, newer)
	db := database(t, hostDSN(newer))
	execute(t, db, "INSERT INTO claviger_schema VALUES (1000)")
	before := schema(t, db)
	none := database(t, hostDSN(file(t)))
	for _, test := range []struct {
		name string
		call func(context.Context) error
		want string
	}{
		{"Open of a newer one", func(context.Context) error { _, err := sqlitestore.Open(newer, nil); return err }, "1000"},
		{"Migrate of a newer one", func(ctx context.Context) error { return sqlitestore.Migrate(ctx, db) }, "1000"},
		{"New over a newer one", func(ctx context.Context) error { _, err := sqlitestore.New(ctx, db, nil); return err }, "1000"},
		{"New over none", func(ctx context.Context) error { _, err := sqlitestore.New(ctx, none, nil); return err }, "Migrate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.call(t.Context())
			if !errors.Is(err, sqlitestore.ErrSchema) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want one that wraps %q and says %q", err, sqlitestore.ErrSchema, test.want)
			}
		})
	}
	if after := schema(t, db); after != before {
		t.Errorf("what was newer was changed; before:\n%s\nafter:\n%s", before, after)
	}
}

func TestMigrationsAreNumbered(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(sqlitestore.Migrations(), "*")
	if err != nil || len(names) == 0 {
		t.Errorf("%q, %v", names, err)
	}
	for i, name := range names {
		if !strings.HasPrefix(name, fmt.Sprintf("%04d_", i+1)) || !strings.HasSuffix(name, ".sql") {
			t.Errorf("file %d is %s", i+1, name)
		}
	}
}

// TestMigrationsByHand does what the documentation of Migrations asks for.
func TestMigrationsByHand(t *testing.T) {
	t.Parallel()
	db := database(t, hostDSN(file(t)))
	execute(t, db, "CREATE TABLE claviger_schema (version INTEGER NOT NULL PRIMARY KEY)")
	names, err := fs.Glob(sqlitestore.Migrations(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		text, err := fs.ReadFile(sqlitestore.Migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		execute(t, db, string(text))
		execute(t, db, "INSERT INTO claviger_schema VALUES (?)", i+1)
	}
	s, err := sqlitestore.New(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	insert(t, s, record(t, keys.KindKey, "key_1"))
}
