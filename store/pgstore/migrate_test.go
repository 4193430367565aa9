package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

func TestMigrationFiles(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(pgstore.Migrations(), "*")
	if err != nil || len(names) == 0 {
		t.Fatalf("migrations: %v, %v", names, err)
	}
	for i, name := range names {
		if !regexp.MustCompile(fmt.Sprintf(`^%04d_[a-z_]+\.sql$`, i+1)).MatchString(name) {
			t.Errorf("file %d is %s", i+1, name)
		}
		text, err := fs.ReadFile(pgstore.Migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		if record := fmt.Sprintf("INSERT INTO migrations (version) VALUES (%d);", i+1); strings.Count(string(text), record) != 1 {
			t.Errorf("%s does not record itself", name)
		}
	}
}

// TestPastedMigrations runs the files as a host's own tool does.
func TestPastedMigrations(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s, err := pgstore.New(shared.pool, &pgstore.Options{Schema: name})
	if err != nil {
		t.Fatal(err)
	}
	fails(t, "Check before", s.Check(t.Context()), pgstore.ErrSchema)
	err = pgx.BeginFunc(t.Context(), shared.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `CREATE SCHEMA `+name+`; SET LOCAL search_path = `+name)
		for file := range files(t) {
			_, failed := tx.Exec(t.Context(), file)
			err = errors.Join(err, failed)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check after: %v", err)
	}
	insert(t, s, record(keys.KindKey, "key"))
	if err := pgstore.Migrate(t.Context(), shared.pool, &pgstore.Options{Schema: name}); err != nil {
		t.Errorf("Migrate after: %v", err)
	}
	get(t, s, "key")
}

// files yields the texts of the migrations.
func files(t *testing.T) func(func(string) bool) {
	return func(yield func(string) bool) {
		names, err := fs.Glob(pgstore.Migrations(), "*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(pgstore.Migrations(), name)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(string(text)) {
				return
			}
		}
	}
}

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	insert(t, s, record(keys.KindKey, "key"))
	for range 3 {
		if err := pgstore.Migrate(t.Context(), shared.pool, &pgstore.Options{Schema: name}); err != nil {
			t.Fatal(err)
		}
	}
	get(t, s, "key")
}

// TestCollation checks that all text is compared byte by byte, whatever the
// locale of the database.
func TestCollation(t *testing.T) {
	t.Parallel()
	name := schema(t)
	openIn(t, name, nil)
	const text = `SELECT count(*) FROM information_schema.columns WHERE table_schema = $1 AND data_type = 'text'`
	if n := value[int](t, shared.pool, text, name); n < 10 {
		t.Errorf("only %d columns of text", n)
	}
	if n := value[int](t, shared.pool, text+` AND collation_name IS DISTINCT FROM 'C'`, name); n != 0 {
		t.Errorf("%d columns of text go by the locale", n)
	}
}

// TestMigrateIsWhole has a migration fail half-way, by a table that is in its
// way, and checks that nothing of it stays.
func TestMigrateIsWhole(t *testing.T) {
	t.Parallel()
	name := schema(t)
	execute(t, shared.pool, `CREATE SCHEMA `+name)
	execute(t, shared.pool, `CREATE TABLE `+name+`.uses ()`)
	err := pgstore.Migrate(t.Context(), shared.pool, &pgstore.Options{Schema: name})
	if code(err) != "42P07" || !strings.Contains(err.Error(), "0001_tables.sql") {
		t.Errorf("Migrate: %v, want duplicate_table in 0001_tables.sql", err)
	}
	if tables := value[string](t, shared.pool, `SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = $1`, name); tables != "uses" {
		t.Errorf("the tables are %s after it, want uses", tables)
	}
	execute(t, shared.pool, `DROP TABLE `+name+`.uses`)
	if err := openIn(t, name, nil).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestMigrateInTransaction migrates as a part of the host's own migration.
func TestMigrateInTransaction(t *testing.T) {
	t.Parallel()
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit=%t", commit), func(t *testing.T) {
			t.Parallel()
			name := schema(t)
			tx, err := shared.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(t.Context())
			if _, err := tx.Exec(t.Context(), `SET LOCAL search_path = information_schema, public`); err != nil {
				t.Fatal(err)
			}
			s := openOn(t, tx, name, nil)
			insert(t, s, record(keys.KindKey, "key"))
			if path := value[string](t, tx, `SHOW search_path`); path != "information_schema, public" {
				t.Errorf("the host's search_path is %s after Migrate", path)
			}
			if wait := value[string](t, tx, `SHOW lock_timeout`); wait != "0" {
				t.Errorf("the host's lock_timeout is %s after Migrate", wait)
			}
			end := tx.Rollback
			if commit {
				end = tx.Commit
			}
			if err := end(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.With(shared.pool).Check(t.Context()); (err == nil) != commit {
				t.Errorf("Check after it: %v", err)
			}
		})
	}
}

// grants returns those statements of package doc that grant rights and have a comment,
// or none, with the names of a schema and a role in them.
func grants(t *testing.T, comment, schema, role string) string {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var all string
	for line := range strings.Lines(string(doc)) {
		statement, after, _ := strings.Cut(strings.TrimPrefix(line, "//\t"), ";")
		if strings.HasPrefix(statement, "GRANT ") && strings.TrimLeft(strings.TrimSpace(after), "- ") == comment {
			all += statement + ";"
		}
	}
	if all == "" {
		t.Fatalf("package doc grants nothing %q", comment)
	}
	all = strings.ReplaceAll(all, "claviger.", schema+".")
	all = strings.ReplaceAll(all, "SCHEMA claviger ", "SCHEMA "+schema+" ")
	return strings.ReplaceAll(all, "TO app;", "TO "+role+";")
}

// TestRoles has a role with the rights that package doc names, and no others.
// search_path is not looked at.
func TestRoles(t *testing.T) {
	t.Parallel()
	name := schema(t)
	openIn(t, name, nil)
	role := name + "_role"
	execute(t, shared.pool, `CREATE ROLE `+role+`;`+grants(t, "", name, role))
	t.Cleanup(func() {
		if _, err := shared.pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	pool := connect(t, "role="+role, "search_path=pg_temp")
	s := openOn(t, pool, name, nil) // Migrate has nothing to do, and needs nothing
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	r := record(keys.KindToken, "token")
	r.ExpiresAt = now
	insert(t, s, r, record(keys.KindKey, "key"))
	noteUses(t, s, uses("key", "token"))
	if n, err := s.Sweep(t.Context(), now.AddDate(1, 0, 0), 9); n != 1 || err != nil {
		t.Errorf("Sweep: %d, %v", n, err)
	}
	m, err := keys.NewManager(s, &keys.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Revoke(t.Context(), record(keys.KindKey, "key").Org, keys.KindKey, "key"); err != nil {
		t.Errorf("Revoke, which settles: %v", err)
	}
	take(t, s, bucket("a"), limit(t, 1, 1), 1)
	if _, err := s.SweepBuckets(t.Context(), 9); err != nil {
		t.Error(err)
	}
	if _, err := s.LongestLease(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Announce(t.Context(), "cache", time.Second); code(err) != "42501" {
		t.Errorf("the role can announce a cache: %v", err)
	}
	execute(t, shared.pool, grants(t, "with a keys.Cache", name, role))
	if err := s.Announce(t.Context(), "cache", time.Second); err != nil {
		t.Error(err)
	}
	if _, err := s.Poll(t.Context(), "cache", ""); err != nil {
		t.Error(err)
	}
	if _, err := s.MarkIdle(t.Context(), time.Hour); err != nil {
		t.Error(err)
	}
	if err := s.Withdraw(t.Context(), "cache"); err != nil {
		t.Error(err)
	}
	if _, err := s.Chains(t.Context(), "acme"); code(err) != "42501" {
		t.Errorf("the role can read the trail: %v", err)
	}
	execute(t, shared.pool, grants(t, "to read the trail", name, role))
	if _, err := s.Chains(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
	if _, err := s.Entries(t.Context(), "acme", "", 0, 9); err != nil {
		t.Error(err)
	}
	for _, right := range []string{"SELECT ON {s}.announcements", "SELECT ON {s}.feed", "INSERT ON {s}.feed"} {
		right = strings.ReplaceAll(right, "{s}", name)
		execute(t, shared.pool, `REVOKE `+right+` FROM `+role)
		if err := s.Check(t.Context()); !errors.Is(err, pgstore.ErrSchema) {
			t.Errorf("Check without %s: %v", right, err)
		}
		execute(t, shared.pool, `GRANT `+right+` TO `+role)
	}
	if _, err := pool.Exec(t.Context(), `CREATE TABLE `+name+`.more ()`); code(err) != "42501" {
		t.Errorf("the role can make tables: %v", err)
	}
}
