package sqlitestore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

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
// context while it waits.
func TestContextEndsWhileLocked(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openWith(t, path, &sqlitestore.Options{BusyTimeout: time.Hour})
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

// TestReadersWaitForNobody reads while another process writes for ever.
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
	case <-time.After(100 * time.Millisecond): // longer than SQLite itself waits
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
