package sqlitestore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// locked has another connection hold the lock of those that write, as a process
// that hangs does, until unlock is called.
func locked(t testing.TB, path string) (unlock func()) {
	t.Helper()
	db := database(t, hostDSN(path))
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
			t.Error(err)
		}
	}
}

// TestContextEndsWhileLocked would run for an hour if a call did not heed its
// context while it waits, here or inside SQLite.
func TestContextEndsWhileLocked(t *testing.T) {
	t.Parallel()
	opts := &sqlitestore.Options{BusyTimeout: time.Hour}
	t.Run("Open", func(t *testing.T) {
		t.Parallel()
		path := file(t)
		testContextEnds(t, path, openWith(t, path, opts))
	})
	t.Run("New", func(t *testing.T) {
		t.Parallel()
		path := file(t)
		db := database(t, strings.Replace(hostDSN(path), "_busy_timeout=5000", "_busy_timeout=3600000", 1))
		if err := sqlitestore.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		s, err := sqlitestore.New(t.Context(), db, opts)
		if err != nil {
			t.Fatal(err)
		}
		testContextEnds(t, path, s)
	})
}

// TestHostsBusyTimeoutStays looks at the one connection of a host after writes
// that went well and that did not.
func TestHostsBusyTimeoutStays(t *testing.T) {
	t.Parallel()
	path := file(t)
	db := database(t, strings.Replace(hostDSN(path), "_busy_timeout=5000", "_busy_timeout=1234", 1))
	db.SetMaxOpenConns(1)
	if err := sqlitestore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	s, err := sqlitestore.New(t.Context(), db, &sqlitestore.Options{BusyTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		var timeout int
		if err := db.QueryRowContext(t.Context(), "PRAGMA busy_timeout").Scan(&timeout); err != nil || timeout != 1234 {
			t.Errorf("%s: the busy timeout is %d ms, %v; want 1234", when, timeout, err)
		}
	}
	insert(t, s, record(t, keys.KindKey, "key_1"))
	check("after a write")
	defer locked(t, path)()
	if err := s.Insert(t.Context(), record(t, keys.KindKey, "key_2")); !errors.Is(err, sqlitestore.ErrBusy) {
		t.Error(err)
	}
	check("after a write that failed")
}

func testContextEnds(t *testing.T, path string, s *sqlitestore.Store) {
	r, dead := record(t, keys.KindKey, "key_1"), record(t, keys.KindToken, "token")
	dead.ExpiresAt = start
	insert(t, s, r, dead)
	defer locked(t, path)()
	next := r
	next.RevokedAt = start
	calls := map[string]func(context.Context) error{
		"Insert":   func(ctx context.Context) error { return s.Insert(ctx, record(t, keys.KindKey, "key_2")) },
		"Update":   func(ctx context.Context) error { return s.Update(ctx, next) },
		"Sweep":    func(ctx context.Context) error { _, err := s.Sweep(ctx, never, 10); return err },
		"NoteUses": func(ctx context.Context) error { return s.NoteUses(ctx, map[string]time.Time{"key_1": start}) },
		"Take":     func(ctx context.Context) error { return second(s.Take(ctx, acme, daily(1), start, 1)) },
	}
	check := func(waiting string) {
		t.Helper()
		for name, call := range calls {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sqlitestore.ErrBusy) {
				t.Errorf("%s, waiting for %s: %v", name, waiting, err)
			}
			cancel()
		}
	}
	check("the lock")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := calls["Insert"](ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Insert of another caller: %v", err)
			}
		})
	}
	check("its turn")
	cancel()
	wg.Wait()
	if got, _, err := s.Get(t.Context(), r.ID); err != nil || got.Revoked() {
		t.Errorf("after an Update that failed: revoked %v, %v", got.Revoked(), err)
	}
	if _, _, err := s.Get(t.Context(), "key_2"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("after an Insert that failed: %v", err)
	}
}

// TestReadersWaitForNobody reads while another process writes forever.
func TestReadersWaitForNobody(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openWith(t, path, &sqlitestore.Options{BusyTimeout: time.Hour})
	insert(t, s, record(t, keys.KindKey, "key_1"))
	defer locked(t, path)()
	if _, _, err := s.Get(t.Context(), "key_1"); err != nil {
		t.Error(err)
	}
	if page, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10}); len(page) != 1 || err != nil {
		t.Error(len(page), err)
	}
	if _, err := s.LastUses(t.Context(), []string{"key_1"}); err != nil {
		t.Error(err)
	}
}

// TestBusy has calls wait as long as they may, one for the lock and the others
// for their turn, and fail. None of their errors is a verdict on a record.
func TestBusy(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openWith(t, path, &sqlitestore.Options{BusyTimeout: 30 * time.Millisecond})
	unlock := locked(t, path)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			err := s.Insert(t.Context(), record(t, keys.KindKey, fmt.Sprint(i)))
			if !errors.Is(err, sqlitestore.ErrBusy) || errors.Is(err, keys.ErrExists) || errors.Is(err, keys.ErrNotFound) {
				t.Errorf("Insert: %v", err)
			}
		})
	}
	wg.Wait()
	unlock()
	for i := range 4 {
		insert(t, s, record(t, keys.KindKey, fmt.Sprint(i)))
	}
}

// TestBusyTimeoutIsSpentOnce has one call wait for the lock, and others wait for
// their turn and then for the lock, in place of the one before. Each of them waits
// as long as it may in all. The clock of the test stands still while anything is
// done.
func TestBusyTimeoutIsSpentOnce(t *testing.T) {
	t.Parallel()
	const timeout = 50 * time.Millisecond
	path := file(t)
	open(t, path)
	opts := &sqlitestore.Options{BusyTimeout: timeout}
	for name, makeStore := range map[string]func(t *testing.T) (*sqlitestore.Store, error){
		"Open": func(t *testing.T) (*sqlitestore.Store, error) { return sqlitestore.Open(path, opts) },
		"New": func(t *testing.T) (*sqlitestore.Store, error) {
			return sqlitestore.New(t.Context(), database(t, hostDSN(path)), opts)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, err := makeStore(t)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			unlock := locked(t, path)
			defer unlock()
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * timeout / 4) // SQLite waits by its own clock
					begun := time.Now()
					if err := s.Insert(t.Context(), record(t, keys.KindKey, fmt.Sprint(i))); !errors.Is(err, sqlitestore.ErrBusy) {
						t.Errorf("%s: Insert: %v", name, err)
					}
					if waited := time.Since(begun); waited < timeout || waited > timeout+2*time.Millisecond {
						t.Errorf("%s: call %d waited for %v, want %v", name, i, waited, timeout)
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestBusyForAReason looks at an error in which SQLite says why it is busy: another
// connection has written since the transaction has read.
func TestBusyForAReason(t *testing.T) {
	t.Parallel()
	path := file(t)
	open(t, path)
	tx, err := database(t, strings.Replace(hostDSN(path), "&_txlock=immediate", "", 1)).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM claviger_buckets").Scan(&n); err != nil {
		t.Fatal(err)
	}
	const write = "INSERT INTO claviger_buckets VALUES ('4:idle:a', 1)"
	execute(t, database(t, hostDSN(path)), write)
	_, err = tx.ExecContext(t.Context(), write)
	var e *sqlite.Error
	if !errors.As(err, &e) || e.Code() != sqlite3.SQLITE_BUSY_SNAPSHOT {
		t.Fatal(err)
	}
	if !sqlitestore.IsBusy(err) {
		t.Errorf("%v is taken for another failure", err)
	}
}

// TestWaitsForTheLock has a write wait, and go on once the lock is free.
func TestWaitsForTheLock(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openWith(t, path, &sqlitestore.Options{BusyTimeout: time.Hour})
	unlock := locked(t, path)
	done := make(chan error)
	go func() { done <- s.Insert(t.Context(), record(t, keys.KindKey, "key_1")) }()
	select {
	case err := <-done:
		t.Errorf("an Insert while another held the lock: %v", err)
	case <-time.After(30 * time.Millisecond): // longer than SQLite itself waits
	}
	unlock()
	if err := <-done; err != nil {
		t.Errorf("after the lock was free: %v", err)
	}
}

// TestOpenWhileLocked opens a file, and one that is new, beside a writer.
func TestOpenWhileLocked(t *testing.T) {
	t.Parallel()
	path := file(t)
	insert(t, open(t, path), record(t, keys.KindKey, "key_1"))
	defer locked(t, path)()
	if _, _, err := open(t, path).Get(t.Context(), "key_1"); err != nil {
		t.Error(err)
	}
	fresh := file(t)
	defer locked(t, fresh)()
	if s, err := sqlitestore.Open(fresh, &sqlitestore.Options{BusyTimeout: 30 * time.Millisecond}); err == nil {
		t.Error(s.Close(), "opened a new file while another process wrote to it")
	}
}

// TestBesideTheHost writes to the records and, in transactions, to a table of the
// host, through one pool and another.
func TestBesideTheHost(t *testing.T) {
	t.Parallel()
	const each = 100
	path := file(t)
	db := database(t, hostDSN(path))
	db.SetMaxOpenConns(4)
	if err := sqlitestore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "CREATE TABLE counters (n INTEGER NOT NULL)")
	execute(t, db, "INSERT INTO counters VALUES (0)")
	s, err := sqlitestore.New(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := record(t, keys.KindKey, "counter")
	r.RateLimit = 1
	insert(t, s, r)
	var wg sync.WaitGroup
	for _, s := range []*sqlitestore.Store{s, open(t, path)} {
		wg.Go(func() {
			for range each {
				if err := addOne(s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range each {
			if err := countOne(t.Context(), db); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT n FROM counters").Scan(&n); err != nil || n != each {
		t.Errorf("the host counted %d, want %d; %v", n, each, err)
	}
	if got, _, err := s.Get(t.Context(), "counter"); err != nil || got.RateLimit != 1+2*each {
		t.Errorf("the stores counted %d, want %d; %v", got.RateLimit, 1+2*each, err)
	}
}

// countOne is a transaction of a host that reads and then writes. By
// _txlock=immediate it takes its lock first.
func countOne(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT n FROM counters").Scan(&n); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE counters SET n = ?", n+1); err != nil {
		return err
	}
	return tx.Commit()
}
