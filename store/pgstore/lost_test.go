package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// fill has a pool make all its connections anew.
func fill(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	pool.Reset()
	conns := make([]*pgxpool.Conn, pool.Config().MaxConns)
	for i := range conns {
		var err error
		if conns[i], err = pool.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range conns {
		c.Release()
	}
}

// TestConnectionsEnded has the server end all connections of a pool while they are
// idle. Each call that only reads goes well all the same; one that writes fails
// when it is given such a connection, since nobody knows what became of it.
func TestConnectionsEnded(t *testing.T) {
	t.Parallel()
	name := schema(t)
	pool := connect(t, "application_name="+name, "pool_max_conns=8")
	s := openOn(t, pool, name, nil)
	insert(t, s, record(keys.KindKey, "key"))
	noteUses(t, s, uses("key"))
	end := func() {
		t.Helper()
		fill(t, pool)
		const terminate = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1`
		if n := value[int](t, shared.pool, terminate, name); n < 8 {
			t.Fatalf("%d connections were ended, want 8", n)
		}
		for value[int](t, shared.pool, terminate, name) > 0 { // they end when they get to it
		}
	}
	for call, read := range map[string]func() error{
		"Get": func() error { _, _, err := s.Get(t.Context(), "key"); return err },
		"List": func() error {
			_, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1})
			return err
		},
		"Count":    func() error { _, err := s.Count(t.Context(), "acme", keys.KindKey, now, 1); return err },
		"Orgs":     func() error { _, err := s.Orgs(t.Context(), "", 1); return err },
		"LastUses": func() error { _, err := s.LastUses(t.Context(), []string{"key"}); return err },
		"Check":    func() error { return s.Check(t.Context()) },
	} {
		end()
		if err := read(); err != nil {
			t.Errorf("%s: %v", call, err)
		}
	}
	for call, write := range map[string]func() error{
		"Insert":   func() error { return s.Insert(t.Context(), record(keys.KindKey, "another")) },
		"Update":   func() error { return s.Update(t.Context(), record(keys.KindKey, "key")) },
		"NoteUses": func() error { return s.NoteUses(t.Context(), uses("key")) },
		"Sweep":    func() error { _, err := s.Sweep(t.Context(), now, 1); return err },
		"Take":     func() error { _, err := s.Take(t.Context(), bucket("a"), limit(t, 1, 1), now, 1); return err },
	} {
		end()
		if err := write(); err == nil {
			t.Errorf("%s goes well on a connection that was ended", call)
		}
	}
}

// A losing is a database whose connections are lost, or something else happens to
// them, at each statement.
type losing struct {
	pgstore.DB
	err  error
	sent int
	done func() // is called at each statement
}

func (l *losing) QueryRow(context.Context, string, ...any) pgx.Row {
	l.sent++
	if l.done != nil {
		l.done()
	}
	return errorRow{l.err}
}

func (l *losing) Begin(context.Context) (pgx.Tx, error) { return nil, l.err }

// An errorRow is a row that cannot be read.
type errorRow struct{ err error }

func (r errorRow) Scan(...any) error { return r.err }

// TestReadsAreTriedAgain checks after which errors, and how often.
func TestReadsAreTriedAgain(t *testing.T) {
	t.Parallel()
	state := func(code string) error { return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code}) }
	for _, test := range []struct {
		name string
		err  error
		sent int
	}{
		{"an administrator", state("57P01"), 2},
		{"another backend crashed", state("57P02"), 2},
		{"idle for too long", state("57P05"), 2},
		{"a pooler that lost its server", state("08P01"), 2},
		{"the end of the stream", fmt.Errorf("wrapped: %w", io.EOF), 2},
		{"the end of the stream within a message", io.ErrUnexpectedEOF, 2},
		{"a connection that was reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, 2},
		{"a broken pipe", &net.OpError{Op: "write", Err: syscall.EPIPE}, 2},
		{"a closed socket", net.ErrClosed, 2},
		{"a closed connection", pgconn.ErrConnClosed, 2},
		{"a statement that was cancelled", state("57014"), 1},
		{"too many connections", state("53300"), 1},
		{"a missing table", state("42P01"), 1},
		{"a deadline", context.DeadlineExceeded, 1},
		{"something else", errors.New("something else"), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := &losing{err: test.err}
			s, err := pgstore.New(db, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = s.Get(t.Context(), "key")
			if !errors.Is(err, test.err) || db.sent != test.sent {
				t.Errorf("Get sent %d statements: %v, want %d and %v", db.sent, err, test.sent, test.err)
			}
		})
	}
}

// An interrupted is a database that loses its connection after the first row of the
// first answer.
type interrupted struct {
	pgstore.DB
	row  []any
	sent int
}

func (d *interrupted) Query(context.Context, string, ...any) (pgx.Rows, error) {
	d.sent++
	var err error
	if d.sent == 1 {
		err = io.EOF
	}
	return &oneRow{row: d.row, err: err}, nil
}

// A oneRow is one row and then an error.
type oneRow struct {
	pgx.Rows
	row  []any
	err  error
	read int
}

func (r *oneRow) Next() bool             { r.read++; return r.read == 1 }
func (r *oneRow) Scan(dest ...any) error { return telling{row: r.row}.Scan(dest...) }
func (r *oneRow) Err() error             { return r.err }
func (r *oneRow) Close()                 {}

// TestReadsBeginAnew checks that what is read again is not in the answer twice.
func TestReadsBeginAnew(t *testing.T) {
	t.Parallel()
	text := func(s string) pgtype.Text { return pgtype.Text{String: s, Valid: true} }
	for _, test := range []struct {
		name string
		row  []any
		call func(ctx context.Context, s *pgstore.Store) ([]string, error)
	}{
		{"Orgs", []any{false, text("acme")}, func(ctx context.Context, s *pgstore.Store) ([]string, error) { return s.Orgs(ctx, "", 10) }},
		{"Poll", []any{false, text("origin"), "1:1:", false, true, text("acme")}, func(ctx context.Context, s *pgstore.Store) ([]string, error) {
			c, err := s.Poll(ctx, "cache", "origin 1:1:")
			return c.IDs, err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := &interrupted{row: test.row}
			s, err := pgstore.New(db, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := test.call(t.Context(), s)
			if err != nil || db.sent != 2 {
				t.Errorf("sent %d statements: %v, want 2", db.sent, err)
			}
			same(t, "what was read", got, []string{"acme"})
		})
	}
}

// TestReadsEndWithContext has the context end when the connection is lost.
func TestReadsEndWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	db := &losing{err: io.EOF, done: cancel}
	s, err := pgstore.New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(ctx, "key"); !errors.Is(err, io.EOF) || db.sent != 1 {
		t.Errorf("Get sent %d statements: %v, want 1 and %v", db.sent, err, io.EOF)
	}
}

// TestReadsAreNotTriedAgainInTransaction has a transaction of the host's lose its
// connection: another one would not see what it has done so far.
func TestReadsAreNotTriedAgainInTransaction(t *testing.T) {
	t.Parallel()
	db := &losing{err: io.EOF}
	s, err := pgstore.New(struct {
		*losing
		joins
	}{db, joins{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(t.Context(), "key"); !errors.Is(err, io.EOF) || db.sent != 1 {
		t.Errorf("Get sent %d statements: %v, want 1 and %v", db.sent, err, io.EOF)
	}
}

// TestNoServer checks that a connection that cannot be made is not tried again,
// and that no error has the password in it.
func TestNoServer(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig("host=" + t.TempDir() + " user=u password='hunter2 secret' dbname=d connect_timeout=5")
	if err != nil {
		t.Fatal(err)
	}
	dialed := 0
	config.ConnConfig.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		dialed++
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNRESET}
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s, err := pgstore.New(pool, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Get(t.Context(), "key")
	if n := dialed; err == nil || n != 1 {
		t.Errorf("Get dialed %d times: %v, want once and an error", n, err)
	}
	for _, err := range []error{err, s.Check(t.Context()), s.Insert(t.Context(), record(keys.KindKey, "key")), pgstore.Migrate(t.Context(), pool, nil)} {
		for ; err != nil; err = errors.Unwrap(err) {
			if text := fmt.Sprintf("%v %q", err, err); strings.Contains(text, "hunter2") || strings.Contains(text, "secret") {
				t.Errorf("an error has the password in it: %s", text)
			}
		}
	}
}
