package sqlitestore_test

import (
	"database/sql"
	"testing"

	"modernc.org/sqlite"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// TestReadsFewPages counts the pages that calls look at among rows that they are
// not about. The plans of TestPlans are why there are few.
func TestReadsFewPages(t *testing.T) {
	t.Parallel()
	count := rounds(100_000, 20_000, 5_000)
	db := database(t, hostDSN(file(t)))
	db.SetMaxOpenConns(1)
	if err := sqlitestore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	s, err := sqlitestore.New(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	revoked, expired := record(t, keys.KindKey, "a"), record(t, keys.KindKey, "a")
	revoked.RevokedAt, expired.ExpiresAt, expired.Org = start, start, "expired"
	fill(t, db, s, count, revoked)
	fill(t, db, s, count/20, expired)
	insert(t, s, record(t, keys.KindKey, "z"))
	last := record(t, keys.KindKey, "z2")
	last.Org = "expired"
	insert(t, s, last)

	for _, test := range []struct {
		name string
		call func() (int, error)
		want int
	}{
		{"a page of live keys among revoked ones", func() (int, error) {
			page, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1, Live: true})
			return len(page), err
		}, 1},
		{"a count among revoked keys", func() (int, error) { return s.Count(t.Context(), "acme", keys.KindKey, start, 10) }, 1},
		{"a count among expired keys", func() (int, error) { return s.Count(t.Context(), "expired", keys.KindKey, start, 10) }, 1},
		{"the organizations", func() (int, error) { orgs, err := s.Orgs(t.Context(), "", 10); return len(orgs), err }, 2},
	} {
		before := pagesRead(t, db)
		if n, err := test.call(); n != test.want || err != nil {
			t.Errorf("%s: %d, %v; want %d", test.name, n, err, test.want)
		}
		if pages := pagesRead(t, db) - before; pages < 1 || pages > 30 {
			t.Errorf("%s, %d of them: read %d pages, want at most 30", test.name, count, pages)
		}
	}
}

// TestSweepReadsBucketsOnce sweeps buckets in several steps, which do not begin at the
// first bucket each time.
func TestSweepReadsBucketsOnce(t *testing.T) {
	t.Parallel()
	const inUse, idle = 20_000, 60
	db := database(t, hostDSN(file(t)))
	db.SetMaxOpenConns(1)
	if err := sqlitestore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	s, err := sqlitestore.New(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, db, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO claviger_buckets SELECT format('%08d', i), CASE WHEN i > ?2 THEN 0 ELSE 1 << 62 END FROM n`, inUse+idle, inUse)
	before := pagesRead(t, db)
	if n, err := s.SweepBuckets(t.Context(), 1000); n != idle || err != nil {
		t.Errorf("swept %d, %v; want %d", n, err, idle)
	}
	if pages := pagesRead(t, db) - before; pages > 300 { // all buckets are on 120 pages
		t.Errorf("read %d pages, want at most 300", pages)
	}
}

// fill inserts so many records like r, of an organization that has none yet.
func fill(t testing.TB, db *sql.DB, s *sqlitestore.Store, count int, r keys.Record) {
	t.Helper()
	r.ID = r.Org + "_0"
	insert(t, s, r)
	execute(t, db, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO claviger_records (id, kind, org, parent, label, scopes, rate_limit, token_lifetime, digest, previous_digest, created_at, expires_at, revoked_at, version)
		SELECT org || '_' || i, kind, org, parent, label, scopes, rate_limit, token_lifetime, digest, '', created_at, expires_at, revoked_at, version
		FROM n CROSS JOIN (SELECT * FROM claviger_records WHERE id = ?2)`, count-1, r.ID)
}

// pagesRead returns how many pages the one connection of db has looked at.
func pagesRead(t testing.TB, db *sql.DB) (pages int) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.Raw(func(c any) error {
		hits, _, err := c.(sqlite.DBStatus).Status(sqlite.DBStatusCacheHit, false)
		if err != nil {
			return err
		}
		misses, _, err := c.(sqlite.DBStatus).Status(sqlite.DBStatusCacheMiss, false)
		pages = hits + misses
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}
