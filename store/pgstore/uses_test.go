package pgstore_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

func noteUses(t *testing.T, s keys.UseStore, uses map[string]time.Time) {
	t.Helper()
	if err := s.NoteUses(t.Context(), uses); err != nil {
		t.Fatal(err)
	}
}

func lastUses(t *testing.T, s keys.UseStore, ids ...string) map[string]time.Time {
	t.Helper()
	uses, err := s.LastUses(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	return uses
}

func TestUses(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	key, token := record(keys.KindKey, "key"), record(keys.KindToken, "token")
	insert(t, s, key, token, record(keys.KindClient, "client"), record(keys.KindKey, "unused"))
	first, last := time.UnixMilli(0).UTC(), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)

	same(t, "uses of nobody", lastUses(t, s), map[string]time.Time{})
	noteUses(t, s, nil)
	noteUses(t, s, map[string]time.Time{
		"key": now.Add(999 * time.Microsecond), "client": last, "token": first, "nobody": now,
		"KEY": last, "": now, "a\x00": now, "a\xff": now, strings.Repeat("x", 256): now,
	})
	want := map[string]time.Time{"key": now, "client": last, "token": first}
	all := []string{"key", "client", "token", "unused", "nobody", "KEY", "key", "", "a\x00", "a\xff"}
	same(t, "uses", lastUses(t, s, all...), want)

	noteUses(t, s, map[string]time.Time{"key": now.Add(-time.Hour), "token": now})
	want["token"] = now
	same(t, "uses after an earlier one and a later one", lastUses(t, s, all...), want)
	same(t, "the record of a key that was used", get(t, s, "key"), key)

	for _, bad := range []time.Time{{}, now.AddDate(-60, 0, 0), now.AddDate(9000, 0, 0)} {
		fails(t, "a time out of range", s.NoteUses(t.Context(), map[string]time.Time{"unused": now, "z": bad}), keys.ErrInvalid)
	}
	same(t, "uses after times out of range", lastUses(t, s, all...), want)
}

// TestUseUndoesNothing notes uses while a record is revoked, and checks that no
// order of the two brings it back or fails.
func TestUseUndoesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for i := range 20 {
		r := record(keys.KindKey, fmt.Sprint(i))
		insert(t, s, r)
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				if err := s.NoteUses(t.Context(), map[string]time.Time{r.ID: now.Add(time.Duration(n) * time.Second)}); err != nil {
					t.Error(err)
				}
			})
		}
		revoked := r
		revoked.RevokedAt = now
		if err := s.Update(t.Context(), revoked); err != nil {
			t.Error(err)
		}
		wg.Wait()
		revoked.Version++
		same(t, "the record", get(t, s, r.ID), revoked)
		same(t, "its use", lastUses(t, s, r.ID), map[string]time.Time{r.ID: now.Add(3 * time.Second)})
	}
}

// TestUsesInAnyOrder has batches over the same records run at the same time.
// Batches that take their rows in different orders wait for each other for
// ever, until the server ends one of them.
func TestUsesInAnyOrder(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	const records, batches = 200, 8
	for i := range records {
		insert(t, s, record(keys.KindKey, fmt.Sprintf("key %d", i)))
	}
	var wg sync.WaitGroup
	for n := range batches {
		wg.Go(func() {
			for round := range 5 {
				uses := make(map[string]time.Time)
				for i := range records {
					uses[fmt.Sprintf("key %d", i)] = now.Add(time.Duration(round*batches+n) * time.Millisecond)
				}
				if err := s.NoteUses(t.Context(), uses); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range records {
		id := fmt.Sprintf("key %d", i)
		if got, want := lastUses(t, s, id)[id], now.Add((5*batches-1)*time.Millisecond); !got.Equal(want) {
			t.Fatalf("%s was last used at %v, want %v", id, got, want)
		}
	}
}

func TestSweepForgetsUses(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	token := record(keys.KindToken, "token")
	token.ExpiresAt = now
	insert(t, s, token, record(keys.KindKey, "key"))
	noteUses(t, s, map[string]time.Time{"token": now, "key": now})
	if n, err := s.Sweep(t.Context(), now.Add(time.Microsecond), 10); n != 1 || err != nil {
		t.Fatalf("Sweep removed %d, %v, want 1", n, err)
	}
	same(t, "uses", lastUses(t, s, "token", "key"), map[string]time.Time{"key": now})
	if n := value[int](t, shared.pool, `SELECT count(*) FROM `+name+`.uses`); n != 1 {
		t.Errorf("%d uses are kept, want 1", n)
	}
	// What a use that came too late left behind is nobody's.
	execute(t, shared.pool, `INSERT INTO `+name+`.uses VALUES ('token', 5)`)
	same(t, "uses of a token that is gone", lastUses(t, s, "token"), map[string]time.Time{})
}

var _ keys.UseStore = (*pgstore.Store)(nil)
