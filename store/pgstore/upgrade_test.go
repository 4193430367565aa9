package pgstore_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// What the release before sends, which works with tables of version 1.
const (
	oldColumns = "id, kind, org, parent, label, scopes, rate_limit, token_lifetime," +
		" digest, previous, previous_expires_at, created_at, expires_at, revoked_at, version"
	oldInsert = `INSERT INTO {schema}.records AS r (` + oldColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (id) DO NOTHING`
	oldGet = `SELECT pg_is_in_recovery(), r.version FROM (VALUES (1)) AS one
		LEFT JOIN {schema}.records AS r ON r.id = $1 LEFT JOIN {schema}.records AS p ON p.id = r.parent`
	oldList = `SELECT pg_is_in_recovery(), r.id FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
			SELECT * FROM {schema}.records WHERE org = $1 AND kind = $2 AND id > $3 ORDER BY id LIMIT $4::bigint
		) AS r ON true ORDER BY r.id`
	oldUpdate = `WITH written AS (
			UPDATE {schema}.records SET label = $3, scopes = $4, rate_limit = $5,
				token_lifetime = CASE WHEN kind = 'client' THEN $6::bigint ELSE 0 END,
				digest = $7, previous = $8, previous_expires_at = $9,
				expires_at = $10, revoked_at = $11::bigint, version = version + 1
			WHERE id = $1 AND org = $2 AND version = $12 AND (revoked_at IS NULL OR $11::bigint <= revoked_at)
			RETURNING 1
		)
		SELECT EXISTS (SELECT FROM written), EXISTS (SELECT FROM {schema}.records WHERE id = $1 AND org = $2)`
	oldSweep = `WITH dead AS MATERIALIZED (
			SELECT id FROM {schema}.records WHERE kind = 'token' AND least(expires_at, revoked_at) < $1::bigint
			ORDER BY least(expires_at, revoked_at) LIMIT $2::bigint FOR UPDATE SKIP LOCKED
		), gone AS (
			DELETE FROM {schema}.records WHERE id = ANY (ARRAY (SELECT id FROM dead)) RETURNING 1
		)
		SELECT count(*) FROM gone`
)

// firstVersion makes tables of version 1, as the release before does, and returns
// the schema.
func firstVersion(t *testing.T) string {
	t.Helper()
	name := schema(t)
	text, err := fs.ReadFile(pgstore.Migrations(), "0001_tables.sql")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, shared.pool, `BEGIN; CREATE SCHEMA `+name+`; SET LOCAL search_path = `+name+`; `+string(text)+`; COMMIT`)
	return name
}

// A release is a process of the release before.
type release struct {
	pool   *pgxpool.Pool
	schema string
}

func (o release) query(ctx context.Context, text string, into []any, args ...any) error {
	return o.pool.QueryRow(ctx, strings.ReplaceAll(text, "{schema}", o.schema), args...).Scan(into...)
}

// live makes, reads, changes, lists and sweeps records.
func (o release) live(ctx context.Context, id string) error {
	r := record(keys.KindKey, id)
	_, err := o.pool.Exec(ctx, strings.ReplaceAll(oldInsert, "{schema}", o.schema), r.ID, "key", "acme", nil, r.Label, r.Scopes.String(),
		r.RateLimit, 0, r.Digest.Text(), nil, nil, now.UnixMilli(), nil, nil, 1)
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	var standby, written, known bool
	var version int64
	if err := o.query(ctx, oldGet, []any{&standby, &version}, id); err != nil || version != 1 {
		return fmt.Errorf("get: version %d, %w", version, err)
	}
	err = o.query(ctx, oldUpdate, []any{&written, &known}, id, "acme", "changed", "", 60, 0, r.Digest.Text(), nil, nil, nil, now.UnixMilli(), 1)
	if err != nil || !written || !known {
		return fmt.Errorf("update: %t, %t, %w", written, known, err)
	}
	var first *string
	if err := o.query(ctx, oldList, []any{&standby, &first}, "acme", "key", "", 10); err != nil || first == nil {
		return fmt.Errorf("list: %w", err)
	}
	if err := o.query(ctx, oldSweep, []any{&version}, now.UnixMilli(), 10); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}

// TestMigrateInUse migrates tables with many rows while processes of the release
// before work with them, under a role that has no right on what is new. They
// notice nothing, then and after.
func TestMigrateInUse(t *testing.T) {
	t.Parallel()
	name := firstVersion(t)
	rows := rounds(100_000, 10_000, 2000)
	execute(t, shared.pool, `INSERT INTO `+name+`.records (`+required+`)
		SELECT 'row ' || n, 'key', 'rows', NULL, '', '', 60, 0, $2::text, 0, 1 FROM generate_series(1, $1::int) AS n`,
		rows, record(keys.KindKey, "key").Digest.Text())
	role := name + "_role"
	execute(t, shared.pool, `CREATE ROLE `+role+`; GRANT USAGE ON SCHEMA `+name+` TO `+role+`;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA `+name+` TO `+role)
	t.Cleanup(func() {
		if _, err := shared.pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	old := release{connect(t, "pool_max_conns=8", "role="+role), name}

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var lives atomic.Int64
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				if err := old.live(t.Context(), fmt.Sprintf("key %d %d", w, n)); err != nil {
					t.Error(err)
					return
				}
				lives.Add(1)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	feed := newReader(t, shared.pool, name)
	s := openIn(t, name, nil) // which migrates
	after := lives.Load()
	for lives.Load() < after+12 && !t.Failed() { // of which 4 were under way
		get(t, s, "row 1")
	}
	close(stop)
	wg.Wait()
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if news := feed.news(t, shared.pool); len(news) < 8 {
		t.Errorf("%d changes of the release before are in the feed, of 8 at least", len(news))
	}

	// What it writes, a process of this release reads, and changes.
	want := record(keys.KindKey, "key 0 0")
	want.Label, want.Scopes, want.RevokedAt, want.Version = "changed", keys.Record{}.Scopes, now, 2
	same(t, "a record of the release before", get(t, s, want.ID), want)
	with := s.With(old.pool)
	want.Label = "changed again"
	if err := with.Update(t.Context(), want); err != nil {
		t.Error(err)
	}
	want.Version++
	same(t, "the record after an Update", get(t, with, want.ID), want)
	insert(t, with, full(keys.KindKey, "new"))
	if _, err := with.Sweep(t.Context(), now, 10); err != nil {
		t.Error(err)
	}
	if n := value[int](t, shared.pool, `SELECT count(*) FROM `+name+`.records WHERE org = 'rows'`); n != rows {
		t.Errorf("%d rows are left, of %d", n, rows)
	}
}

// TestMigrateGivesWay has a transaction of the host's keep the table in use. While
// Migrate waits for it, others get through; and when it is over, so does Migrate.
func TestMigrateGivesWay(t *testing.T) {
	t.Parallel()
	name := firstVersion(t)
	old := release{connect(t, "pool_max_conns=4"), name}
	if err := old.live(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	tx, err := shared.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	value[int](t, tx, `SELECT count(*) FROM `+name+`.records`)
	done := make(chan error, 1)
	go func() { done <- pgstore.Migrate(t.Context(), shared.pool, &pgstore.Options{Schema: name}) }()
	for range 3 {
		waits(t, "ALTER TABLE records")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var standby bool
		var version int64
		if err := old.query(ctx, oldGet, []any{&standby, &version}, "key"); err != nil {
			t.Errorf("a read behind Migrate: %v", err)
		}
		cancel()
	}
	select {
	case err := <-done:
		t.Fatalf("Migrate did not wait: %v", err)
	default:
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Migrate: %v", err)
	}
	if value[string](t, shared.pool, `SHOW lock_timeout`) != "0" {
		t.Error("Migrate left its lock_timeout behind")
	}
}

// TestMigrateRefusesNewer has tables of a release that is yet to come.
func TestMigrateRefusesNewer(t *testing.T) {
	t.Parallel()
	name := schema(t)
	openIn(t, name, nil)
	execute(t, shared.pool, `INSERT INTO `+name+`.migrations (version) VALUES (1000)`)
	err := pgstore.Migrate(t.Context(), shared.pool, &pgstore.Options{Schema: name})
	fails(t, "Migrate", err, pgstore.ErrSchema)
	if err == nil || !strings.Contains(err.Error(), "1000") || !strings.Contains(err.Error(), "newer release") || strings.Count(err.Error(), "pgstore: ") != 1 {
		t.Errorf("the error is %v", err)
	}
}

// TestMigrateWithIndex has a host make the one index that takes long by itself,
// as package doc says.
func TestMigrateWithIndex(t *testing.T) {
	t.Parallel()
	name := firstVersion(t)
	execute(t, shared.pool, `CREATE INDEX CONCURRENTLY records_live ON `+name+`.records (org, kind, id) INCLUDE (expires_at) WHERE revoked_at IS NULL`)
	before := value[int](t, shared.pool, `SELECT '`+name+`.records_live'::regclass::oid::bigint`)
	s := openIn(t, name, nil)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if after := value[int](t, shared.pool, `SELECT '`+name+`.records_live'::regclass::oid::bigint`); after != before {
		t.Error("Migrate made the index again")
	}
	fresh := schema(t)
	openIn(t, fresh, nil)
	const definition = `SELECT replace(pg_get_indexdef($1::text::regclass), $2, '')`
	if a, b := value[string](t, shared.pool, definition, name+".records_live", name), value[string](t, shared.pool, definition, fresh+".records_live", fresh); a != b {
		t.Errorf("the index of package doc is %s, and that of the migration %s", a, b)
	}
}
