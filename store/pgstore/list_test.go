package pgstore_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// crowd fills a schema with many rows of one organization, all of which are
// revoked but the last, and with as many rows of other organizations, 100 each.
func crowd(t *testing.T, pool *pgxpool.Pool, schema string) (rows int) {
	t.Helper()
	rows = rounds(100_000, 20_000, 10_000)
	execute(t, pool, `INSERT INTO `+schema+`.records (`+required+`, revoked_at)
		SELECT 'key ' || to_char(n, 'FM000000'), 'key', 'crowd', NULL, '', '', 0, 0, $2::text, 0, 1, CASE WHEN n < $1::int THEN 5 END
		FROM generate_series(1, $1::int) AS n
		UNION ALL
		SELECT 'other ' || to_char(n, 'FM000000'), 'key', 'org ' || to_char(n / 100, 'FM000000'), NULL, '', '', 0, 0, $2::text, 0, 1, NULL
		FROM generate_series(0, $1::int - 1) AS n`, rows, record(keys.KindKey, "key").Digest.Text())
	return rows
}

// buffers returns how many blocks the server touches for a statement of the
// store's, the plan included.
func buffers(t *testing.T, pool *pgxpool.Pool, text string, args ...any) int {
	t.Helper()
	execute(t, pool, `PREPARE statement AS `+text)
	defer execute(t, pool, `DEALLOCATE statement`)
	out := value[string](t, pool, `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE statement`+literals(args))
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal([]byte(out), &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan.Hit + plans[0].Plan.Read
}

// TestLiveAmongRevoked looks for the one live key of an organization that has
// revoked very many, and for organizations among very many records. Neither costs
// more than some blocks of an index, whatever the server has counted so far, and
// also with the plan that it keeps for a statement that it has seen often.
func TestLiveAmongRevoked(t *testing.T) {
	t.Parallel()
	name := schema(t)
	pool := connect(t, "pool_max_conns=1") // so that the statement stays prepared
	s := openOn(t, pool, name, nil)
	rows := crowd(t, pool, name)
	list, count, orgs := s.LiveTexts()
	const most = 30 // blocks; the tables have thousands
	// ANALYZE alone leaves no page marked as visible to all, as does a VACUUM beside
	// an old transaction: what reads an index alone looks dear then.
	for _, analyze := range []string{"SELECT", "ANALYZE " + name + ".records", "VACUUM ANALYZE " + name + ".records"} {
		execute(t, pool, analyze)
		for _, test := range []struct {
			name, text string
			args       []any
		}{
			{"a page of one", list, []any{"crowd", "key", "", int64(1)}},
			{"a page of 200", list, []any{"crowd", "key", "", int64(200)}},
			{"the rest of the last page", list, []any{"crowd", "key", fmt.Sprintf("key %06d", rows-1), int64(1)}},
			{"a count", count, []any{"crowd", "key", int64(5), int64(10_000)}},
			{"an organization", orgs, []any{"crowd", int64(1)}},
			{"the first organization", orgs, []any{"", int64(1)}},
		} {
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				execute(t, pool, "SET plan_cache_mode = "+mode)
				if n := buffers(t, pool, test.text, test.args...); n > most {
					t.Errorf("%s touches %d blocks after %s, want at most %d (%s)", test.name, n, analyze, most, mode)
				}
			}
		}
		if n := buffers(t, pool, orgs, "", int64(20)); n > 20*most {
			t.Errorf("20 organizations touch %d blocks after %s", n, analyze)
		}
	}
	page, err := s.List(t.Context(), keys.Query{Org: "crowd", Kind: keys.KindKey, Limit: 10, Live: true})
	if err != nil || len(page) != 1 || page[0].ID != fmt.Sprintf("key %06d", rows) {
		t.Errorf("List of live keys: %d of them, %v, want the last one", len(page), err)
	}
}

// TestCount compares Count with what the records say of themselves.
func TestCount(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	var all []keys.Record
	for i := range 20 {
		r := record(keys.KindKey, fmt.Sprint(i))
		if i%3 == 0 {
			r.RevokedAt = now
		}
		switch i % 4 {
		case 1:
			r.ExpiresAt = now
		case 2:
			r.ExpiresAt = now.Add(time.Millisecond)
		}
		if i == 19 {
			r.Org = "other"
		}
		all = append(all, r)
	}
	insert(t, s, all...)
	insert(t, s, record(keys.KindClient, "client"))
	for _, at := range []time.Time{now.Add(-time.Millisecond), now.Add(-1), now, now.Add(1), now.Add(time.Millisecond), time.Unix(0, 0)} {
		want := 0
		for i := range all {
			if all[i].Org == "acme" && !all[i].Revoked() && !all[i].Expired(at) {
				want++
			}
		}
		for _, most := range []int{1, max(want, 1), want + 1, math.MaxInt} {
			n, err := s.Count(t.Context(), "acme", keys.KindKey, at, most)
			if want := min(want, most); n != want || err != nil {
				t.Errorf("Count at %v up to %d: %d, %v, want %d", at, most, n, err, want)
			}
		}
	}
	_, err := s.Count(t.Context(), "acme", "thing", now, 1)
	fails(t, "Count of a kind that is none", err, keys.ErrInvalid)
	_, err = s.Count(t.Context(), "acme", keys.KindKey, now, 0)
	fails(t, "Count up to 0", err, keys.ErrInvalid)
}

func TestOrgs(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	names := []string{"A", "a", "a ", "aa", "b", "ä"}
	for _, org := range names {
		for _, kind := range []keys.Kind{keys.KindKey, keys.KindToken} {
			for i := range 3 {
				r := record(kind, fmt.Sprint(org, kind, i))
				r.Org = org
				insert(t, s, r)
			}
		}
	}
	for _, test := range []struct {
		after string
		limit int
		want  []string
	}{
		{"", 100, names},
		{"", 6, names},
		{"", 1, names[:1]},
		{"A", 2, names[1:3]},
		{"a", 100, names[2:]},
		{"a\x01", 100, names[2:]},
		{"b", 100, names[5:]},
		{"ä", 100, []string{}},
		{"\U0010ffff", 100, []string{}},
	} {
		orgs, err := s.Orgs(t.Context(), test.after, test.limit)
		if err != nil || orgs == nil || !slices.Equal(orgs, test.want) {
			t.Errorf("Orgs after %q: %q, %v, want %q", test.after, orgs, err, test.want)
		}
	}
	_, err := s.Orgs(t.Context(), "", 0)
	fails(t, "Orgs with limit 0", err, keys.ErrInvalid)
	_, err = s.Orgs(t.Context(), strings.Repeat("x", keys.MaxOrg), 1)
	fails(t, "Orgs after the longest name", err, nil)
}

var (
	_ keys.CountStore = (*pgstore.Store)(nil)
	_ keys.OrgStore   = (*pgstore.Store)(nil)
)
