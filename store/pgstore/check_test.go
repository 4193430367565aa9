package pgstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, change string
		want         error
	}{
		{"as migrated", `SELECT 1`, nil},
		{"newer", `INSERT INTO {s}.migrations (version) VALUES (1000)`, pgstore.ErrSchema},
		{"newer by one", `INSERT INTO {s}.migrations (version) SELECT max(version) + 1 FROM {s}.migrations`, pgstore.ErrSchema},
		{"older", `DELETE FROM {s}.migrations WHERE version = (SELECT max(version) FROM {s}.migrations)`, pgstore.ErrSchema},
		{"no version", `DELETE FROM {s}.migrations`, pgstore.ErrSchema},
		{"no tables", `DROP SCHEMA {s} CASCADE`, pgstore.ErrSchema},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name := schema(t)
			s := openIn(t, name, nil)
			execute(t, shared.pool, strings.ReplaceAll(test.change, "{s}", name))
			err := s.Check(t.Context())
			fails(t, "Check", err, test.want)
			if err != nil && strings.Count(err.Error(), "pgstore: ") != 1 {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

// TestCheckWithOneConnection calls Check where it cannot have two connections.
func TestCheckWithOneConnection(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	pool := connect(t, "pool_max_conns=1")
	conn, err := pgx.Connect(t.Context(), dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for name, db := range map[string]pgstore.DB{"pool": pool, "connection": conn} {
		if err := s.With(db).Check(ctx); err != nil {
			t.Errorf("Check of a %s: %v", name, err)
		}
	}
}

// TestReadOnly has transactions be read-only by default, as some providers do
// when the disk is full. What is there can be read; nothing can be written.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	r := record(keys.KindToken, "token")
	r.ExpiresAt = now
	insert(t, s, r)
	only := s.With(connect(t, "default_transaction_read_only=on"))
	fails(t, "Check", only.Check(t.Context()), pgstore.ErrSettings)
	same(t, "the record", get(t, only, "token"), r)
	refusesWrites(t, only, r)
	same(t, "the record after it", get(t, s, "token"), r)
}

// refusesWrites fails unless every write fails with an error of the server's,
// 25006 or read_only_sql_transaction.
func refusesWrites(t *testing.T, s *pgstore.Store, r keys.Record) {
	t.Helper()
	_, swept := s.Sweep(t.Context(), now.AddDate(1, 0, 0), 10)
	_, sweptBuckets := s.SweepBuckets(t.Context(), 10)
	d, taken := s.Take(t.Context(), bucket("a"), limit(t, 1, 1), now, 1)
	if d.Allowed {
		t.Error("Take admits")
	}
	for call, err := range map[string]error{
		"Insert": s.Insert(t.Context(), record(keys.KindKey, "another")), "Update": s.Update(t.Context(), r),
		"NoteUses": s.NoteUses(t.Context(), uses(r.ID)), "Sweep": swept, "SweepBuckets": sweptBuckets, "Take": taken,
	} {
		if code(err) != "25006" {
			t.Errorf("%s: %v, want 25006", call, err)
		}
	}
}

// TestStandby has a server become a standby, as one that lost a failover does,
// and then the primary again.
func TestStandby(t *testing.T) {
	t.Parallel()
	server := start(t)
	pool := connectTo(t, server.DSN)
	s := openOn(t, pool, "claviger", nil)
	m := manager(t, s)
	issued := create(t, m, keys.Spec{})
	if err := s.Announce(t.Context(), "cache", time.Second); err != nil {
		t.Fatal(err)
	}
	position, err := s.Poll(t.Context(), "cache", "")
	if err != nil {
		t.Fatal(err)
	}
	signal := filepath.Join(server.Dir, "data", "standby.signal")
	server.Stop()
	if err := os.WriteFile(signal, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(signal, 0o666); err != nil { // whatever the umask
		t.Fatal(err)
	}
	restart(t, server)
	pool.Reset() // drops the connections that the old server had

	fails(t, "Check", s.Check(t.Context()), pgstore.ErrStandby)
	for _, id := range []string{issued.Record.ID, "nobody"} {
		_, _, err := s.Get(t.Context(), id)
		fails(t, "Get", err, pgstore.ErrStandby)
	}
	for _, org := range []string{"acme", "nobody"} {
		page, err := s.List(t.Context(), keys.Query{Org: org, Kind: keys.KindKey, Limit: 10})
		fails(t, "List", err, pgstore.ErrStandby)
		if page != nil {
			t.Errorf("List returned %v with its error", page)
		}
		_, err = s.Count(t.Context(), org, keys.KindKey, time.Now(), 10)
		fails(t, "Count", err, pgstore.ErrStandby)
		_, err = s.Orgs(t.Context(), org, 10)
		fails(t, "Orgs", err, pgstore.ErrStandby)
	}
	for _, text := range []string{issued.Text.Reveal(), unknownKey(t)} {
		_, err := m.Verifier().Verify(t.Context(), text)
		fails(t, "Verify", err, keys.ErrUnavailable)
	}
	refusesWrites(t, s, issued.Record)
	// A cache learns nothing here, and so does nobody who would wait for caches.
	if c, err := s.Poll(t.Context(), "cache", position.Next); err == nil {
		t.Errorf("a poll of a standby: %+v", c)
	}
	if lease, err := s.LongestLease(t.Context()); err == nil {
		t.Errorf("the longest lease on a standby: %v", lease)
	}
	if err := s.Announce(t.Context(), "cache", time.Second); err == nil {
		t.Error("a standby takes announcements")
	}

	if !value[bool](t, pool, `SELECT pg_promote()`) {
		t.Fatal("the standby is not promoted")
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check after the promotion: %v", err)
	}
	if _, err := m.Verifier().Verify(t.Context(), issued.Text.Reveal()); err != nil {
		t.Errorf("Verify after the promotion: %v", err)
	}
	if _, err := s.Poll(t.Context(), "cache", position.Next); !errors.Is(err, keys.ErrNotAnnounced) {
		t.Errorf("a poll after the promotion: %v", err)
	}
	if lease, err := s.LongestLease(t.Context()); lease != keys.MaxLease || err != nil {
		t.Errorf("the longest lease after the promotion: %v, %v", lease, err)
	}
}

// A telling is a database that answers a query with one row.
type telling struct {
	pgstore.DB
	row  []any
	args *[]any // those of the query; may be nil
}

func (d telling) QueryRow(_ context.Context, _ string, args ...any) pgx.Row {
	if d.args != nil {
		*d.args = args
	}
	return d
}

func (d telling) Scan(dest ...any) error {
	for i, to := range dest {
		reflect.ValueOf(to).Elem().Set(reflect.ValueOf(d.row[i]))
	}
	return nil
}

// TestCheckTells has servers of all kinds answer the first question of Check.
func TestCheckTells(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		row  []any // standby, read-only, fsync, full pages, encodings, version, tables
		want error
		text string
	}{
		{"a standby", []any{true, "on", "on", "on", "UTF8", "UTF8", int64(150000), true}, pgstore.ErrStandby, "standby"},
		{"a server for reading", []any{false, "on", "on", "on", "UTF8", "UTF8", int64(150000), true}, pgstore.ErrSettings, "read-only"},
		{"no syncing", []any{false, "off", "off", "on", "UTF8", "UTF8", int64(150000), true}, pgstore.ErrSettings, "fsync is off"},
		{"pages in part", []any{false, "off", "on", "off", "UTF8", "UTF8", int64(150000), true}, pgstore.ErrSettings, "full_page_writes is off"},
		{"another encoding", []any{false, "off", "on", "on", "SQL_ASCII", "UTF8", int64(150000), true}, pgstore.ErrSettings, "SQL_ASCII"},
		{"sessions with another encoding", []any{false, "off", "on", "on", "UTF8", "LATIN1", int64(150000), true}, pgstore.ErrSettings, "client_encoding is LATIN1"},
		{"an old server", []any{false, "off", "on", "on", "UTF8", "UTF8", int64(129999), true}, pgstore.ErrSettings, "129999"},
		{"no tables", []any{false, "off", "on", "on", "UTF8", "UTF8", int64(130000), false}, pgstore.ErrSchema, `schema "claviger"; call Migrate first`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := pgstore.New(telling{row: test.row}, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Check(t.Context())
			fails(t, "Check", err, test.want)
			if err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("the error does not say %q: %v", test.text, err)
			}
		})
	}
}

// TestCheckSettings checks a server that keeps nothing through a crash.
func TestCheckSettings(t *testing.T) {
	t.Parallel()
	server := start(t, "fsync=off")
	pool := connectTo(t, server.DSN)
	s := openOn(t, pool, "claviger", nil)
	err := s.Check(t.Context())
	fails(t, "Check without fsync", err, pgstore.ErrSettings)
	if err == nil || !strings.Contains(err.Error(), "fsync is off") {
		t.Errorf("the error does not say what is wrong: %v", err)
	}
}

// TestSynchronousStandby has the server be one that needs a standby which is not
// there, for those who wait for it. By its default nobody does.
func TestSynchronousStandby(t *testing.T) {
	t.Parallel()
	server := start(t, "synchronous_standby_names=nobody", "synchronous_commit=local")
	pool := connectTo(t, server.DSN)
	s := openOn(t, pool, "claviger", nil)
	take(t, s, bucket("a"), limit(t, 1, 1), 1)
	execute(t, pool, `INSERT INTO claviger.records (`+required+`) VALUES ('key', 'key', 'acme', NULL, '', '', 1, 0, $1, 0, 1)`,
		record(keys.KindKey, "key").Digest.Text())
	for call, write := range map[string]func(context.Context) error{
		"Insert": func(ctx context.Context) error { return s.Insert(ctx, record(keys.KindKey, "another")) },
		"Update": func(ctx context.Context) error { return s.Update(ctx, get(t, s, "key")) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		fails(t, call, write(ctx), context.DeadlineExceeded)
	}
}

// TestCheckClientEncoding has sessions whose text the server takes for LATIN1. Names are
// not the same in it as for others.
func TestCheckClientEncoding(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	err := s.With(connect(t, "client_encoding=LATIN1")).Check(t.Context())
	fails(t, "Check", err, pgstore.ErrSettings)
	if err == nil || !strings.Contains(err.Error(), "client_encoding is LATIN1") {
		t.Errorf("the error does not say what is wrong: %v", err)
	}
	if err := s.With(connect(t, "client_encoding=SQL_ASCII")).Check(t.Context()); err != nil {
		t.Errorf("Check of sessions that convert nothing: %v", err)
	}
}

func TestCheckEncoding(t *testing.T) {
	t.Parallel()
	name := schema(t)
	execute(t, shared.pool, `CREATE DATABASE `+name+` ENCODING LATIN1 LOCALE 'C' TEMPLATE template0`)
	t.Cleanup(func() {
		if _, err := shared.pool.Exec(context.Background(), `DROP DATABASE `+name); err != nil {
			t.Error(err)
		}
	})
	config, err := pgx.ParseConfig(dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	config.Database = name
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	err = openOn(t, conn, name, nil).Check(t.Context())
	fails(t, "Check", err, pgstore.ErrSettings)
	if err == nil || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("the error does not say what is wrong: %v", err)
	}
}
