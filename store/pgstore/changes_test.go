package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// A reader reads the feed of changes as the migration says.
type reader struct {
	schema, snapshot string
}

// newReader returns a reader that has read all that there is.
func newReader(t testing.TB, db pgstore.DB, schema string) *reader {
	t.Helper()
	return &reader{schema, value[string](t, db, `SELECT pg_current_snapshot()::text`)}
}

// news returns the IDs that are new in the feed, sorted.
func (r *reader) news(t testing.TB, db pgstore.DB) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		SELECT pg_current_snapshot()::text, c.id FROM (VALUES (1)) AS one
		LEFT JOIN `+r.schema+`.changes AS c
			ON c.xid >= pg_snapshot_xmin($1::text::pg_snapshot) AND NOT pg_visible_in_snapshot(c.xid, $1::text::pg_snapshot)
		ORDER BY c.id`, r.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	var id *string
	if _, err := pgx.ForEachRow(rows, []any{&r.snapshot, &id}, func() error {
		if id != nil {
			ids = append(ids, *id)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestChanges checks what is in the feed, whoever writes and how.
func TestChanges(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	ctx := t.Context()
	key, a, b := record(keys.KindKey, "key"), record(keys.KindToken, "a"), record(keys.KindToken, "b")
	a.ExpiresAt, b.ExpiresAt = now, now
	feed := newReader(t, shared.pool, name)
	do := func(sql string, args ...any) func() error {
		return func() error { _, err := shared.pool.Exec(ctx, sql, args...); return err }
	}
	for _, test := range []struct {
		name string
		call func() error
		want []string
	}{
		{"Insert", func() error { insert(t, s, key, a, b); return nil }, nil},
		{"Update", func() error { return s.Update(ctx, key) }, []string{"key"}},
		{"Update of another version", func() error { _ = s.Update(ctx, key); return nil }, nil},
		{"NoteUses", func() error { return s.NoteUses(ctx, uses("key")) }, nil},
		{"Sweep", func() error { _, err := s.Sweep(ctx, now.Add(1), 10); return err }, []string{"a", "b"}},
		{"Sweep of nothing", func() error { _, err := s.Sweep(ctx, now.Add(1), 10); return err }, nil},
		{"an UPDATE", do(`UPDATE ` + name + `.records SET label = 'by hand'`), []string{"key"}},
		{"an UPDATE of the ID", do(`UPDATE ` + name + `.records SET id = 'other'`), []string{"key"}},
		{"an UPDATE and a rollback", do(`BEGIN; UPDATE ` + name + `.records SET label = ''; ROLLBACK`), nil},
		{
			"an UPDATE under another search_path", do(`SET search_path = pg_temp; UPDATE ` + name + `.records SET label = 'x'; RESET search_path`),
			[]string{"other"},
		},
		{
			"an UPDATE by replication", do(`SET session_replication_role = replica; UPDATE ` + name + `.records SET label = 'y'; RESET session_replication_role`),
			[]string{"other"},
		},
		{"a DELETE", do(`DELETE FROM ` + name + `.records`), []string{"other"}},
	} {
		if err := test.call(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := feed.news(t, shared.pool); !slices.Equal(got, test.want) {
			t.Errorf("after %s, the feed has %q, want %q", test.name, got, test.want)
		}
	}
}

// TestFunctionsOfTheCaller has a caller's search_path name functions that stand in for
// those of the server. The functions of the package run with the rights of the role
// that migrated, and call none of the caller's.
func TestFunctionsOfTheCaller(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	for function, returns := range map[string]string{
		"pg_current_snapshot()": "pg_snapshot", "pg_current_xact_id()": "xid8", "sha256(bytea)": "bytea", "int8send(bigint)": "bytea",
	} {
		execute(t, shared.pool, `CREATE FUNCTION `+name+`.`+function+` RETURNS `+returns+` LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$`)
	}
	tx, err := shared.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `SET LOCAL search_path TO `+name+`, pg_catalog`); err != nil {
		t.Fatal(err)
	}
	s = s.With(tx)
	r := record(keys.KindKey, "key")
	ctx := keys.NewEntryContext(t.Context(), keys.Entry{Org: r.Org, Time: now, Action: keys.ActionChanged, ID: r.ID})
	_, err = s.Sweep(ctx, now, 1)
	if err := errors.Join(err, s.Insert(ctx, r), s.Update(ctx, r)); err != nil {
		t.Error(err)
	}
}

// TestFeedMissesNothing reads the feed while transactions of all sorts commit, in
// another order than that in which they began, and while it is trimmed. Each change
// is read once.
func TestFeedMissesNothing(t *testing.T) {
	t.Parallel()
	name := schema(t)
	writers, rounds := rounds(16, 12, 6), rounds(100, 40, 8)
	pool := connect(t, fmt.Sprintf("pool_max_conns=%d", writers+5))
	s := openOn(t, pool, name, nil)
	execute(t, pool, `INSERT INTO `+name+`.records (`+required+`)
		SELECT 'w' || w || ' n' || n || ' s' || s, 'key', 'acme', NULL, '', '', 0, 0, 'x', 0, 1
		FROM generate_series(0, $1::int) AS w, generate_series(0, $2::int) AS n, generate_series(0, 2) AS s`, writers-1, rounds-1)

	feed := newReader(t, pool, name)
	var wg sync.WaitGroup
	var left atomic.Int64
	var mu sync.Mutex
	committed := []string{}
	left.Store(int64(writers))
	for w := range writers {
		wg.Go(func() {
			defer left.Add(-1)
			for n := range rounds {
				ids, err := change(t.Context(), pool, name, fmt.Sprintf("w%d n%d s", w, n))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				committed = append(committed, ids...)
				mu.Unlock()
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			for left.Load() > 0 {
				if _, err := s.Sweep(t.Context(), now, 10); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen, polls := []string{}, 0
	for ; left.Load() > 0; polls++ {
		seen = append(seen, feed.news(t, pool)...)
	}
	wg.Wait()
	seen = append(seen, feed.news(t, pool)...)
	slices.Sort(seen)
	slices.Sort(committed)
	if !slices.Equal(seen, committed) {
		t.Errorf("%d changes were read in %d polls, of %d that were committed", len(seen), polls, len(committed))
	}
	if len(committed) == 0 {
		t.Error("nothing was committed")
	}
}

// change updates the records with the IDs id0, id1 and id2, all, some or none of
// them, in a transaction that takes a while, and returns the IDs of those whose
// update was committed.
func change(ctx context.Context, pool *pgxpool.Pool, schema, id string) (committed []string, err error) {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx)
	update := func(id string) error {
		_, err := tx.Exec(ctx, `UPDATE `+schema+`.records SET version = version + 1 WHERE id = $1`, id)
		return err
	}
	if err := update(id + "0"); err != nil {
		return nil, err
	}
	committed = append(committed, id+"0")
	for i, end := range []string{"RELEASE", "ROLLBACK TO"} {
		id := fmt.Sprint(id, i+1)
		if _, err := tx.Exec(ctx, `SAVEPOINT s`); err != nil {
			return nil, err
		}
		if err := update(id); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, end+` SAVEPOINT s`); err != nil {
			return nil, err
		}
		if end == "RELEASE" {
			committed = append(committed, id)
		}
		for range rand.IntN(4) { // a while
			if _, err := tx.Exec(ctx, `SELECT 1`); err != nil {
				return nil, err
			}
		}
	}
	if rand.IntN(4) == 0 {
		return nil, tx.Rollback(ctx)
	}
	return committed, tx.Commit(ctx)
}

// TestFeedForgets checks that there is another nonce, or none, whenever what was
// read of the feed may be worth nothing.
func TestFeedForgets(t *testing.T) {
	t.Parallel()
	server := start(t)
	pool := connectTo(t, server.DSN)
	s := openOn(t, pool, "claviger", nil)
	insert(t, s, record(keys.KindKey, "key"))
	nonce := func() string {
		t.Helper()
		return value[string](t, pool, `SELECT coalesce(max(nonce::text), '') FROM claviger.feed`)
	}
	last := nonce()
	for _, table := range []string{"records", "changes", "announcements"} {
		execute(t, pool, `TRUNCATE claviger.`+table)
		if n := nonce(); n == last || n == "" {
			t.Errorf("after TRUNCATE of %s the nonce is %q, and it was %q", table, n, last)
		}
		last = nonce()
	}
	server.Stop()
	restart(t, server)
	pool.Reset()
	if n := nonce(); n != last {
		t.Errorf("after a restart in good order the nonce is %q, and it was %q", n, last)
	}
	server.Kill()
	restart(t, server)
	pool.Reset()
	if n := nonce(); n != "" {
		t.Errorf("after a crash the nonce is %q, want none", n)
	}
	if _, err := s.Sweep(t.Context(), now, 1); err != nil {
		t.Fatal(err)
	}
	if n := nonce(); n == "" || n == last {
		t.Errorf("the nonce is %q after a Sweep, and it was %q before the crash", n, last)
	}
}

// TestChangesAreTrimmed has a minute pass, twice, and checks what Sweep leaves in
// the feed: at least what was written since the last minute, and whatever cannot
// be read on from is below the horizon.
func TestChangesAreTrimmed(t *testing.T) {
	t.Parallel()
	server := start(t, "autovacuum=off") // where no other transaction holds the marks back
	pool, name := connectTo(t, server.DSN), "claviger"
	s := openOn(t, pool, name, nil)
	sweep := func(minute bool) {
		t.Helper()
		if minute {
			execute(t, pool, `UPDATE `+name+`.feed SET marked_at = marked_at - interval '61 seconds'`)
		}
		if _, err := s.Sweep(t.Context(), now, 10); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(when, want string) {
		t.Helper()
		got := value[string](t, pool, `SELECT coalesce(string_agg(id, ' ' ORDER BY id), '') FROM `+name+`.changes`)
		if got != want {
			t.Errorf("%s, %q is kept, want %q", when, got, want)
		}
	}
	stale := func(r *reader) bool {
		return value[bool](t, pool, `SELECT horizon > pg_snapshot_xmin($1::text::pg_snapshot) FROM `+name+`.feed`, r.snapshot)
	}
	first, second, third := record(keys.KindKey, "1"), record(keys.KindKey, "2"), record(keys.KindKey, "3")
	insert(t, s, first, second, third)
	update := func(s *pgstore.Store, r keys.Record) {
		t.Helper()
		if err := s.Update(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}

	old := newReader(t, pool, name)
	update(s, first)
	sweep(false)
	kept("before a minute has passed", "1")
	sweep(true)
	kept("after the first minute", "1")
	recent := newReader(t, pool, name)
	update(s, second)
	tx, err := pool.Begin(t.Context()) // one that began before the second minute is over
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	update(s.With(tx), third)
	sweep(true)
	kept("after the second minute", "2")
	if !stale(old) || stale(recent) {
		t.Errorf("who read before the first mark is too old: %t, and after it: %t, want true and false", stale(old), stale(recent))
	}
	if news := recent.news(t, pool); strings.Join(news, " ") != "2" {
		t.Errorf("who read after the first mark reads %q, want 2", news)
	}
	sweep(true)
	sweep(true)
	kept("after the fourth minute", "")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if news := recent.news(t, pool); strings.Join(news, " ") != "3" || stale(recent) {
		t.Errorf("who read while the transaction ran reads %q, want 3, and is too old: %t", news, stale(recent))
	}
	sweep(true)
	kept("a moment after the transaction ended, and minutes after it began", "3")

	// IDs of another server's are gone at once; what the transaction itself has
	// changed is not.
	execute(t, pool, `INSERT INTO `+name+`.changes (xid, id) VALUES ('9000000000000000000', 'foreign')`)
	first.Version++
	tx, err = pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	update(s.With(tx), first)
	if _, err := s.With(tx).Sweep(t.Context(), now, 10); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept("after a Sweep in the transaction of an Update", "1 3")

	// Nor is a mark of another server's believed.
	execute(t, pool, `UPDATE `+name+`.feed SET mark = '9000000000000000000'`)
	sweep(true)
	if r := newReader(t, pool, name); stale(r) {
		t.Error("who reads now is too old, after a mark of another server's")
	}
}

// TestTrimmingWaitsForNobody has a transaction that trims stay open.
func TestTrimmingWaitsForNobody(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	insert(t, s, record(keys.KindKey, "key"))
	execute(t, shared.pool, `INSERT INTO `+name+`.changes VALUES ('9000000000000000000', 'foreign'); UPDATE `+name+`.feed SET marked_at = '-infinity'`)
	tx, err := shared.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	for _, s := range []*pgstore.Store{s.With(tx), s} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := s.Sweep(ctx, now, 1); err != nil {
			t.Error(err)
		}
	}
}
