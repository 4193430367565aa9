package pgstore_test

import (
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

func TestGet(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	client := record(keys.KindClient, "client")
	client.TokenLifetime = 1e9
	token, key := record(keys.KindToken, "token"), record(keys.KindKey, "key")
	orphan := record(keys.KindToken, "orphan")
	orphan.Parent = "nobody"
	cased := record(keys.KindToken, "cased")
	cased.Parent = "CLIENT"
	insert(t, s, client, token, key, orphan, cased)
	revoked := client
	revoked.RevokedAt = now
	if err := s.Update(t.Context(), revoked); err != nil {
		t.Fatal(err)
	}
	revoked.Version++

	for _, test := range []struct {
		name        string
		id          string
		rec, parent keys.Record
		err         error
	}{
		{"a token and its client", "token", token, revoked, nil},
		{"a key", "key", key, keys.Record{}, nil},
		{"a client", "client", revoked, keys.Record{}, nil},
		{"a token without a client", "orphan", orphan, keys.Record{}, nil},
		{"a parent in another case", "cased", cased, keys.Record{}, nil},
		{"nobody", "nobody", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"another case", "TOKEN", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"no ID", "", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"NUL", "token\x00", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"not UTF-8", "token\xff", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"too long", strings.Repeat("x", 256), keys.Record{}, keys.Record{}, keys.ErrNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec, parent, err := s.Get(t.Context(), test.id)
			fails(t, "error", err, test.err)
			same(t, "record", rec, test.rec)
			same(t, "parent", parent, test.parent)
		})
	}
}

// TestBadTextIsNotSent checks that text which no record can have does not reach
// the driver, not even that of a database that is gone.
func TestBadTextIsNotSent(t *testing.T) {
	t.Parallel()
	pool := connect(t)
	s := openOn(t, pool, schema(t), nil)
	pool.Close()
	for _, id := range []string{"", "a\x00", "a\xff", strings.Repeat("x", 256)} {
		_, _, err := s.Get(t.Context(), id)
		fails(t, "Get", err, keys.ErrNotFound)
		fails(t, "Insert", s.Insert(t.Context(), record(keys.KindKey, id)), keys.ErrInvalid)
		fails(t, "Update", s.Update(t.Context(), record(keys.KindKey, id)), keys.ErrInvalid)
		if uses, err := s.LastUses(t.Context(), []string{id}); err != nil || len(uses) > 0 {
			t.Errorf("LastUses of %q: %v, %v", id, uses, err)
		}
	}
	for _, q := range []keys.Query{{Org: "a\x00", Kind: keys.KindKey, Limit: 1}, {Org: "a", Kind: keys.KindKey, After: "\xff", Limit: 1}} {
		_, err := s.List(t.Context(), q)
		fails(t, "List", err, keys.ErrInvalid)
	}
	for _, org := range []string{"", "a\x00", "a\xff", strings.Repeat("x", 256)} {
		_, err := s.Count(t.Context(), org, keys.KindKey, now, 1)
		fails(t, "Count", err, keys.ErrInvalid)
		if org != "" {
			_, err = s.Orgs(t.Context(), org, 1)
			fails(t, "Orgs", err, keys.ErrInvalid)
		}
	}
	if _, _, err := s.Get(t.Context(), "good"); err == nil || strings.Contains(err.Error(), keys.ErrNotFound.Error()) {
		t.Errorf("Get from a pool that is closed: %v, want the driver's error", err)
	}
}
