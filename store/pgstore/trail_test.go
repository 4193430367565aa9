package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/storetest"
)

// trailed returns a manager with a trail.
func trailed(t testing.TB, s keys.Store) *keys.Manager {
	t.Helper()
	m, err := keys.NewManager(s, &keys.Options{Trail: true, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTrailInAnyForm reads a trail over sessions that write bytes in the older form, in
// all modes of the driver.
func TestTrailInAnyForm(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	create(t, trailed(t, s), keys.Spec{})
	create(t, trailed(t, s), keys.Spec{})
	want, err := s.Entries(t.Context(), "acme", "", 0, 10)
	if err != nil || len(want) != 2 || want[1].Previous != want[0].Hash {
		t.Fatalf("%d entries: %v", len(want), err)
	}
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		other := s.With(connect(t, "bytea_output=escape", "default_query_exec_mode="+mode))
		got, err := other.Entries(t.Context(), "acme", "", 0, 10)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", mode, got, err, want)
		}
		if chains, err := other.Chains(t.Context(), "acme"); err != nil || chains[0].Last != want[1].Link() {
			t.Errorf("%s: %+v, %v", mode, chains, err)
		}
	}
}

// An edit is something that somebody does to the tables of a trail of n entries, as
// one statement about position $1, and the first position that is wrong then.
type edit struct {
	name  string
	text  string
	wrong func(seq, n int64) int64
}

func there(seq, _ int64) int64 { return seq }
func first(_, _ int64) int64   { return 1 }
func end(_, n int64) int64     { return n }
func after(_, n int64) int64   { return n + 1 }

// edits are what is tried, each many times.
func edits() []edit {
	all := []edit{
		{"an entry is removed", "DELETE FROM {schema}.trail WHERE org = 'acme' AND seq = $1::bigint", there},
		{"the end is removed", "DELETE FROM {schema}.trail WHERE org = 'acme' AND seq >= $1::bigint", there},
		{"the beginning is removed", "DELETE FROM {schema}.trail WHERE org = 'acme' AND seq <= $1::bigint", first},
		{"an entry is moved to the end", "UPDATE {schema}.trail SET seq = 1000 WHERE org = 'acme' AND seq = $1::bigint", there},
		{"an entry is given to another organization", "UPDATE {schema}.trail SET org = 'initech' WHERE org = 'acme' AND seq = $1::bigint", there},
		{"an entry is that of another organization", `UPDATE {schema}.trail AS t SET (id, hash, previous) = (SELECT id, hash, previous
			FROM {schema}.trail AS o WHERE o.org = 'globex' AND o.seq = t.seq) WHERE org = 'acme' AND seq = $1::bigint`, there},
		{"two entries change places", `UPDATE {schema}.trail AS t SET (at, action, id, kind, version, fields, other, actor, address, reason, count, previous, hash) =
			(SELECT at, action, id, kind, version, fields, other, actor, address, reason, count, previous, hash
			FROM {schema}.trail AS o WHERE o.org = 'acme' AND o.seq = 2 * $1::bigint + 1 - t.seq)
			WHERE org = 'acme' AND seq IN ($1::bigint, $1::bigint + 1)`, there},
		{"an entry is added", `INSERT INTO {schema}.trail SELECT org, seq + 1000 - $1::bigint, at, action, id, kind, version, fields, other, actor, address,
			reason, count, previous, hash FROM {schema}.trail WHERE org = 'acme' AND seq = $1::bigint`, after},
		{"the end is noted elsewhere", "UPDATE {schema}.chains SET seq = seq + $1::bigint WHERE org = 'acme'", after},
		{"an end is noted that was passed", `UPDATE {schema}.chains SET seq = $1::bigint, hash = (SELECT hash FROM {schema}.trail
			WHERE org = 'acme' AND seq = $1::bigint) WHERE org = 'acme'`, func(seq, _ int64) int64 { return seq + 1 }},
		{"the note of the end is removed", `DELETE FROM {schema}.chains WHERE org = 'acme' AND $1::bigint > 0`, first},
		{"another hash is noted for the end", "UPDATE {schema}.chains SET hash = int8send($1::bigint) WHERE org = 'acme'", end},
		{"a cut is noted that nobody made", `UPDATE {schema}.chains SET cut_seq = $1::bigint, cut_hash = (SELECT hash FROM {schema}.trail
			WHERE org = 'acme' AND seq = $1::bigint) WHERE org = 'acme'`, first},
		{"another hash is noted for the beginning", "UPDATE {schema}.chains SET cut_hash = sha256(int8send($1::bigint)) WHERE org = 'acme'", first},
		// A checkpoint alone tells the rest.
		{"the end is removed, and its note", `WITH gone AS (DELETE FROM {schema}.trail WHERE org = 'acme' AND seq >= $1::bigint)
			UPDATE {schema}.chains SET seq = $1::bigint - 1, hash = coalesce((SELECT hash FROM {schema}.trail
			WHERE org = 'acme' AND seq = $1::bigint - 1), decode(repeat('00', 32), 'hex')) WHERE org = 'acme'`, there},
		{"the beginning is removed, and a cut noted", `WITH gone AS (DELETE FROM {schema}.trail WHERE org = 'acme' AND seq <= $1::bigint)
			UPDATE {schema}.chains SET cut_seq = $1::bigint, cut_hash = (SELECT hash FROM {schema}.trail
			WHERE org = 'acme' AND seq = $1::bigint) WHERE org = 'acme'`, first},
		{"all is removed", `WITH gone AS (DELETE FROM {schema}.trail WHERE $1::bigint > 0) DELETE FROM {schema}.chains`, first},
	}
	for column, values := range map[string]string{
		"at": "0", "action": "'x'", "id": "'x' ''", "kind": "'client'", "version": "9", "fields": "'label'", "other": "'x'", "actor": "'eve' ''",
		"address": "'192.0.2.2' 'x' '' '2001:DB8::1'", "reason": "'x'", "count": "1", "previous": `'\x01' sha256('x')`, "hash": "'' sha256('x')",
	} {
		for value := range strings.SplitSeq(values, " ") {
			all = append(all, edit{
				column + " is " + value, "UPDATE {schema}.trail SET " + column + " = " + value + " WHERE org = 'acme' AND seq = $1::bigint", there,
			})
		}
	}
	return all
}

// Random edits to the tables of the trail are all found, at the first row that was
// edited.
func TestTrailTampered(t *testing.T) {
	t.Parallel()
	const n = 24
	name := schema(t)
	m := trailed(t, openIn(t, name, nil))
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
	kept, err := m.VerifyTrail(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, e := range edits() {
		for range rounds(15, 3, 1) {
			seq := 1 + rand.Int64N(n-1)
			if seq == 1 && strings.HasPrefix(e.name, "previous") {
				seq++ // what is no hash is read as zero, which is right there
			}
			_, err := tamper(t, name, e.text, seq, kept)
			var tampered *keys.TamperError
			if want := e.wrong(seq, n); !errors.As(err, &tampered) || tampered.Seq != want {
				t.Errorf("%s, at %d: want entry %d, found %v", e.name, seq, want, err)
			}
			tried++
		}
	}
	t.Logf("%d edits", tried)
}

// tamper returns what VerifyTrail says after an edit, which is then undone.
func tamper(t *testing.T, schema, text string, seq int64, kept []keys.Checkpoint) ([]keys.Checkpoint, error) {
	t.Helper()
	tx, err := shared.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	tag, err := tx.Exec(t.Context(), strings.ReplaceAll(text, "{schema}", schema), pgx.QueryExecModeExec, seq)
	if err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("%s: %v, %v", text, tag, err)
	}
	s, err := pgstore.New(tx, &pgstore.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	return trailed(t, s).VerifyTrail(t.Context(), "acme", kept...)
}

// A role that may write records adds to the trail, and can neither change nor remove
// what is there.
func TestTrailRole(t *testing.T) {
	t.Parallel()
	name := schema(t)
	openIn(t, name, nil)
	role := name + "_role"
	execute(t, shared.pool, `CREATE ROLE `+role+`; GRANT USAGE ON SCHEMA `+name+` TO `+role+`;
		GRANT SELECT, INSERT, UPDATE, DELETE ON `+name+`.records TO `+role+`;
		GRANT SELECT ON ALL TABLES IN SCHEMA `+name+` TO `+role)
	t.Cleanup(func() {
		if _, err := shared.pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	pool := connect(t, "pool_max_conns=2", "role="+role)
	m := trailed(t, openIn(t, name, nil).With(pool))
	issued := create(t, m, keys.Spec{})
	if err := m.Revoke(t.Context(), "acme", keys.KindKey, issued.Record.ID); err != nil {
		t.Error(err)
	}
	if ends, err := m.VerifyTrail(t.Context(), "acme"); err != nil || len(ends) != 1 || ends[0].Seq != 2 {
		t.Errorf("VerifyTrail gave %v, %v", ends, err)
	}
	for _, text := range []string{
		`UPDATE {schema}.trail SET actor = ''`, `DELETE FROM {schema}.trail`, `TRUNCATE {schema}.trail`, `UPDATE {schema}.chains SET seq = 1`,
		`DELETE FROM {schema}.chains`, `INSERT INTO {schema}.chains (org) VALUES ('x')`,
	} {
		if _, err := pool.Exec(t.Context(), strings.ReplaceAll(text, "{schema}", name)); err == nil {
			t.Errorf("the role may %s", text)
		}
	}
	if err := m.CutTrail(t.Context(), keys.Checkpoint{Org: "acme", Link: keys.Link{Seq: 9}}); err == nil {
		t.Error("the role may cut")
	}
}

// TestTrailNoDeadlock has transactions of the host's that change several keys of one
// organization each, in no order, while others change one at a time. They take turns
// by the trail before they touch a record, so none waits for another in a circle.
func TestTrailNoDeadlock(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openOn(t, connect(t, "pool_max_conns=12"), name, nil)
	m := trailed(t, s)
	var ids []string
	for range 4 {
		ids = append(ids, create(t, m, keys.Spec{}).Record.ID)
	}
	change := func(m *keys.Manager, id string) error {
		label := fmt.Sprint(rand.Int())
		_, err := m.Change(t.Context(), "acme", keys.KindKey, id, keys.Change{Label: &label})
		return err
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for range rounds(20, 10, 4) {
				if w%2 == 0 {
					if err := change(m, ids[rand.IntN(len(ids))]); err != nil {
						t.Error(err)
					}
					continue
				}
				err := pgx.BeginFunc(t.Context(), shared.pool, func(tx pgx.Tx) error {
					in := trailed(t, s.With(tx))
					for _, i := range rand.Perm(len(ids))[:3] {
						// A record that others have changed since the transaction began to wait is
						// a conflict, which is an answer.
						if err := change(in, ids[i]); err != nil && !errors.Is(err, keys.ErrConflict) {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	storetest.CheckTrail(t, s, "acme")
}

// Two transactions that wait for the one which writes the first entry of an
// organization then take turns too.
func TestTrailOfNewOrg(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s, pool := openIn(t, name, nil), connect(t, "pool_max_conns=3")
	type added struct {
		tx  pgx.Tx
		err error
	}
	done := make(chan added, 3)
	add := func() {
		tx, err := pool.Begin(t.Context())
		if err == nil {
			err = s.With(tx).AddEntry(t.Context(), keys.Entry{Org: "acme", Time: now, Action: keys.ActionRefused})
		}
		done <- added{tx, err}
	}
	add()
	go add()
	go add()
	waitsOf(t, 2, `"`+name+`".add_entry`)
	for range 3 {
		a := <-done
		if a.err != nil {
			t.Error(a.err)
		}
		if a.tx != nil {
			if err := a.tx.Commit(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	storetest.CheckTrail(t, s, "acme")
}

// A change whose entry cannot be written is not made, and without a trail nothing
// is written to its tables.
func TestTrailAndRecord(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	m := trailed(t, s)
	issued := create(t, m, keys.Spec{})
	execute(t, shared.pool, `ALTER TABLE `+name+`.trail RENAME TO elsewhere`)
	if _, err := m.Create(t.Context(), "acme", keys.Spec{}); err == nil {
		t.Error("a key was made without an entry")
	}
	if err := m.Revoke(t.Context(), "acme", keys.KindKey, issued.Record.ID); err == nil {
		t.Error("a key was revoked without an entry")
	}
	same(t, "the record", get(t, s, issued.Record.ID), issued.Record)
	if n := value[int](t, shared.pool, `SELECT count(*) FROM `+name+`.records`); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	create(t, manager(t, s), keys.Spec{})
	if n := value[int](t, shared.pool, `SELECT seq::int FROM `+name+`.chains`); n != 1 {
		t.Errorf("the chain ends at %d, want 1", n)
	}
}

// BenchmarkTrail has writers change keys, with a trail and without: of one
// organization, who take turns then, and of one each.
func BenchmarkTrail(b *testing.B) {
	for _, trail := range []bool{false, true} {
		for _, writers := range []int{1, 8} {
			for _, orgs := range slices.Compact([]int{1, writers}) {
				b.Run(fmt.Sprintf("trail=%t/writers=%d/orgs=%d", trail, writers, orgs), func(b *testing.B) {
					s := openOn(b, connect(b, "pool_max_conns=8"), schema(b), &pgstore.Options{})
					m, err := keys.NewManager(s, &keys.Options{Trail: trail, Timeout: 10 * time.Second})
					if err != nil {
						b.Fatal(err)
					}
					ids := make([]string, writers)
					for i := range ids {
						issued, err := m.Create(b.Context(), fmt.Sprint("org ", i%orgs), keys.Spec{})
						if err != nil {
							b.Fatal(err)
						}
						ids[i] = issued.Record.ID
					}
					b.ResetTimer()
					var wg sync.WaitGroup
					for i, id := range ids {
						wg.Go(func() {
							for n := range b.N/writers + 1 {
								label := fmt.Sprint(n)
								if _, err := m.Change(b.Context(), fmt.Sprint("org ", i%orgs), keys.KindKey, id, keys.Change{Label: &label}); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wg.Wait()
				})
			}
		}
	}
}
