package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

func noteUse(t testing.TB, m *store.Memory, id string, at time.Time) {
	t.Helper()
	if err := m.NoteUses(t.Context(), map[string]time.Time{id: at}); err != nil {
		t.Fatal(err)
	}
}

func lastUses(t testing.TB, m *store.Memory, ids ...string) map[string]time.Time {
	t.Helper()
	uses, err := m.LastUses(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	return uses
}

func TestMemoryGetWithParentAllocatesNothing(t *testing.T) {
	m := new(store.Memory)
	token := record(t, keys.KindToken, "oauth_1")
	orphan := record(t, keys.KindToken, "oauth_2")
	orphan.Parent = "cc_2"
	for _, r := range []keys.Record{token, orphan, record(t, keys.KindClient, token.Parent), record(t, keys.KindKey, "key_1")} {
		insert(t, m, r)
	}
	for id, want := range map[string]string{"oauth_1": token.Parent, "oauth_2": "", "key_1": "", "key_2": "", "": ""} {
		if n := testing.AllocsPerRun(100, func() {
			if _, parent, _ := m.Get(t.Context(), id); parent.ID != want {
				t.Errorf("the parent of %q is %q, want %q", id, parent.ID, want)
			}
		}); n != 0 {
			t.Errorf("Get of %q allocates %v times, want 0", id, n)
		}
	}
}

// TestMemoryPassesOverNoTime notes the uses of many keys, and no time for half of them.
func TestMemoryPassesOverNoTime(t *testing.T) {
	t.Parallel()
	m := new(store.Memory)
	uses, want := make(map[string]time.Time), make(map[string]time.Time)
	var ids []string
	for i := range 64 {
		r := record(t, keys.KindKey, fmt.Sprint("key_", i))
		insert(t, m, r)
		ids = append(ids, r.ID)
		if uses[r.ID] = (time.Time{}); i%2 == 0 {
			uses[r.ID], want[r.ID] = start, start.UTC()
		}
	}
	if err := m.NoteUses(t.Context(), uses); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, lastUses(t, m, ids...)); diff != "" {
		t.Error(diff)
	}
}

// A host can note uses after each request, if it has a map for them.
func TestMemoryNoteUsesAllocatesNothing(t *testing.T) {
	m := new(store.Memory)
	insert(t, m, record(t, keys.KindKey, "key_1"))
	at, batch := start, map[string]time.Time{"key_2": start}
	if n := testing.AllocsPerRun(100, func() {
		at = at.Add(time.Second)
		batch["key_1"] = at
		if err := m.NoteUses(t.Context(), batch); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("NoteUses allocates %v times, want 0", n)
	}
	if diff := cmp.Diff(map[string]time.Time{"key_1": at.UTC()}, lastUses(t, m, "key_1", "key_2")); diff != "" {
		t.Errorf("last uses (-want +got):\n%s", diff)
	}
}

func TestMemoryUseTimes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ noted, want time.Time }{
		"in milliseconds":         {start.Add(time.Millisecond), start.Add(time.Millisecond).UTC()},
		"less is cut off":         {start.Add(2*time.Millisecond - 1), start.Add(time.Millisecond).UTC()},
		"in another zone":         {start.In(time.FixedZone("west", -7200)), start.UTC()},
		"the first of 1970":       {time.UnixMilli(0), time.UnixMilli(0).UTC()},
		"before 1970":             {time.UnixMilli(-1), time.UnixMilli(-1).UTC()},
		"the zero time is no use": {time.Time{}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := new(store.Memory)
			insert(t, m, record(t, keys.KindKey, "key_1"))
			noteUse(t, m, "key_1", tt.noted)
			want := map[string]time.Time{}
			if !tt.want.IsZero() {
				want["key_1"] = tt.want
			}
			if diff := cmp.Diff(want, lastUses(t, m, "key_1")); diff != "" {
				t.Errorf("last uses (-want +got):\n%s", diff)
			}
		})
	}
}

// A token that is swept takes its uses along, and a token that comes under the
// same ID was never used.
func TestMemoryUsesEndWithTheRecord(t *testing.T) {
	t.Parallel()
	m := new(store.Memory)
	insert(t, m, record(t, keys.KindToken, "oauth_1"))
	noteUse(t, m, "oauth_1", start)
	if n, err := m.Sweep(t.Context(), start.Add(1), 1); n != 1 || err != nil {
		t.Fatalf("Sweep removed %d, %v", n, err)
	}
	for range 2 {
		if uses := lastUses(t, m, "oauth_1"); len(uses) != 0 {
			t.Errorf("last uses of a token that was swept: %v", uses)
		}
		noteUse(t, m, "oauth_1", start)
	}
	insert(t, m, record(t, keys.KindToken, "oauth_1"))
	if uses := lastUses(t, m, "oauth_1"); len(uses) != 0 {
		t.Errorf("last uses of a new token: %v", uses)
	}
}

// Uses that were noted stay, while updates put new entries in the place of the
// one that holds them, and tables are made anew.
func TestMemoryUsesSurviveChurn(t *testing.T) {
	t.Parallel()
	rounds := 100_000
	if testing.Short() {
		rounds = 10_000
	}
	m := new(store.Memory)
	insert(t, m, record(t, keys.KindKey, "key_1"))
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for r := record(t, keys.KindKey, "key_1"); !done.Load(); r.Version++ {
			if err := m.Update(t.Context(), r); err != nil {
				t.Error(err)
				return
			}
		}
	})
	wg.Go(func() {
		for i := 0; !done.Load(); i++ {
			if err := m.Insert(t.Context(), record(t, keys.KindToken, fmt.Sprint(i))); err != nil {
				t.Error(err)
				return
			}
			if i%2000 == 0 {
				if _, err := m.Sweep(t.Context(), start.Add(1), 2000); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	defer wg.Wait()
	defer done.Store(true)
	for n := range rounds {
		at := start.Add(time.Duration(n) * time.Second).UTC()
		noteUse(t, m, "key_1", at)
		if got := lastUses(t, m, "key_1")["key_1"]; got != at {
			t.Fatalf("round %d: the last use is %v, want %v", n, got, at)
		}
	}
}
