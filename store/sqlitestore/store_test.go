package sqlitestore_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/sqlitestore"
	"github.com/claviger-auth/claviger/store/storetest"
)

// start is when the records of these tests were made.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// never is long after start.
var never = start.AddDate(100, 0, 0)

// patience bounds what must happen, and may take long on a machine that is busy.
const patience = time.Minute

// patient are the options of a store that waits so long for others that write.
func patient() *sqlitestore.Options { return &sqlitestore.Options{BusyTimeout: patience} }

// file returns the name of a file that is not there yet.
func file(t testing.TB) string { return filepath.Join(t.TempDir(), "records.db") }

// open returns a store over a file, which it makes if it is not there. It is
// closed when the test ends.
func open(t testing.TB, path string) *sqlitestore.Store {
	t.Helper()
	return openWith(t, path, patient())
}

func openWith(t testing.TB, path string, opts *sqlitestore.Options) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// hostDSN is what a host passes to sql.Open; the package documentation has it.
func hostDSN(path string) string {
	return "file:" + path + "?_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_txlock=immediate"
}

// database opens a file as a host does, without the package.
func database(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func execute(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// record returns a record of a kind that is alive.
func record(t testing.TB, kind keys.Kind, id string) keys.Record {
	t.Helper()
	d, err := keys.ParseDigest("$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
	if err != nil {
		t.Fatal(err)
	}
	r := keys.Record{
		ID: id, Kind: kind, Org: "acme", Label: "nightly export", Scopes: scopes.MustParse("identity:read webhooks:manage"),
		RateLimit: 600, Digest: d, CreatedAt: start, ExpiresAt: never, Version: 1,
	}
	if kind == keys.KindToken {
		r.Parent = "client of " + id
	}
	return r
}

// rounds returns how often to do something: n, or short with go test -short, or
// long with CLAVIGER_LONG in the environment.
func rounds(long, n, short int) int {
	switch {
	case testing.Short():
		return short
	case os.Getenv("CLAVIGER_LONG") != "":
		return long
	}
	return n
}

func insert(t testing.TB, s keys.Store, records ...keys.Record) {
	t.Helper()
	for _, r := range records {
		if err := s.Insert(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// diff compares records, with times as instants.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmp.Comparer(same[scopes.Set]), cmp.Comparer(same[keys.Networks]), cmp.AllowUnexported(keys.Digest{}))
}

func same[T comparable](a, b T) bool { return a == b }

// opened are the files of stores that the kit was given.
type opened struct{ paths sync.Map }

// options lets the kit open a file again, and take its tables away.
func (o *opened) options() *storetest.Options[store.Store] {
	path := func(s store.Store) string {
		p, _ := o.paths.Load(s)
		return p.(string)
	}
	return &storetest.Options[store.Store]{
		Race:   time.Duration(rounds(150, 40, 5)) * time.Millisecond,
		Second: func(t testing.TB, s store.Store) store.Store { return open(t, path(s)) },
		Break: func(t testing.TB, s store.Store) (mend func()) {
			db := database(t, hostDSN(path(s)))
			rename := func(from, to string) {
				for _, table := range []string{"claviger_records", "claviger_uses", "claviger_buckets", "claviger_announcements", "claviger_trail", "claviger_chains"} {
					execute(t, db, "ALTER TABLE "+table+from+" RENAME TO "+table+to)
				}
			}
			rename("", "_gone")
			return func() { rename("_gone", "") }
		},
	}
}

// blank is the file of an empty store. Most of the time that a clause of the kit takes
// went into making one.
var blank = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "claviger-blank")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "records.db")
	s, err := sqlitestore.Open(path, nil)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	var o opened
	storetest.Test(t, func(t testing.TB) store.Store {
		t.(*testing.T).Parallel()
		path := file(t)
		empty, err := blank()
		if err == nil {
			err = os.WriteFile(path, empty, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, path)
		o.paths.Store(s, path)
		return s
	}, o.options())
}

// TestConformanceInHostDatabase runs the kit on a database that is the host's,
// with a pool of one connection, the least there can be, and without the lock
// that transactions should begin with.
func TestConformanceInHostDatabase(t *testing.T) {
	if os.Getenv("CLAVIGER_LONG") == "" {
		t.Skip("it is the same as TestConformance but for the pool: set CLAVIGER_LONG")
	}
	t.Parallel()
	var o opened
	open := func(t testing.TB) store.Store {
		t.(*testing.T).Parallel()
		path := file(t)
		db := database(t, strings.Replace(hostDSN(path), "&_txlock=immediate", "", 1))
		db.SetMaxOpenConns(1)
		execute(t, db, "CREATE TABLE records (id INTEGER PRIMARY KEY)")
		if err := sqlitestore.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		s, err := sqlitestore.New(t.Context(), db, nil)
		if err != nil {
			t.Fatal(err)
		}
		o.paths.Store(s, path)
		return s
	}
	storetest.Test(t, open, o.options())
}

func TestRecordsOutliveTheStore(t *testing.T) {
	t.Parallel()
	path := file(t)
	first, err := sqlitestore.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := record(t, keys.KindKey, "key_1")
	insert(t, first, want)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	got, _, err := open(t, path).Get(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(want, got); d != "" {
		t.Errorf("after the file was opened again (-want +got):\n%s", d)
	}
}

// TestUpdateGoesByTheStoredKind passes an update another kind than the stored
// one, with a value that only the other kind may have. A key that had a token
// lifetime could never be read again.
func TestUpdateGoesByTheStoredKind(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	want := record(t, keys.KindKey, "key_1")
	insert(t, s, want)
	other := want
	other.Kind, other.TokenLifetime = keys.KindClient, time.Hour
	if err := s.Update(t.Context(), other); !errors.Is(err, keys.ErrInvalid) {
		t.Fatal(err)
	}
	got, _, err := s.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSweepTakesTheOldestFirst(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	for i, id := range []string{"c", "a", "b"} {
		r := record(t, keys.KindToken, id)
		r.ExpiresAt = start.Add(time.Duration(i) * time.Hour)
		insert(t, s, r)
	}
	var left []string
	for range 3 {
		if n, err := s.Sweep(t.Context(), never, 1); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		page, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindToken, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var ids strings.Builder
		for _, r := range page {
			ids.WriteString(r.ID)
		}
		left = append(left, ids.String())
	}
	if want := []string{"ab", "b", ""}; !slices.Equal(left, want) {
		t.Errorf("left after each sweep: %q, want %q", left, want)
	}
}

// TestSweepBound gives times that are not in milliseconds, or that overflow.
func TestSweepBound(t *testing.T) {
	t.Parallel()
	last := time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC)
	for _, test := range []struct {
		name   string
		ends   time.Time
		before time.Time
		want   int
	}{
		{"a nanosecond after", start, start.Add(1), 1},
		{"the instant itself", start, start, 0},
		{"a nanosecond before", start, start.Add(-1), 0},
		{"the last record of all", last, last.Add(time.Nanosecond), 1},
		{"later than an int64 of milliseconds has", last, time.Unix(9_300_000_000_000_000, 0), 1},
		{"earlier than an int64 of milliseconds has", time.UnixMilli(0), time.Unix(-9_300_000_000_000_000, 0), 0},
		{"the first instant", time.UnixMilli(0), time.UnixMilli(0).Add(1), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, file(t))
			r := record(t, keys.KindToken, "token")
			r.ExpiresAt = test.ends
			insert(t, s, r)
			if n, err := s.Sweep(t.Context(), test.before, 10); n != test.want || err != nil {
				t.Errorf("swept %d, %v; want %d", n, err, test.want)
			}
		})
	}
}

// TestUpdateDuringInsert has an update find no record that is there a moment
// later. It is done or not found; a conflict there never was.
func TestUpdateDuringInsert(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	for i := range rounds(200, 60, 20) {
		r := record(t, keys.KindKey, fmt.Sprintf("key_%d", i))
		done := make(chan error)
		go func() { done <- s.Insert(t.Context(), r) }()
		if err := s.Update(t.Context(), r); err != nil && !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("Update: %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
