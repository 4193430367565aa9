package sqlitestore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

func note(t testing.TB, s *sqlitestore.Store, uses map[string]time.Time) {
	t.Helper()
	if err := s.NoteUses(t.Context(), uses); err != nil {
		t.Fatal(err)
	}
}

func lastUses(t testing.TB, s *sqlitestore.Store, ids ...string) map[string]time.Time {
	t.Helper()
	uses, err := s.LastUses(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	return uses
}

func TestUses(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	for _, test := range []struct {
		name  string
		notes []map[string]time.Time
		want  map[string]time.Time
	}{
		{"none", nil, map[string]time.Time{}},
		{"an empty note", []map[string]time.Time{{}}, map[string]time.Time{}},
		{"one", []map[string]time.Time{{"a": at(0)}}, map[string]time.Time{"a": at(0)}},
		{"the later one comes later", []map[string]time.Time{{"a": at(0)}, {"a": at(1e6)}}, map[string]time.Time{"a": at(1e6)}},
		{"the later one comes first", []map[string]time.Time{{"a": at(1e6)}, {"a": at(0)}}, map[string]time.Time{"a": at(1e6)}},
		{"several", []map[string]time.Time{{"a": at(0), "b": at(2e6)}, {"a": at(1e6), "b": at(1e6)}}, map[string]time.Time{"a": at(1e6), "b": at(2e6)}},
		{"cut to milliseconds", []map[string]time.Time{{"a": at(1999999)}}, map[string]time.Time{"a": at(1e6)}},
		{"another zone", []map[string]time.Time{{"a": at(0).In(time.FixedZone("east", 3600))}}, map[string]time.Time{"a": at(0)}},
		{"the first instant of 1970", []map[string]time.Time{{"a": time.UnixMilli(0)}}, map[string]time.Time{"a": time.UnixMilli(0).UTC()}},
		{"IDs that no record has", []map[string]time.Time{{"a": at(0), "z": at(0), "A": at(0), "": at(0), "a\x00": at(0), "\xff": at(0), strings.Repeat("a", 300): at(0)}}, map[string]time.Time{"a": at(0)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, file(t))
			insert(t, s, record(t, keys.KindKey, "a"), record(t, keys.KindClient, "b"))
			for _, n := range test.notes {
				note(t, s, n)
			}
			got := lastUses(t, s, "a", "b", "z", "A", "", "a\x00", "\xff", "a")
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestUsesOfHostileIDs has IDs that are hard to quote.
func TestUsesOfHostileIDs(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	ids := []string{
		`"`, `\`, `\u0041`, `','`, `[]`, `{"a":1}`, "a\nb", "\x01\x1f\x7f", "<&>", "\u2028", "\ufffd", "\U0001f511",
		"e\u0301", "\u00e9", "1", "01", "1.0", "null", "true", " a ", strings.Repeat("\U0001f511", 63),
	}
	want := make(map[string]time.Time)
	for i, id := range ids {
		insert(t, s, record(t, keys.KindKey, id))
		want[id] = start.Add(time.Duration(i) * time.Second)
	}
	note(t, s, want)
	if d := cmp.Diff(want, lastUses(t, s, ids...)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestUsesChangeNoRecord(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	r := record(t, keys.KindKey, "a")
	insert(t, s, r)
	stale := r
	note(t, s, map[string]time.Time{"a": start, "nobody": start})
	got, _, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(r, got); d != "" {
		t.Errorf("after a note (-want +got):\n%s", d)
	}
	if _, _, err := s.Get(t.Context(), "nobody"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("a record was made by a note: %v", err)
	}
	stale.RevokedAt = start.Add(time.Hour)
	if err := s.Update(t.Context(), stale); err != nil {
		t.Fatalf("an update of the version read before the note: %v", err)
	}
	note(t, s, map[string]time.Time{"a": never})
	if got, _, err := s.Get(t.Context(), "a"); err != nil || !got.Revoked() {
		t.Errorf("revoked and then used: revoked %v, %v", got.Revoked(), err)
	}
	if got := lastUses(t, s, "a"); !got["a"].Equal(never) {
		t.Errorf("last use %v, want %v", got["a"], never)
	}
}

// TestUsesEndWithTokens sweeps a token and makes another with its ID.
func TestUsesEndWithTokens(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	r := record(t, keys.KindToken, "token")
	r.ExpiresAt = start
	insert(t, s, r)
	note(t, s, map[string]time.Time{"token": start})
	if n, err := s.Sweep(t.Context(), never, 10); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	insert(t, s, r)
	if got := lastUses(t, s, "token"); len(got) != 0 {
		t.Errorf("a new token was last used at %v", got)
	}
}

func TestNoteUsesRefusesTimes(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	insert(t, s, record(t, keys.KindKey, "a"), record(t, keys.KindKey, "b"))
	for _, bad := range []time.Time{{}, time.UnixMilli(-1), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		err := s.NoteUses(t.Context(), map[string]time.Time{"a": start, "b": bad})
		if !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("a use at %v: %v", bad, err)
		}
	}
	if got := lastUses(t, s, "a", "b"); len(got) != 0 {
		t.Errorf("notes that were refused are there: %v", got)
	}
}

func TestUsesWithEndedContext(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	insert(t, s, record(t, keys.KindKey, "a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.NoteUses(ctx, map[string]time.Time{"a": start}); !errors.Is(err, context.Canceled) {
		t.Errorf("NoteUses: %v", err)
	}
	if _, err := s.LastUses(ctx, []string{"a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("LastUses: %v", err)
	}
	if got := lastUses(t, s, "a"); len(got) != 0 {
		t.Errorf("noted all the same: %v", got)
	}
}

// TestUsesAtOnce notes many IDs from many goroutines; the latest of each stays.
func TestUsesAtOnce(t *testing.T) {
	t.Parallel()
	const workers, ids = 8, 2000
	s := open(t, file(t))
	want := make(map[string]time.Time)
	for i := range ids {
		id := fmt.Sprintf("key_%d", i)
		want[id] = start.Add(workers * time.Second)
		if i < 100 { // the others have no records
			insert(t, s, record(t, keys.KindKey, id))
		}
	}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			uses := make(map[string]time.Time)
			for id := range want {
				uses[id] = start.Add(time.Duration(workers-i) * time.Second)
			}
			if err := s.NoteUses(t.Context(), uses); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := lastUses(t, s, slices.Collect(maps.Keys(want))...)
	for i := 100; i < ids; i++ {
		delete(want, fmt.Sprintf("key_%d", i))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
