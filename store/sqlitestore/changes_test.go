package sqlitestore_test

import (
	"database/sql"
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// changesAfter returns the IDs in the table of changes after a position, and the
// last position.
func changesAfter(t *testing.T, db *sql.DB, position int64) (ids []string, last int64) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT seq, id FROM claviger_changes WHERE seq > ? ORDER BY seq", position)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	last = position
	for rows.Next() {
		var id string
		if err := rows.Scan(&last, &id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids, last
}

// TestChanges holds that all that a cache of records would have to drop is in the
// table of changes, whoever changed it.
func TestChanges(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	db := database(t, hostDSN(path))
	a, b, dead := record(t, keys.KindKey, "a"), record(t, keys.KindClient, "b"), record(t, keys.KindToken, "dead")
	dead.ExpiresAt = start
	stale := a
	stale.Version = 9
	var position int64
	for _, step := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"records are made", func() error {
			return errors.Join(s.Insert(t.Context(), a), s.Insert(t.Context(), b), s.Insert(t.Context(), dead))
		}, nil},
		{"uses are noted", func() error { return s.NoteUses(t.Context(), map[string]time.Time{"a": start}) }, nil},
		{"a record is changed", func() error { return s.Update(t.Context(), a) }, []string{"a"}},
		{"a record is revoked", func() error { r := b; r.RevokedAt = start; return s.Update(t.Context(), r) }, []string{"b"}},
		{"a change is refused", func() error { return expect(s.Update(t.Context(), stale), keys.ErrConflict) }, nil},
		{"a token is swept", func() error { return second(s.Sweep(t.Context(), never, 10)) }, []string{"dead"}},
		{"by hand: changed", run(t, db, "UPDATE claviger_records SET label = 'x' WHERE id = 'a'"), []string{"a"}},
		{"by hand: all are changed", run(t, db, "UPDATE claviger_records SET revoked_at = 1"), []string{"a", "b"}},
		{"by hand: inserted or changed", run(t, db, `INSERT INTO claviger_records (id, kind, org, parent, label, scopes, rate_limit, token_lifetime, digest, previous_digest, created_at, version)
			VALUES ('c', 'key', 'acme', '', '', '', 0, 0, '', '', 1, 1) ON CONFLICT DO UPDATE SET label = 'x'`), nil},
		{"by hand: replaced", run(t, db, `INSERT OR REPLACE INTO claviger_records (id, kind, org, parent, label, scopes, rate_limit, token_lifetime, digest, previous_digest, created_at, version)
			VALUES ('c', 'key', 'other', '', '', '', 0, 0, '', '', 1, 1)`), []string{"c"}},
		{"by hand: another ID", run(t, db, "UPDATE claviger_records SET id = 'd' WHERE id = 'c'"), []string{"c", "d"}},
		{"by hand: deleted", run(t, db, "DELETE FROM claviger_records"), []string{"a", "b", "d"}},
		{"by hand: undone", run(t, db, "BEGIN", "INSERT INTO claviger_changes (id) VALUES ('e')", "ROLLBACK"), nil},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		var got []string
		got, position = changesAfter(t, db, position)
		slices.Sort(got) // one statement, one moment
		if d := cmp.Diff(step.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, d)
		}
	}
}

// expect returns nil if err wraps want.
func expect(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return errors.Join(errors.New("not the error that it should be"), err)
}

// run returns a function that runs statements on one connection.
func run(t *testing.T, db *sql.DB, texts ...string) func() error {
	return func() error {
		conn, err := db.Conn(t.Context())
		if err != nil {
			return err
		}
		for _, text := range texts {
			_, e := conn.ExecContext(t.Context(), text)
			err = errors.Join(err, e)
		}
		return errors.Join(err, conn.Close())
	}
}

// TestChangesAreTrimmed holds that the table stays small, that the last changes
// stay, and that no position is used twice.
func TestChangesAreTrimmed(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	db := database(t, hostDSN(path))
	insert(t, s, record(t, keys.KindKey, "a"))
	const kept, count = 16384, 20_000
	execute(t, db, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO claviger_changes (id) SELECT 'id' || i FROM n`, count)
	ids, last := changesAfter(t, db, 0)
	if len(ids) < kept || len(ids) > kept+1024 || ids[len(ids)-1] != "id20000" || last != count {
		t.Errorf("%d changes are left, up to position %d", len(ids), last)
	}
	if err := s.Update(t.Context(), record(t, keys.KindKey, "a")); err != nil {
		t.Fatal(err)
	}
	if ids, last := changesAfter(t, db, count); len(ids) != 1 || last != count+1 {
		t.Errorf("one more change: %q, up to position %d", ids, last)
	}
}

// TestEpoch holds that each file has a name for its announcements, which stays.
func TestEpoch(t *testing.T) {
	t.Parallel()
	epoch := func(path string) string {
		s, err := sqlitestore.Open(path, patient())
		if err != nil {
			t.Fatal(err)
		}
		var text string
		if err := database(t, hostDSN(path)).QueryRowContext(t.Context(), "SELECT epoch FROM claviger_epoch").Scan(&text); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return text
	}
	one, other := file(t), file(t)
	first := epoch(one)
	if !regexp.MustCompile("^[0-9a-f]{32}$").MatchString(first) || epoch(one) != first || epoch(other) == first {
		t.Errorf("epochs %q and then %q, and %q of another file", first, epoch(one), epoch(other))
	}
}
