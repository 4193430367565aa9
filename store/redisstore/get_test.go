package redisstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// equal compares records.
var equal = cmp.Options{
	cmp.Comparer(func(a, b scopes.Set) bool { return a == b }),
	cmp.Comparer(func(a, b keys.Digest) bool { return a == b }),
	cmp.Comparer(func(a, b keys.Networks) bool { return a == b }),
}

func TestGet(t *testing.T) {
	t.Parallel()
	s, _, _ := fresh(t)
	checkFamilies(t, s)
}

// TestGetLeavesPending has a store that waits for no replicas read a revocation that
// another one waits for. It stays noted.
func TestGetLeavesPending(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	must(t, s.Insert(t.Context(), record(keys.KindKey, "key")))
	must(t, c.HSet(t.Context(), redisstore.RecordKey(p, "key"), "pending", "1").Err())
	_, _, err := s.Get(t.Context(), "key")
	must(t, err)
	if pending, err := c.HExists(t.Context(), redisstore.RecordKey(p, "key"), "pending").Result(); !pending || err != nil {
		t.Errorf("the revocation is noted: %t, %v", pending, err)
	}
}

// checkFamilies reads families whose members are in all shards.
func checkFamilies(t *testing.T, s *redisstore.Store) {
	t.Helper()
	ctx := t.Context()
	check := func(name, id string, rec, parent keys.Record) {
		t.Helper()
		gotRec, gotParent, err := s.Get(ctx, id)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]keys.Record{rec, parent}, []keys.Record{gotRec, gotParent}, equal); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	for i := range 64 {
		token, client := record(keys.KindToken, fmt.Sprint("token ", i)), record(keys.KindClient, fmt.Sprintf("clién't {%d}", i))
		token.Parent = client.ID
		must(t, s.Insert(ctx, client))
		must(t, s.Insert(ctx, token))
		check("a token", token.ID, token, client)
	}
	key, orphan := record(keys.KindKey, "key"), record(keys.KindToken, "orphan")
	must(t, s.Insert(ctx, key))
	must(t, s.Insert(ctx, orphan))
	check("a key", key.ID, key, keys.Record{})
	check("a token whose client is gone", orphan.ID, orphan, keys.Record{})
	for _, id := range []string{"nobody", "", "\x00", "\xff", strings.Repeat("x", 256)} {
		rec, parent, err := s.Get(ctx, id)
		wants(t, "Get", err, keys.ErrNotFound)
		if diff := cmp.Diff([]keys.Record{{}, {}}, []keys.Record{rec, parent}, equal); diff != "" {
			t.Errorf("beside an error:\n%s", diff)
		}
	}
}

// TestGetSeesRevocation checks that a client that was revoked comes with its
// tokens as revoked, at once and to other clients of the server.
func TestGetSeesRevocation(t *testing.T) {
	t.Parallel()
	s, _, p := fresh(t)
	other := open(t, connect(t, server(t).Socket), redisstore.Options{Prefix: p})
	client, token := record(keys.KindClient, "client"), record(keys.KindToken, "token")
	token.Parent = client.ID
	must(t, s.Insert(t.Context(), client))
	must(t, s.Insert(t.Context(), token))
	client.RevokedAt = created
	must(t, s.Update(t.Context(), client))
	_, parent, err := other.Get(t.Context(), token.ID)
	if err != nil || !parent.Revoked() {
		t.Errorf("%+v, %v", parent, err)
	}
}

// TestGetOfUsedID reads an ID that is first that of a token, then of a token of
// another client, and then of a key. Nothing of what it was before may show.
func TestGetOfUsedID(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, _, p := fresh(t)
	other := open(t, connect(t, server(t).Socket), redisstore.Options{Prefix: p})
	one, two := record(keys.KindClient, "one"), record(keys.KindClient, "two")
	must(t, s.Insert(ctx, one))
	must(t, s.Insert(ctx, two))
	first, second, third := record(keys.KindToken, "it"), record(keys.KindToken, "it"), record(keys.KindKey, "it")
	first.Parent, first.ExpiresAt = one.ID, created
	second.Parent, second.ExpiresAt = two.ID, created
	for _, step := range []struct{ rec, parent keys.Record }{{first, one}, {second, two}, {third, keys.Record{}}} {
		must(t, other.Insert(ctx, step.rec))
		for range 3 {
			rec, parent, err := s.Get(ctx, "it")
			if rec != step.rec || parent != step.parent || err != nil {
				t.Errorf("%+v, %+v, %v; want %+v, %+v", rec, parent, err, step.rec, step.parent)
			}
		}
		if _, err := other.Sweep(ctx, expires, 1); err != nil {
			t.Error(err)
		}
		if step.parent.ID != "" {
			_, _, err := s.Get(ctx, "it")
			wants(t, "Get of a token that was swept", err, keys.ErrNotFound)
		}
	}
}
