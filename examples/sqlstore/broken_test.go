package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/examples/sqlstore"
	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A rewriter is a driver of databases that understand a statement in another way
// than it is written: the mistakes that one makes in SQL, each in one place.
type rewriter struct {
	within           driver.Driver
	source, old, new string
}

func (w rewriter) Driver() driver.Driver { return w.within }

func (w rewriter) Connect(context.Context) (driver.Conn, error) {
	c, err := w.within.Open(w.source)
	return conn{c, w}, err
}

type conn struct {
	driver.Conn
	rewriter rewriter
}

func (c conn) Prepare(query string) (driver.Stmt, error) {
	return c.Conn.Prepare(strings.ReplaceAll(query, c.rewriter.old, c.rewriter.new))
}

func (c conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
}

const (
	// The tests need not outlive a power cut; without synchronous(OFF) it is FULL.
	source   = "_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"
	deferred = "_txlock=deferred&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"
)

// Mistakes in SQL are named by the clause that they break. Two are tried, none
// with go test -short, and each one with CLAVIGER_LONG in the environment.
func TestMistakes(t *testing.T) {
	if testing.Short() {
		t.Skip("the kit finds them in its own tests too")
	}
	t.Parallel()
	for i, tt := range []struct {
		name, clause string
		source       string
		old, new     string // a part of a statement, and what stands in its place
	}{
		{"none", "", source, "", ""},
		{"IDs without regard to case", "ids-are-case-sensitive", source, "id TEXT PRIMARY KEY", "id TEXT COLLATE NOCASE PRIMARY KEY"},
		{"IDs without trailing spaces", "ids-are-bytes", source, "id TEXT PRIMARY KEY", "id TEXT COLLATE RTRIM PRIMARY KEY"},
		{"IDs are numbers", "ids-are-bytes", source, "id TEXT PRIMARY KEY", "id NUMERIC PRIMARY KEY"},
		{"insert or replace", "insert-never-overwrites", source, "ON CONFLICT (id) DO NOTHING", "ON CONFLICT (id) DO UPDATE SET record = excluded.record"},
		{"a column that is too narrow", "longest-values-are-kept", source, "record TEXT NOT NULL", "record TEXT NOT NULL CHECK (length(record) < 8000)"},
		{"an inner join", "insert-get-round-trip", source, "LEFT JOIN", "JOIN"},
		{"parents without regard to case", "get-parent-ids-are-bytes", source, "p.id = r.parent", "lower(p.id) = lower(r.parent)"},
		{"parents of one organization", "get-gives-the-parent", source, "p.id = r.parent", "p.id = r.parent AND p.org = r.org"},
		{"parents that are alive", "get-parent-includes-dead", source, "p.id = r.parent", "p.id = r.parent AND p.revoked = 0"},
		{"organizations without regard to case", "list-isolates-organizations", source, "org TEXT NOT NULL", "org TEXT COLLATE NOCASE NOT NULL"},
		{"organizations without trailing spaces", "list-isolates-organizations", source, "org TEXT NOT NULL", "org TEXT COLLATE RTRIM NOT NULL"},
		{"organizations are patterns", "list-isolates-organizations", source, "org = ? AND", "org LIKE ? AND"},
		{"kinds and those after them", "list-isolates-kinds", source, "kind = ? AND", "kind >= ? AND"},
		{"the order of a dictionary", "list-is-ordered-bytewise", source, "ORDER BY id", "ORDER BY id COLLATE NOCASE"},
		{"the last ones first", "list-is-ordered-bytewise", source, "ORDER BY id", "ORDER BY id DESC"},
		{"the cursor is part of the page", "list-begins-after-the-cursor", source, "id > ?", "id >= ?"},
		{"pages of a hundred at most", "list-has-no-cap", source, "ORDER BY id LIMIT ?", "ORDER BY id LIMIT min(?, 100)"},
		{"live is passed over", "list-live", source, " AND revoked = 0 ", " "},
		{"update does not write that it is revoked", "list-live-sees-writes", source, "SET revoked = ?,", "SET revoked = revoked * ?,"},
		{
			"live ones are chosen among a page", "list-live-fills-pages", source, " AND revoked = 0 ORDER BY id LIMIT ?",
			" AND revoked = 0 AND id IN (SELECT id FROM records r WHERE r.org = ?1 AND r.kind = ?2 AND r.id > ?3 ORDER BY id LIMIT ?4) ORDER BY id",
		},
		{"update writes all that begin alike", "update-changes-one-record", source, "record = ? WHERE id = ?", "record = ? WHERE substr(id, 1, length(?4)) = ?4"},
		{"update writes all without regard to case", "update-changes-one-record", source, "record = ? WHERE id = ?", "record = ? WHERE lower(id) = lower(?)"},
		{"update keeps the first end", "sweep-follows-updates", source, "ends = ?,", "ends = coalesce(ends, ?),"},
		{"update keeps an end that is cleared", "sweep-follows-updates", source, "ends = ?,", "ends = coalesce(?, ends),"},
		{"sweep removes keys", "sweep-keeps-tombstones", source, "kind = 'token' AND ends <", "ends <"},
		{"sweep removes what ends now", "sweep-only-dead-tokens", source, "ends < ?", "ends <= ?"},
		{"sweep removes what never ends", "sweep-only-dead-tokens", source, "ends < ?", "coalesce(ends, 0) < ?"},
		{"sweep knows no limit", "sweep-keeps-the-limit", source, "ends < ? LIMIT ?", "ends < ? LIMIT max(?, 1000000)"},
		{"sweep removes a thousand at most", "sweep-finds-all", source, "ends < ? LIMIT ?", "ends < ? LIMIT min(?, 1000)"},
		{
			"sweep looks at a hundred rows", "sweep-finds-all", source, "SELECT id FROM records WHERE kind = 'token' AND ends < ?",
			"SELECT id FROM (SELECT * FROM records WHERE kind = 'token' LIMIT 100) WHERE ends < ?",
		},
		{"transactions that lock when they write", "concurrent-calls-do-not-fail", deferred, "", ""},
		{"buckets without regard to case", "take-isolates-buckets", source, "bucket TEXT PRIMARY KEY", "bucket TEXT COLLATE NOCASE PRIMARY KEY"},
		{"a bucket is written once", "take-admits-the-burst", source, "REPLACE INTO", "INSERT OR IGNORE INTO"},
	} {
		if i%48 != 0 && os.Getenv("CLAVIGER_LONG") == "" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := 0
			open := func(t testing.TB) *sqlstore.Store {
				files++
				file := filepath.Join(t.TempDir(), fmt.Sprint(files, ".db"))
				db := sql.OpenDB(rewriter{database(t, file).Driver(), "file:" + file + "?" + tt.source, tt.old, tt.new})
				db.SetMaxOpenConns(4)
				t.Cleanup(func() { db.Close() })
				s, err := sqlstore.New(t.Context(), db)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			var found []string
			for _, v := range storetest.CheckRecords(t, func(t testing.TB) keys.Store { return open(t) },
				&storetest.Options[keys.Store]{Race: time.Millisecond}) {
				found = append(found, v.Clause)
			}
			if tt.source == source { // and else both halves are broken
				for _, v := range storetest.CheckLimits(t, func(t testing.TB) ratelimit.Store { return open(t) },
					&storetest.Options[ratelimit.Store]{Race: time.Millisecond}) {
					found = append(found, v.Clause)
				}
			}
			if got := strings.Join(found, " "); got != tt.clause {
				t.Errorf("clauses reported: %q, want %q", got, tt.clause)
			}
		})
	}
}
