package sqlitestore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// filled returns a manager whose store has a trail of acme with n entries, and one
// of globex.
func filled(t testing.TB, s *sqlitestore.Store, n int) *keys.Manager {
	t.Helper()
	m, err := keys.NewManager(s, &keys.Options{Trail: true, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	ctx := keys.NewAddressContext(keys.NewContext(t.Context(), keys.Principal{ID: "cli:anna"}), netip.MustParseAddr("2001:db8::1"))
	for _, org := range []string{"acme", "globex"} {
		for range n / 2 {
			issued, err := m.Create(ctx, org, keys.Spec{})
			if err == nil {
				err = m.Revoke(ctx, org, keys.KindKey, issued.Record.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

// An edit is something that somebody does to the tables of a trail of n entries, and
// the first position that is wrong then.
type edit struct {
	name string
	make func(n int) (statement string, args []any, seq int64)
}

// edits are what is tried, each many times.
var edits = []edit{
	{"an entry is removed", func(n int) (string, []any, int64) {
		seq := 1 + rand.Int64N(int64(n))
		return "DELETE FROM claviger_trail WHERE org = 'acme' AND seq = ?", []any{seq}, seq
	}},
	{"the end is removed", func(n int) (string, []any, int64) {
		seq := 1 + rand.Int64N(int64(n))
		return "DELETE FROM claviger_trail WHERE org = 'acme' AND seq >= ?", []any{seq}, seq
	}},
	{"the beginning is removed", func(n int) (string, []any, int64) {
		return "DELETE FROM claviger_trail WHERE org = 'acme' AND seq <= ?", []any{1 + rand.Int64N(int64(n))}, 1
	}},
	{"two entries change places", func(n int) (string, []any, int64) {
		a := 1 + rand.Int64N(int64(n)-1)
		b := a + 1 + rand.Int64N(int64(n)-a)
		return `UPDATE claviger_trail SET seq = 1000000 WHERE org = 'acme' AND seq = ?1;
			UPDATE claviger_trail SET seq = ?1 WHERE org = 'acme' AND seq = ?2;
			UPDATE claviger_trail SET seq = ?2 WHERE org = 'acme' AND seq = 1000000`, []any{a, b}, a
	}},
	{"an entry is moved to the end", func(n int) (string, []any, int64) {
		seq := 1 + rand.Int64N(int64(n))
		return "UPDATE claviger_trail SET seq = ?1 WHERE org = 'acme' AND seq = ?2", []any{n + 1, seq}, seq
	}},
	{"an entry is given to another organization", func(n int) (string, []any, int64) {
		seq := 1 + rand.Int64N(int64(n))
		return "UPDATE claviger_trail SET org = 'initech' WHERE org = 'acme' AND seq = ?", []any{seq}, seq
	}},
	{"that of another organization is taken", func(n int) (string, []any, int64) {
		seq := 1 + rand.Int64N(int64(n))
		return `DELETE FROM claviger_trail WHERE org = 'acme' AND seq = ?1;
			UPDATE claviger_trail SET org = 'acme' WHERE org = 'globex' AND seq = ?1`, []any{seq}, seq
	}},
	{"an entry is added", func(n int) (string, []any, int64) {
		return `INSERT INTO claviger_trail SELECT 'acme', ?1 + 1, at, action, id, kind, version, fields, other, actor, address, reason, count, hash, hash
			FROM claviger_trail WHERE org = 'acme' AND seq = ?1`, []any{n}, int64(n) + 1
	}},
	{"the end is noted elsewhere", func(n int) (string, []any, int64) {
		return "UPDATE claviger_chains SET seq = seq + 1 WHERE org = 'acme'", nil, int64(n) + 1
	}},
	{"an end is noted that was passed", func(n int) (string, []any, int64) {
		seq := rand.Int64N(int64(n))
		return `UPDATE claviger_chains SET seq = ?1, hash = coalesce((SELECT hash FROM claviger_trail WHERE org = 'acme' AND seq = ?1), zeroblob(32))
			WHERE org = 'acme'`, []any{seq}, seq + 1
	}},
	{"the note of the end is removed", func(int) (string, []any, int64) {
		return "DELETE FROM claviger_chains WHERE org = 'acme'", nil, 1
	}},
	{"another hash is noted for the end", func(n int) (string, []any, int64) {
		return "UPDATE claviger_chains SET hash = zeroblob(32) WHERE org = 'acme'", nil, int64(n)
	}},
	{"a cut is noted that nobody made", func(n int) (string, []any, int64) {
		seq := 1 + rand.Int64N(int64(n))
		return `UPDATE claviger_chains SET cut_seq = ?1, cut_hash = (SELECT hash FROM claviger_trail WHERE org = 'acme' AND seq = ?1)
			WHERE org = 'acme'`, []any{seq}, 1
	}},
	{"another hash is noted for the beginning", func(n int) (string, []any, int64) {
		return "UPDATE claviger_chains SET cut_hash = randomblob(32) WHERE org = 'acme'", nil, 1
	}},
	{"all is removed but the note of the end", func(n int) (string, []any, int64) {
		return "DELETE FROM claviger_trail", nil, 1
	}},
	// A checkpoint alone tells the rest.
	{"the end is removed, and its note", func(n int) (string, []any, int64) {
		seq := 1 + rand.Int64N(int64(n))
		return `DELETE FROM claviger_trail WHERE org = 'acme' AND seq >= ?1;
			DELETE FROM claviger_chains WHERE org = 'acme';
			INSERT INTO claviger_chains (org, seq, hash) SELECT org, seq, hash FROM claviger_trail WHERE org = 'acme' AND seq = ?1 - 1`, []any{seq}, seq
	}},
	{"the beginning is removed, and a cut noted", func(n int) (string, []any, int64) {
		seq := 1 + rand.Int64N(int64(n)-1)
		return `UPDATE claviger_chains SET cut_seq = ?1, cut_hash = (SELECT hash FROM claviger_trail WHERE org = 'acme' AND seq = ?1)
			WHERE org = 'acme'; DELETE FROM claviger_trail WHERE org = 'acme' AND seq <= ?1`, []any{seq}, 1
	}},
	{"all is removed", func(n int) (string, []any, int64) {
		return "DELETE FROM claviger_trail; DELETE FROM claviger_chains", nil, 1
	}},
}

// columnEdits are of one column of an entry each.
func columnEdits() (all []edit) {
	for _, c := range []struct {
		name   string
		values []any
	}{
		{"at", []any{int64(0), int64(1) << 62}},
		{"action", []any{"x"}},
		{"id", []any{"x", ""}},
		{"kind", []any{"client"}},
		{"version", []any{int64(9)}},
		{"fields", []any{"label"}},
		{"other", []any{"x"}},
		{"actor", []any{"eve", ""}},
		{"address", []any{"192.0.2.2", "x", "", "2001:DB8::1"}},
		{"reason", []any{"x"}},
		{"count", []any{int64(1)}},
		{"previous", []any{[]byte{1}, make([]byte, 32)}},
		{"hash", []any{[]byte{}, make([]byte, 32)}},
	} {
		for _, value := range c.values {
			all = append(all, edit{fmt.Sprintf("%s becomes %v", c.name, value), func(n int) (string, []any, int64) {
				seq := 2 + rand.Int64N(int64(n)-1) // the first one has no hash before it
				return "UPDATE claviger_trail SET " + c.name + " = ? WHERE org = 'acme' AND seq = ?", []any{value, seq}, seq
			}})
		}
	}
	return all
}

// Random edits to the tables of the trail are all found, at the first row that was
// edited.
func TestTrailTampered(t *testing.T) {
	t.Parallel()
	const n = 24
	path := file(t)
	m := filled(t, open(t, path), n)
	kept, err := m.VerifyTrail(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	db := database(t, hostDSN(path)+"&_synchronous=NORMAL")
	for _, text := range []string{
		"CREATE TABLE kept_trail AS SELECT * FROM claviger_trail", "CREATE TABLE kept_chains AS SELECT * FROM claviger_chains",
	} {
		execute(t, db, text)
	}
	tried := 0
	for range rounds(25, 3, 1) {
		for _, e := range slices.Concat(columnEdits(), edits) {
			statement, args, seq := e.make(n)
			execute(t, db, statement, args...)
			var tampered *keys.TamperError
			_, err := m.VerifyTrail(t.Context(), "acme", kept...)
			if !errors.As(err, &tampered) || tampered.Seq != seq {
				t.Errorf("%s (%s, %v): want entry %d, found %v", e.name, statement, args, seq, err)
			}
			tried++
			execute(t, db, `DELETE FROM claviger_trail; INSERT INTO claviger_trail SELECT * FROM kept_trail;
				DELETE FROM claviger_chains; INSERT INTO claviger_chains SELECT * FROM kept_chains`)
		}
	}
	t.Logf("%d edits", tried)
	if _, err := m.VerifyTrail(t.Context(), "acme", kept...); err != nil {
		t.Errorf("after all was put back: %v", err)
	}
}

// A change whose entry cannot be written is not made, and a trail that nobody
// wants writes no row.
func TestTrailAndRecord(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	m := filled(t, s, 2)
	db := database(t, hostDSN(path))
	execute(t, db, "ALTER TABLE claviger_trail RENAME TO claviger_elsewhere")
	key := func() (all []keys.Record) {
		page, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	before := key()
	label := "new"
	if _, err := m.Create(t.Context(), "acme", keys.Spec{}); err == nil {
		t.Error("a key was made without an entry")
	}
	if _, err := m.Create(t.Context(), "globex", keys.Spec{}); err == nil {
		t.Error("a key was made without an entry")
	}
	if _, err := m.Change(t.Context(), "acme", keys.KindKey, before[0].ID, keys.Change{Label: &label}); err == nil {
		t.Error("a key was changed without an entry")
	}
	if after := key(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("keys %v, want %v", after, before)
	}
	plain, err := keys.NewManager(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Create(t.Context(), "acme", keys.Spec{}); err != nil {
		t.Errorf("without a trail: %v", err)
	}
}

// BenchmarkTrail has writers of one organization, and of one each, with a trail and
// without.
func BenchmarkTrail(b *testing.B) {
	for _, trail := range []bool{false, true} {
		b.Run(fmt.Sprintf("trail=%t", trail), func(b *testing.B) {
			m, err := keys.NewManager(open(b, file(b)), &keys.Options{Trail: trail})
			if err != nil {
				b.Fatal(err)
			}
			issued, err := m.Create(b.Context(), "acme", keys.Spec{})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				label := time.Now().String()
				if _, err := m.Change(context.Background(), "acme", keys.KindKey, issued.Record.ID, keys.Change{Label: &label}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
