package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// A failing is a database whose statements fail for a while.
type failing struct {
	pgstore.DB
	err      error
	left     int // statements that fail
	sent     int
	begun    int
	isolated int
}

func (f *failing) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	f.sent++
	if f.left--; f.left >= 0 {
		return pgconn.CommandTag{}, f.err
	}
	return pgconn.NewCommandTag("INSERT 0 1"), nil
}

func (f *failing) Begin(context.Context) (pgx.Tx, error) {
	f.begun++
	return failingTx{f: f}, nil
}

// A failingTx is a transaction of a failing.
type failingTx struct {
	pgx.Tx
	f *failing
}

func (tx failingTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if sql == "SET TRANSACTION ISOLATION LEVEL READ COMMITTED" {
		tx.f.isolated++
		return pgconn.CommandTag{}, nil
	}
	return tx.f.Exec(ctx, sql, args...)
}

func (failingTx) Commit(context.Context) error   { return nil }
func (failingTx) Rollback(context.Context) error { return pgx.ErrTxClosed }

func TestRetryIsBounded(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	state := func(code string) error { return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code}) }
	for _, test := range []struct {
		name  string
		err   error
		left  int
		sent  int
		fails bool
	}{
		{"no failure", nil, 0, 1, false},
		{"a serialization failure", state("40001"), 1, 2, false},
		{"a deadlock", state("40P01"), 1, 2, false},
		{"four failures", state("40001"), 4, 5, false},
		{"failures without end", state("40001"), 100, 5, true},
		{"deadlocks without end", state("40P01"), 100, 5, true},
		{"a connection that was lost", lost, 1, 1, true},
		{"an unknown outcome", state("40003"), 1, 1, true},
		{"an administrator", state("57P01"), 1, 1, true},
		{"a failed transaction", state("25P02"), 1, 1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				db := &failing{err: test.err, left: test.left}
				s, err := pgstore.New(db, nil)
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				err = s.Insert(t.Context(), record(keys.KindKey, "key"))
				if (err != nil) != test.fails || err != nil && !errors.Is(err, test.err) {
					t.Errorf("Insert: %v, want an error: %t", err, test.fails)
				}
				if db.sent != test.sent || db.begun != test.sent-1 || db.isolated != db.begun {
					t.Errorf("%d statements and %d transactions, %d of them read committed, want %d, %d and %[4]d",
						db.sent, db.begun, db.isolated, test.sent, test.sent-1)
				}
				if took := time.Since(begin); took > 30*time.Millisecond {
					t.Errorf("it took %v, want at most 2+4+8+16 ms", took)
				}
			})
		})
	}
}

// TestMigrateGivesUp has the tables be locked for as long as Migrate tries. In a
// transaction of the host's it tries once: the host has set how long to wait.
func TestMigrateGivesUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		of    func(*failing) pgstore.DB
		tries int
	}{
		{"a pool", func(f *failing) pgstore.DB { return f }, 30},
		{"a transaction", func(f *failing) pgstore.DB {
			return struct {
				*failing
				joins
			}{f, joins{}}
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				db := &failing{err: &pgconn.PgError{Code: "55P03"}, left: 100}
				if err := pgstore.Migrate(t.Context(), test.of(db), nil); code(err) != "55P03" || 100-db.left != test.tries {
					t.Errorf("Migrate tried %d times: %v, want %d", 100-db.left, err, test.tries)
				}
			})
		})
	}
}

// TestRetryEndsWithContext has the context end while a call waits.
func TestRetryEndsWithContext(t *testing.T) {
	t.Parallel()
	db := &failing{err: &pgconn.PgError{Code: "40001"}, left: 100}
	s, err := pgstore.New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	db.err = cancelling{db.err, cancel}
	if err := s.Insert(ctx, record(keys.KindKey, "key")); code(err) != "40001" || db.sent != 1 {
		t.Errorf("Insert sent %d statements: %v, want 1 and the server's error", db.sent, err)
	}
}

// A cancelling is an error that ends a context when it is looked at.
type cancelling struct {
	error
	cancel func()
}

func (c cancelling) Unwrap() error { c.cancel(); return c.error }

// TestDeadlock has a call and a transaction of somebody else's wait for each
// other. The server ends the call's, which goes well when it is tried again.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	name := schema(t)
	rolledBack := &failures{}
	s := openOn(t, connectTraced(t, rolledBack, "deadlock_timeout=200ms"), name, nil)
	other := connect(t, "deadlock_timeout=2s")
	insert(t, s, record(keys.KindKey, "a"), record(keys.KindKey, "b"))
	at := now
	// Each side looks for a deadlock once, when it has waited for its time. On a
	// machine that is slow, the other may be the one that finds it.
	for range 5 {
		at = at.Add(time.Hour)
		noteUses(t, s, uses("a", "b"))
		done := make(chan error, 1)
		cross(t, other, name, func() { done <- s.NoteUses(t.Context(), map[string]time.Time{"a": at, "b": at}) })
		if err := <-done; err != nil {
			t.Errorf("NoteUses: %v", err)
		}
		same(t, "uses", lastUses(t, s, "a", "b"), map[string]time.Time{"a": at, "b": at})
		if rolledBack.n.Load() > 0 {
			return
		}
	}
	t.Error("the call was never rolled back")
}

// cross locks the use of b, begins call, which locks the uses of a and b, and
// then goes for the use of a.
func cross(t *testing.T, db pgstore.DB, schema string, call func()) {
	t.Helper()
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	lock := `SELECT FROM ` + schema + `.uses WHERE id = $1 FOR UPDATE`
	if _, err := tx.Exec(t.Context(), lock, "b"); err != nil {
		t.Fatal(err)
	}
	go call()
	waits(t, `"`+schema+`".uses`) // for b, and has a
	if _, err := tx.Exec(t.Context(), lock, "a"); err != nil && code(err) != "40P01" {
		t.Error(err)
	}
}

// waits returns when a statement waits in which a text is found.
func waits(t *testing.T, text string) { t.Helper(); waitsOf(t, 1, text) }

// waitsOf returns when so many statements wait in which a text is found.
func waitsOf(t *testing.T, n int, text string) {
	t.Helper()
	const waiting = `SELECT count(DISTINCT pid) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
		WHERE NOT l.granted AND position($1 IN a.query) > 0`
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for value[int](t, shared.pool, waiting, text) < n {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("fewer than %d wait in %s", n, text)
		}
	}
}
