//go:build unix

package pgstore_test

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

const (
	// hangDeadline is that of calls to a server that hangs.
	hangDeadline = 100 * time.Millisecond
	// hangGrace is how much later a call may return on a machine that is busy. It
	// is below the time that the driver takes to give a connection up.
	hangGrace = 10 * time.Second
	// hangConns is the size of the pool, and hangCallers how many want more.
	hangConns, hangCallers = 4, 30
)

// freeze stops the server's processes where they are, and returns what has them
// go on. The server takes no notice of either.
func freeze(t testing.TB, server *servers.Server) (thaw func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{server.PID()}
	signal := func(sig syscall.Signal) {
		for _, pid := range pids {
			_ = syscall.Kill(pid, sig) // it may have ended by itself
		}
	}
	signal(syscall.SIGSTOP) // the first one, so that no more are started
	rows, err := conn.Query(t.Context(), `SELECT pid FROM pg_stat_activity`)
	if err == nil {
		var others []int
		others, err = pgx.CollectRows(rows, pgx.RowTo[int])
		pids = append(pids, others...)
	}
	thaw = sync.OnceFunc(func() {
		signal(syscall.SIGCONT)
		_ = conn.Close(context.Background())
	})
	t.Cleanup(thaw)
	if err != nil {
		t.Fatal(err)
	}
	signal(syscall.SIGSTOP)
	return thaw
}

// calls are all that a store with a record can be asked.
func calls(s *pgstore.Store) map[string]func(context.Context) error {
	r, l := record(keys.KindKey, "key"), ratelimit.MustPerMinute(60)
	q := keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1}
	return map[string]func(context.Context) error{
		"Insert":       func(ctx context.Context) error { return s.Insert(ctx, record(keys.KindKey, "cut off")) },
		"Get":          func(ctx context.Context) error { _, _, err := s.Get(ctx, r.ID); return err },
		"Update":       func(ctx context.Context) error { return s.Update(ctx, r) },
		"List":         func(ctx context.Context) error { _, err := s.List(ctx, q); return err },
		"Count":        func(ctx context.Context) error { _, err := s.Count(ctx, q.Org, q.Kind, now, 1); return err },
		"Orgs":         func(ctx context.Context) error { _, err := s.Orgs(ctx, "", 1); return err },
		"Sweep":        func(ctx context.Context) error { _, err := s.Sweep(ctx, now, 1); return err },
		"NoteUses":     func(ctx context.Context) error { return s.NoteUses(ctx, uses(r.ID)) },
		"LastUses":     func(ctx context.Context) error { _, err := s.LastUses(ctx, []string{r.ID}); return err },
		"Take":         func(ctx context.Context) error { _, err := s.Take(ctx, bucket("a"), l, now, 1); return err },
		"SweepBuckets": func(ctx context.Context) error { _, err := s.SweepBuckets(ctx, 1); return err },
		"Check":        s.Check,
	}
}

// cutOff makes calls that hang, one after the other and many at once, and fails
// unless each ends with its deadline.
func cutOff(t *testing.T, calls map[string]func(context.Context) error) {
	t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	for name, call := range calls {
		for range hangCallers/len(calls) + 1 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), hangDeadline)
				defer cancel()
				begin := time.Now()
				if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v, want %v", name, err, context.DeadlineExceeded)
				}
				if took := time.Since(begin); took > hangDeadline+hangGrace {
					t.Errorf("%s took %v with a deadline of %v", name, took, hangDeadline)
				}
			})
		}
	}
}

// settled waits until what was cut off has left nothing behind: no goroutine that
// was not there before, and no statement that runs.
func settled(t *testing.T, goroutines int, pool *pgxpool.Pool) {
	t.Helper()
	const running = `SELECT count(*) FROM pg_stat_activity
		WHERE state <> 'idle' AND pid <> pg_backend_pid() AND backend_type = 'client backend'`
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		statements := value[int](t, pool, running)
		left := runtime.NumGoroutine() - goroutines
		if left <= 0 && statements == 0 {
			return
		}
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines and %d statements are left:\n%s", left, statements, buf[:runtime.Stack(buf, true)])
		}
	}
}

// TestServerHangs freezes the server under more callers than the pool has
// connections, and has it go on. Each call ends with its deadline, those that
// ended leave nothing behind, and then all goes well again.
//
// It counts goroutines, and so it does not run beside other tests.
func TestServerHangs(t *testing.T) {
	server := start(t)
	pool := connectTo(t, server.DSN, "pool_max_conns="+strconv.Itoa(hangConns))
	s := openOn(t, pool, "claviger", nil)
	insert(t, s, record(keys.KindKey, "key"))
	all := calls(s)
	all["Migrate"] = func(ctx context.Context) error {
		return pgstore.Migrate(ctx, pool, &pgstore.Options{Schema: "claviger"})
	}
	before := runtime.NumGoroutine()
	for range 2 {
		thaw := freeze(t, server)
		for range 3 {
			cutOff(t, all)
			// For each connection, the driver has one that closes it, one that
			// asks the server to cancel, and what the pool adds.
			if n := runtime.NumGoroutine(); n > before+6*hangConns {
				t.Errorf("%d goroutines while the server hangs, %d before it", n, before)
			}
		}
		thaw()
		settled(t, before, pool)
		for name, call := range calls(s) {
			ctx, cancel := context.WithTimeout(t.Context(), hangGrace)
			if err := call(ctx); err != nil && !errors.Is(err, keys.ErrExists) && !errors.Is(err, keys.ErrConflict) {
				t.Errorf("%s after the server went on: %v", name, err)
			}
			cancel()
		}
		if n := pool.Stat().TotalConns(); n > hangConns {
			t.Errorf("%d connections, want at most %d", n, hangConns)
		}
	}
}

// TestTableIsLocked has somebody lock the table. Each call ends with its deadline,
// and what was cut off is not carried out later.
//
// It counts goroutines, and so it does not run beside other tests.
func TestTableIsLocked(t *testing.T) {
	server := start(t)
	pool := connectTo(t, server.DSN, "pool_max_conns="+strconv.Itoa(hangConns))
	s := openOn(t, pool, "claviger", nil)
	want := record(keys.KindKey, "key")
	insert(t, s, want)
	host := connectTo(t, server.DSN)
	value[int](t, host, `SELECT 1`)
	before := runtime.NumGoroutine()
	tx, err := host.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `LOCK TABLE claviger.records IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	waiting := calls(s)
	for _, name := range []string{"Take", "SweepBuckets", "Check"} { // which read no records
		ctx, cancel := context.WithTimeout(t.Context(), hangGrace)
		if err := waiting[name](ctx); err != nil {
			t.Errorf("%s while records are locked: %v", name, err)
		}
		cancel()
		delete(waiting, name)
	}
	for range 2 {
		cutOff(t, waiting)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	settled(t, before, pool)
	same(t, "the record", get(t, s, "key"), want)
	if _, _, err := s.Get(t.Context(), "cut off"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("Get of a record whose Insert was cut off: %v, want %v", err, keys.ErrNotFound)
	}
	for name, call := range calls(s) {
		ctx, cancel := context.WithTimeout(t.Context(), hangGrace)
		if err := call(ctx); err != nil {
			t.Errorf("%s after the table was locked: %v", name, err)
		}
		cancel()
	}
}
