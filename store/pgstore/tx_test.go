package pgstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// TestHostTransaction makes a key in a transaction of the host's, together with
// a row of the host's own.
func TestHostTransaction(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		end  func(pgx.Tx, context.Context) error
		want int // rows that stay
	}{
		{"commit", pgx.Tx.Commit, 1},
		{"rollback", pgx.Tx.Rollback, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name := schema(t)
			s := openIn(t, name, nil)
			execute(t, shared.pool, `CREATE TABLE `+name+`.partners (name text)`)
			tx, err := shared.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), `INSERT INTO `+name+`.partners VALUES ('acme')`); err != nil {
				t.Fatal(err)
			}
			issued := create(t, manager(t, s.With(tx)), keys.Spec{Scopes: []string{"a:read"}})
			same(t, "the record within the transaction", get(t, s.With(tx), issued.Record.ID), issued.Record)
			if _, _, err := s.Get(t.Context(), issued.Record.ID); err == nil {
				t.Error("the record is seen outside before the commit")
			}
			if err := test.end(tx, t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := value[int](t, shared.pool, `SELECT count(*) FROM `+name+`.partners`); n != test.want {
				t.Errorf("%d rows of the host's, want %d", n, test.want)
			}
			if n := value[int](t, shared.pool, `SELECT count(*) FROM `+name+`.records`); n != test.want {
				t.Errorf("%d records, want %d", n, test.want)
			}
			_, err = manager(t, s).Verifier().Verify(t.Context(), issued.Text.Reveal())
			if want := map[bool]error{false: keys.ErrUnknown}[test.want == 1]; err != want {
				t.Errorf("Verify: %v, want %v", err, want)
			}
		})
	}
}

// TestConnectionInTransaction has stores over connections on which the host has begun a
// transaction. Nothing that they do commits it, and all that they did is undone with it.
func TestConnectionInTransaction(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	execute(t, shared.pool, `CREATE TABLE `+name+`.partners (name text)`)
	conn, err := pgx.Connect(t.Context(), dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	pooled, err := shared.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pooled.Release()
	cause := errors.New("cause")
	for kind, db := range map[string]pgstore.DB{"a connection": conn, "one of a pool": pooled} {
		in := s.With(db)
		tx, err := db.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(t.Context(), `INSERT INTO `+name+`.partners VALUES ('acme')`); err != nil {
			t.Fatal(err)
		}
		if err := in.Batch(t.Context(), func(ctx context.Context) error { return in.Insert(ctx, record(keys.KindKey, "a")) }); err != nil {
			t.Errorf("Batch over %s: %v", kind, err)
		}
		fails(t, "Batch over "+kind, in.Batch(t.Context(), func(ctx context.Context) error {
			insert(t, joiner{in, ctx}, record(keys.KindKey, "b"))
			return cause
		}), cause)
		if err := pgstore.Migrate(t.Context(), db, &pgstore.Options{Schema: name}); err != nil {
			t.Errorf("Migrate over %s: %v", kind, err)
		}
		fails(t, "what a batch undid", in.Update(t.Context(), record(keys.KindKey, "b")), keys.ErrNotFound)
		same(t, kind, get(t, in, "a"), record(keys.KindKey, "a"))
		if err := tx.Rollback(t.Context()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if n := value[int](t, shared.pool, `SELECT count(*) FROM `+name+`.partners`); n != 0 {
			t.Errorf("%s: %d rows of the host's after it rolled back", kind, n)
		}
		_, _, err = s.Get(t.Context(), "a")
		fails(t, kind+", after the host rolled back", err, keys.ErrNotFound)
	}
}

// TestAnswersKeepTransaction checks that a refusal is no error of the
// database, after which a transaction is good for nothing.
func TestAnswersKeepTransaction(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := record(keys.KindKey, "key")
	insert(t, s, r)
	tx, err := shared.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	in := s.With(tx)
	fails(t, "Insert of an ID that is there", in.Insert(t.Context(), r), keys.ErrExists)
	stale, absent := r, r
	stale.Version, absent.ID = 7, "nobody"
	fails(t, "Update of another version", in.Update(t.Context(), stale), keys.ErrConflict)
	fails(t, "Update of nobody", in.Update(t.Context(), absent), keys.ErrNotFound)
	_, _, err = in.Get(t.Context(), "nobody")
	fails(t, "Get of nobody", err, keys.ErrNotFound)
	b, l := ratelimit.Bucket{Space: "org", Name: "a"}, ratelimit.MustPerMinute(1)
	if !take(t, in, b, l, 1).Allowed || take(t, in, b, l, 1).Allowed {
		t.Error("Take does not take within a transaction")
	}
	r.Label = "changed"
	if err := in.Update(t.Context(), r); err != nil {
		t.Errorf("Update after refusals: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, "key").Label; got != "changed" {
		t.Errorf("the label is %q after the commit", got)
	}
}

// TestDurabilityOfTransaction checks what calls do to the synchronous_commit of
// a transaction of the host's: writes of records raise it, and nothing lowers
// it.
func TestDurabilityOfTransaction(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := record(keys.KindKey, "key")
	insert(t, s, r)
	entry := keys.Entry{Org: r.Org, Time: now, Action: keys.ActionChanged, ID: r.ID}
	if err := errors.Join(s.AddEntry(t.Context(), entry), s.Announce(t.Context(), "cache", time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ before, written string }{
		{"off", "on"}, {"local", "on"}, {"remote_write", "on"}, {"on", "on"}, {"remote_apply", "remote_apply"},
	} {
		t.Run(test.before, func(t *testing.T) {
			t.Parallel()
			added, of := record(keys.KindKey, test.before), entry
			of.ID = added.ID
			with := func(e keys.Entry) context.Context { return keys.NewEntryContext(t.Context(), e) }
			for _, write := range []struct {
				name string
				call func(*pgstore.Store) error
				want string
			}{
				{"Take", func(s *pgstore.Store) error {
					_, err := s.Take(t.Context(), bucket(test.before), limit(t, 1, 1), now, 1)
					return err
				}, test.before},
				{"Get", func(s *pgstore.Store) error { _, _, err := s.Get(t.Context(), "key"); return err }, test.before},
				{"Sweep", func(s *pgstore.Store) error { _, err := s.Sweep(t.Context(), now, 1); return err }, test.before},
				{"NoteUses", func(s *pgstore.Store) error { return s.NoteUses(t.Context(), uses("key")) }, test.before},
				{"Insert", func(s *pgstore.Store) error { return s.Insert(t.Context(), added) }, test.written},
				{"Insert with an entry", func(s *pgstore.Store) error { return s.Insert(with(of), added) }, test.written},
				{"Update", func(s *pgstore.Store) error { return s.Update(t.Context(), r) }, test.written},
				{"Update with an entry", func(s *pgstore.Store) error { return s.Update(with(entry), r) }, test.written},
				{"AddEntry", func(s *pgstore.Store) error { return s.AddEntry(t.Context(), entry) }, test.written},
				{"CutEntries", func(s *pgstore.Store) error { return s.CutEntries(t.Context(), r.Org, "", 1) }, test.written},
				{"Announce", func(s *pgstore.Store) error { return s.Announce(t.Context(), test.before, time.Second) }, test.written},
				{"MarkIdle", func(s *pgstore.Store) error { _, err := s.MarkIdle(t.Context(), 0); return err }, test.written},
				{"Withdraw", func(s *pgstore.Store) error { return s.Withdraw(t.Context(), "cache") }, test.written},
			} {
				tx, err := shared.pool.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer tx.Rollback(t.Context())
				if _, err := tx.Exec(t.Context(), `SET LOCAL synchronous_commit = `+test.before); err != nil {
					t.Fatal(err)
				}
				if err := write.call(s.With(tx)); err != nil {
					t.Fatalf("%s: %v", write.name, err)
				}
				if got := value[string](t, tx, `SHOW synchronous_commit`); got != write.want {
					t.Errorf("synchronous_commit is %s after %s, want %s", got, write.name, write.want)
				}
				if err := tx.Rollback(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestNoRetryInTransaction has a statement fail in a host's transaction and
// checks that it is not tried again: the server has forgotten what went before.
func TestNoRetryInTransaction(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := record(keys.KindKey, "key")
	insert(t, s, r)
	conn, err := pgx.Connect(t.Context(), dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	pool, err := shared.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Release()
	for name, db := range map[string]pgstore.DB{"connection": conn, "pooled connection": pool} {
		t.Run(name, func(t *testing.T) {
			// The host began this transaction by hand: no pgx.Tx tells of it.
			if _, err := db.Exec(t.Context(), `BEGIN ISOLATION LEVEL REPEATABLE READ`); err != nil {
				t.Fatal(err)
			}
			defer db.Exec(t.Context(), `ROLLBACK`)
			counted := &counter{DB: db}
			in := s.With(struct {
				*counter
				joins
			}{counted, joins{}})
			before := get(t, s.With(db), "key")
			r := get(t, s, "key")
			r.Label += "."
			if err := s.Update(t.Context(), r); err != nil { // outside
				t.Fatal(err)
			}
			if err := s.With(db).Update(t.Context(), before); code(err) != "40001" {
				t.Errorf("Update of what another transaction has changed: %v, want 40001", err)
			}
			if _, _, err := s.With(db).Get(t.Context(), "key"); code(err) != "25P02" {
				t.Errorf("Get after it: %v, want 25P02, for the transaction is over", err)
			}
			_, _, _ = in.Get(t.Context(), "key")
			if counted.calls != 1 {
				t.Errorf("%d statements for a Get that failed, want 1", counted.calls)
			}
		})
	}
}

// A counter counts the statements that a store sends.
type counter struct {
	pgstore.DB
	calls int
}

func (c *counter) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	c.calls++
	return c.DB.QueryRow(ctx, sql, args...)
}

// joins makes a DB look like a transaction.
type joins struct{}

func (joins) Commit(context.Context) error { return nil }

// TestOneStatement counts the round trips of each call.
func TestOneStatement(t *testing.T) {
	t.Parallel()
	calls := &tracer{}
	pool := connectTraced(t, calls)
	s := openOn(t, pool, schema(t), nil)
	ctx := t.Context()
	client, token := record(keys.KindClient, "client"), record(keys.KindToken, "token")
	b, l := ratelimit.Bucket{Space: "org", Name: "a"}, ratelimit.MustPerMinute(2)
	for _, test := range []struct {
		name string
		call func() error
		want error
	}{
		{"Insert", func() error { return s.Insert(ctx, client) }, nil},
		{"Insert of a token", func() error { return s.Insert(ctx, token) }, nil},
		{"Insert again", func() error { return s.Insert(ctx, client) }, keys.ErrExists},
		{"Get", func() error { _, _, err := s.Get(ctx, "client"); return err }, nil},
		{"Get of a token", func() error { _, _, err := s.Get(ctx, "token"); return err }, nil},
		{"Get of nobody", func() error { _, _, err := s.Get(ctx, "nobody"); return err }, keys.ErrNotFound},
		{"Update", func() error { return s.Update(ctx, client) }, nil},
		{"Update of another version", func() error { return s.Update(ctx, client) }, keys.ErrConflict},
		{"Update of nobody", func() error { return s.Update(ctx, record(keys.KindKey, "nobody")) }, keys.ErrNotFound},
		{"List", func() error { _, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1}); return err }, nil},
		{"List of live ones", func() error {
			_, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1, Live: true})
			return err
		}, nil},
		{"Count", func() error { _, err := s.Count(ctx, "acme", keys.KindKey, now, 1); return err }, nil},
		{"Orgs", func() error { _, err := s.Orgs(ctx, "", 1); return err }, nil},
		{"Sweep", func() error { _, err := s.Sweep(ctx, now, 1); return err }, nil},
		{"NoteUses", func() error { return s.NoteUses(ctx, map[string]time.Time{"client": now, "token": now}) }, nil},
		{"LastUses", func() error { _, err := s.LastUses(ctx, []string{"client", "token"}); return err }, nil},
		{"Take", func() error { _, err := s.Take(ctx, b, l, now, 2); return err }, nil},
		{"Take again", func() error { _, err := s.Take(ctx, b, l, now, 2); return err }, nil},
		{"SweepBuckets", func() error { _, err := s.SweepBuckets(ctx, 1); return err }, nil},
	} {
		calls.n = 0
		fails(t, test.name, test.call(), test.want)
		if calls.n != 1 {
			t.Errorf("%s sent %d statements, want 1", test.name, calls.n)
		}
	}
}

// A tracer counts the queries of connections, one at a time.
type tracer struct{ n int }

func (c *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n++
	return ctx
}

func (c *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
