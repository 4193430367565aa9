package sqlitestore_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	insert(t, s, record(t, keys.KindKey, "key_1"))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	_, _, err := s.Get(t.Context(), "key_1")
	if err == nil || !strings.HasPrefix(err.Error(), "sqlitestore: ") {
		t.Errorf("Get after Close: %v", err)
	}
}

// TestJunkIsNeverSentToTheDriver asks a store that has none any more.
func TestJunkIsNeverSentToTheDriver(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "a\x00b", "a\xff", strings.Repeat("x", 256)} {
		if _, _, err := s.Get(t.Context(), id); !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("Get(%q): %v", id, err)
		}
		if err := s.NoteUses(t.Context(), map[string]time.Time{id: start}); err != nil {
			t.Errorf("NoteUses(%q): %v", id, err)
		}
		if uses, err := s.LastUses(t.Context(), []string{id}); err != nil || len(uses) != 0 {
			t.Errorf("LastUses(%q): %v, %v", id, uses, err)
		}
	}
	if _, _, err := s.Get(t.Context(), strings.Repeat("x", 255)); err == nil || verdict(err) {
		t.Errorf("Get of what a record could have: %v", err)
	}
}

func TestCloseLeavesTheHostsDatabaseOpen(t *testing.T) {
	t.Parallel()
	db := database(t, hostDSN(file(t)))
	if err := sqlitestore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	s, err := sqlitestore.New(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCloseDuringCalls closes a store that is in use. Calls are done or fail;
// none is told that a record is not there.
func TestCloseDuringCalls(t *testing.T) {
	t.Parallel()
	for range rounds(10, 4, 2) {
		s := open(t, file(t))
		r := record(t, keys.KindKey, "key_1")
		insert(t, s, r)
		var running, done sync.WaitGroup
		for i := range 4 {
			running.Add(1)
			done.Go(func() {
				err := error(nil)
				for n := 0; err == nil; n++ {
					if i == 0 {
						err = s.Update(t.Context(), r)
						r.Version++
					} else {
						_, _, err = s.Get(t.Context(), "key_1")
					}
					if n == 0 {
						running.Done()
					}
				}
				if verdict(err) {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		done.Wait()
	}
}

// TestCloseLeavesNoGoroutine would not end if one of the goroutines of the store,
// which the driver and package sql start, outlived it.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "records.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := sqlitestore.Open(path, patient())
		if err != nil {
			t.Fatal(err)
		}
		insert(t, s, record(t, keys.KindKey, "key_1"))
		if _, _, err := s.Get(t.Context(), "key_1"); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
