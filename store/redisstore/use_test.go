package redisstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

func TestUses(t *testing.T) {
	t.Parallel()
	s, _, _ := fresh(t)
	checkUses(t, s)
}

// checkUses notes uses of credentials in all shards.
func checkUses(t *testing.T, s *redisstore.Store) {
	t.Helper()
	ctx := t.Context()
	var ids []string
	uses, want := make(map[string]time.Time), make(map[string]time.Time)
	for i := range 40 {
		r := record(keys.KindKey, fmt.Sprint("key ", i))
		must(t, s.Insert(ctx, r))
		ids = append(ids, r.ID)
		if i%4 != 0 {
			uses[r.ID] = created.Add(time.Duration(i) * time.Second)
			want[r.ID] = uses[r.ID]
		}
	}
	check := func(what string) {
		t.Helper()
		got, err := s.LastUses(ctx, append(ids, "nobody", "", "\x00", "\xff"))
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("last uses %s:\n%s", what, diff)
		}
	}
	uses["nobody"], uses[""], uses["\x00"], uses["\xff"] = created, created, created, created
	must(t, s.NoteUses(ctx, uses))
	check("after the first")

	earlier, later := make(map[string]time.Time), make(map[string]time.Time)
	for id, at := range want {
		earlier[id], later[id] = at.Add(-time.Millisecond), at.Add(time.Millisecond+time.Microsecond)
	}
	must(t, s.NoteUses(ctx, earlier))
	check("after earlier ones")
	must(t, s.NoteUses(ctx, later))
	for id, at := range want {
		want[id] = at.Add(time.Millisecond)
	}
	check("after later ones")

	// Neither undoes the other, and records are as they were.
	for i, id := range ids {
		r, _, err := s.Get(ctx, id)
		must(t, err)
		if diff := cmp.Diff(record(keys.KindKey, fmt.Sprint("key ", i)), r, equal); diff != "" {
			t.Errorf("the record after uses were noted:\n%s", diff)
		}
		r.RevokedAt = created
		must(t, s.Update(ctx, r))
	}
	check("after updates")
	if _, _, err := s.Get(ctx, "nobody"); err == nil {
		t.Error("noting a use made a record")
	}
	none, err := s.LastUses(ctx, nil)
	if err != nil || len(none) != 0 {
		t.Errorf("LastUses of nothing: %v, %v", none, err)
	}
	must(t, s.NoteUses(ctx, nil))
}

func TestUsesGoWithTheToken(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	r := record(keys.KindToken, "token")
	r.ExpiresAt = created
	must(t, s.Insert(t.Context(), r))
	must(t, s.NoteUses(t.Context(), map[string]time.Time{r.ID: created}))
	if n, err := s.Sweep(t.Context(), expires, 10); n != 1 || err != nil {
		t.Fatalf("Sweep: %d, %v", n, err)
	}
	must(t, s.NoteUses(t.Context(), map[string]time.Time{r.ID: expires}))
	if left, err := c.Keys(t.Context(), p+":{*}:[^c]*").Result(); len(left) != 0 || err != nil { // all but the changes
		t.Errorf("keys left: %q, %v", left, err)
	}
}

func TestUsesOutOfRange(t *testing.T) {
	t.Parallel()
	s, _, _ := fresh(t)
	must(t, s.Insert(t.Context(), record(keys.KindKey, "key")))
	for _, at := range []time.Time{{}, time.Unix(-1, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		wants(t, "NoteUses at "+at.String(), s.NoteUses(t.Context(), map[string]time.Time{"key": at}), keys.ErrInvalid)
	}
	if got, err := s.LastUses(t.Context(), []string{"key"}); len(got) != 0 || err != nil {
		t.Errorf("LastUses: %v, %v", got, err)
	}
}
