package pgstore_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// now is the time of the fixtures, long past.
var now = time.Date(2024, time.March, 1, 12, 0, 0, 5e6, time.UTC)

// record returns a record with the fields set that every record has.
func record(kind keys.Kind, id string) keys.Record {
	sum := sha256.Sum256([]byte(id))
	digest, err := keys.ParseDigest("$sha256$v=1$" + base64.RawStdEncoding.EncodeToString(sum[:]))
	if err != nil {
		panic(err)
	}
	r := keys.Record{
		ID: id, Kind: kind, Org: "acme", Label: "label of " + id, Scopes: scopes.MustParse("a:read b:write"),
		RateLimit: 60, Digest: digest, CreatedAt: now, Version: 1,
	}
	if kind == keys.KindToken {
		r.Parent = "client"
	}
	return r
}

// required are the columns that rows of the tests' own fill.
const required = "id, kind, org, parent, label, scopes, rate_limit, token_lifetime, digest, created_at, version"

func insert(t testing.TB, s keys.Store, records ...keys.Record) {
	t.Helper()
	for _, r := range records {
		if err := s.Insert(t.Context(), r); err != nil {
			t.Fatalf("Insert of %q: %v", r.ID, err)
		}
	}
}

func get(t testing.TB, s keys.Store, id string) keys.Record {
	t.Helper()
	r, _, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get of %q: %v", id, err)
	}
	return r
}

// fails fails the test unless err wraps want and is of this package.
func fails(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// same compares records, which hold digests and sets that are values.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(keys.Digest{}, scopes.Set{}, keys.Networks{}), cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// execute runs statements of the test's own, in the schema of the store.
func execute(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// value returns the one value that a query returns.
func value[T any](t testing.TB, db pgstore.DB, sql string, args ...any) (v T) {
	t.Helper()
	if err := db.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// manager returns a manager whose catalog has the scopes of the fixtures.
func manager(t testing.TB, s keys.Store) *keys.Manager {
	t.Helper()
	m, err := keys.NewManager(s, &keys.Options{Timeout: patience, Catalog: scopes.MustCatalog(
		scopes.Scope{Name: "a:read"}, scopes.Scope{Name: "b:write"})})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// create makes a credential.
func create(t testing.TB, m *keys.Manager, spec keys.Spec) keys.Issued {
	t.Helper()
	issued, err := m.Create(t.Context(), "acme", spec)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func take(t testing.TB, s ratelimit.Store, b ratelimit.Bucket, l ratelimit.Limit, n int) ratelimit.Decision {
	t.Helper()
	d, err := s.Take(t.Context(), b, l, time.Time{}, n)
	if err != nil {
		t.Fatalf("Take of %d from %v: %v", n, b, err)
	}
	return d
}

// uses are of one time.
func uses(ids ...string) map[string]time.Time {
	m := make(map[string]time.Time)
	for _, id := range ids {
		m[id] = now
	}
	return m
}

func bucket(name string) ratelimit.Bucket { return ratelimit.Bucket{Space: "org", Name: name} }

// unknownKey returns the text of a key that no database knows.
func unknownKey(t testing.TB) string {
	t.Helper()
	return create(t, manager(t, new(store.Memory)), keys.Spec{}).Text.Reveal()
}
