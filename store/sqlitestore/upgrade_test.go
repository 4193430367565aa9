package sqlitestore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// Statements of the release before, on tables of schema 1.
const (
	oldInsert = `INSERT INTO claviger_records (id, kind, org, parent, label, scopes, rate_limit, token_lifetime,
	digest, previous, previous_expires_at, created_at, expires_at, revoked_at, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
	oldGet = `SELECT concat_ws(char(0), r.id, r.kind, r.org, r.parent, r.label, r.scopes, r.rate_limit, r.token_lifetime,
	r.digest, r.previous, ifnull(r.previous_expires_at, ''), r.created_at, ifnull(r.expires_at, ''), ifnull(r.revoked_at, ''), r.version)
FROM claviger_records r WHERE r.id = ?`
	oldUpdate = "UPDATE claviger_records SET label = ?2, previous = '', version = version + 1 WHERE id = ?1"
)

// oldRow returns the values of oldInsert.
func oldRow(r keys.Record) []any {
	millis := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return t.UnixMilli()
	}
	return []any{
		r.ID, string(r.Kind), r.Org, r.Parent, r.Label, r.Scopes.String(), r.RateLimit, r.TokenLifetime.Milliseconds(),
		r.Digest.Text(), r.Previous.Text(), millis(r.PreviousExpiresAt), millis(r.CreatedAt), millis(r.ExpiresAt), millis(r.RevokedAt), r.Version,
	}
}

// oldDatabase makes a database of the release before.
func oldDatabase(t testing.TB, path string, records ...keys.Record) *sql.DB {
	t.Helper()
	db := database(t, hostDSN(path))
	text, err := fs.ReadFile(sqlitestore.Migrations(), "0001_records.sql")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, db, "CREATE TABLE claviger_schema (version INTEGER NOT NULL PRIMARY KEY) STRICT")
	execute(t, db, string(text))
	execute(t, db, "INSERT INTO claviger_schema VALUES (1)")
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	add, err := tx.PrepareContext(t.Context(), oldInsert)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if _, err := add.ExecContext(t.Context(), oldRow(r)...); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestUpgrade reads what the release before wrote.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	key, client, token := record(t, keys.KindKey, "key"), record(t, keys.KindClient, "client"), record(t, keys.KindToken, "token")
	key.RevokedAt, client.TokenLifetime, token.Parent, token.ExpiresAt = start.Add(1e6), time.Hour, "client", time.Time{}
	client.Previous, client.PreviousExpiresAt, client.Version = client.Digest, never, 7
	path := file(t)
	db := oldDatabase(t, path, key, client, token)
	execute(t, db, "INSERT INTO claviger_uses VALUES ('key', ?)", start.UnixMilli())
	s := open(t, path)
	for _, want := range []keys.Record{key, client, token} {
		got, _, err := s.Get(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	if uses := lastUses(t, s, "key"); !uses["key"].Equal(start) {
		t.Errorf("last uses %v", uses)
	}
	live, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10, Live: true})
	if len(live) != 0 || err != nil {
		t.Errorf("%d live keys, %v; want none", len(live), err)
	}
	client.Metadata, client.DisabledAt = "new", start
	if err := s.Update(t.Context(), client); err != nil {
		t.Error(err)
	}
	fresh := file(t)
	open(t, fresh)
	if got, want := schema(t, db), schema(t, database(t, hostDSN(fresh))); got != want {
		t.Errorf("schema:\n%s\nwant that of a new file:\n%s", got, want)
	}
}

// TestUpgradeIsAllOrNothing has the second migration fail. The release before
// goes on.
func TestUpgradeIsAllOrNothing(t *testing.T) {
	t.Parallel()
	path := file(t)
	db := oldDatabase(t, path, record(t, keys.KindKey, "key"))
	execute(t, db, "CREATE TABLE claviger_buckets (id TEXT)")
	before := schema(t, db)
	if err := sqlitestore.Migrate(t.Context(), db); err == nil || !strings.Contains(err.Error(), "claviger_buckets") {
		t.Fatalf("Migrate over a name that is taken: %v", err)
	}
	if after := schema(t, db); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	execute(t, db, oldUpdate, "key", "label")
}

// TestUpgradeInUse brings a database up to date while others read and write it
// with the statements of the release before, and one more is in the middle of a
// read. What they wrote is there, and from then on they fail: they would read
// records without the restrictions that they do not know.
func TestUpgradeInUse(t *testing.T) {
	t.Parallel()
	count := rounds(100_000, 10_000, 2_000)
	records := make([]keys.Record, count)
	for i := range records {
		records[i] = record(t, []keys.Kind{keys.KindKey, keys.KindToken}[i%2], fmt.Sprintf("old_%d", i))
		records[i].Org = fmt.Sprintf("org_%d", i/100)
		if i%3 == 0 {
			records[i].RevokedAt = start
		}
	}
	path := file(t)
	db := oldDatabase(t, path, records...)

	reading, err := db.QueryContext(t.Context(), "SELECT previous FROM claviger_records")
	if err != nil || !reading.Next() {
		t.Fatal(err)
	}
	var working, done sync.WaitGroup
	users := []*oldUser{{get: true}, {}, {}}
	dsn := strings.Replace(hostDSN(path), "_busy_timeout=5000", "_busy_timeout=3600000", 1) // they wait until it is done
	for i, u := range users {
		working.Add(1)
		done.Go(func() { u.work(t, database(t, dsn), fmt.Sprintf("user_%d", i), working.Done) })
	}
	working.Wait()
	begun := time.Now()
	s, err := sqlitestore.Open(path, patient())
	took := time.Since(begun)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	done.Wait()
	rest := 1
	for reading.Next() {
		rest++
	}
	if err := errors.Join(reading.Err(), reading.Close()); err != nil || rest < count {
		t.Errorf("who was reading saw %d rows of %d, %v", rest, count, err)
	}
	t.Logf("%d records brought up to date in %v", count, took)

	for _, u := range users {
		if !strings.Contains(u.err.Error(), "previous") {
			t.Errorf("a user of the release before ended with: %v", u.err)
		}
		for _, want := range u.made {
			got, _, err := s.Get(t.Context(), want.ID)
			if d := diff(want, got); d != "" || err != nil {
				t.Errorf("what was written meanwhile: %v (-want +got):\n%s", err, d)
			}
		}
	}
	for _, want := range []keys.Record{records[0], records[1], records[count-1]} {
		got, _, err := s.Get(t.Context(), want.ID)
		if d := diff(want, got); d != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
	}
	if n, err := s.Count(t.Context(), "org_1", keys.KindKey, start, count); n < 30 || n > 40 || err != nil {
		t.Errorf("%d live keys of 50, a third of which are revoked; %v", n, err)
	}
}

// An oldUser works with a database as the release before does, until it fails.
type oldUser struct {
	get  bool // whether it reads only
	made []keys.Record
	err  error
}

func (u *oldUser) work(t *testing.T, db *sql.DB, name string, working func()) {
	ctx := context.WithoutCancel(t.Context())
	get, err1 := db.PrepareContext(ctx, oldGet)
	add, err2 := db.PrepareContext(ctx, oldInsert)
	if u.err = errors.Join(err1, err2); u.err != nil {
		working()
		return
	}
	for n := 0; u.err == nil; n++ {
		if u.get {
			var text string
			u.err = get.QueryRowContext(ctx, "old_0").Scan(&text)
		} else {
			r := record(t, keys.KindKey, fmt.Sprintf("%s_%d", name, n))
			if _, u.err = add.ExecContext(ctx, oldRow(r)...); u.err == nil {
				u.made = append(u.made, r)
			}
		}
		if n == 0 {
			working()
		}
	}
}

// TestLaterVersion has a later version of the package change the tables under a
// store that is open. Records that need what is new are refused, and nothing is
// read or written in part; the others are as they were.
func TestLaterVersion(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	key, client, token, later := record(t, keys.KindKey, "key"), record(t, keys.KindClient, "client"), record(t, keys.KindToken, "token"), record(t, keys.KindKey, "later")
	token.Parent, later.Org = client.ID, "other"
	insert(t, s, key, client, token, later)
	db := database(t, hostDSN(path))
	execute(t, db, "ALTER TABLE claviger_records ADD COLUMN hours TEXT NOT NULL DEFAULT ''")
	execute(t, db, "INSERT INTO claviger_schema VALUES (1000)")
	execute(t, db, "UPDATE claviger_records SET hours = '9-17', format = ? WHERE id IN ('client', 'later')", keys.RecordFormat+1)

	next := later
	next.RevokedAt = start
	for name, call := range map[string]func() error{
		"Get":            func() error { return third(s.Get(t.Context(), "later")) },
		"Get of a child": func() error { return third(s.Get(t.Context(), "token")) },
		"Update":         func() error { return s.Update(t.Context(), next) },
		"List": func() error {
			return second(s.List(t.Context(), keys.Query{Org: "other", Kind: keys.KindKey, Limit: 1}))
		},
	} {
		if err := call(); !corruptAlone(err) || !strings.Contains(err.Error(), "format") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var version int
	var revoked sql.NullInt64
	err := db.QueryRowContext(t.Context(), "SELECT version, revoked_at FROM claviger_records WHERE id = 'later'").Scan(&version, &revoked)
	if version != 1 || revoked.Valid || err != nil {
		t.Errorf("after the update: version %d, revoked %v, %v", version, revoked, err)
	}
	if err := s.Update(t.Context(), key); err != nil {
		t.Errorf("of a record that needs nothing new: %v", err)
	}
	if s, err := sqlitestore.Open(path, nil); !errors.Is(err, sqlitestore.ErrSchema) {
		t.Error(s, err)
	}
}
