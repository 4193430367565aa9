package sqlitestore_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// storeOver returns a store over a file, with more settings in the DSN.
func storeOver(t *testing.T, path, settings string) (*sqlitestore.Store, *sql.DB) {
	t.Helper()
	db := database(t, hostDSN(path)+settings)
	db.SetMaxOpenConns(2)
	s, err := sqlitestore.New(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

// verdict reports whether err is one that says something of a record.
func verdict(err error) bool {
	for _, v := range []error{keys.ErrNotFound, keys.ErrExists, keys.ErrConflict, keys.ErrInvalid, keys.ErrCorrupt} {
		if errors.Is(err, v) {
			return true
		}
	}
	return false
}

// TestDiskFull fills a file up to a limit on its pages. Writes fail, what was
// acknowledged holds and is checked, and all goes on when there is room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	path := file(t)
	open(t, path)
	s, db := storeOver(t, path, "&_pragma=max_page_count(40)")
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var made []keys.Issued
	var full error
	for full == nil && len(made) < 10_000 {
		var issued keys.Issued
		if issued, full = manager.Create(t.Context(), "acme", keys.Spec{}); full == nil {
			made = append(made, issued)
		}
	}
	if full == nil || verdict(full) || len(made) < 50 {
		t.Fatalf("after %d keys: %v", len(made), full)
	}
	check := func(when string) {
		t.Helper()
		for _, issued := range made {
			if _, err := manager.Verifier().Verify(t.Context(), issued.Text.Reveal()); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
		}
		n := 0
		for _, err := range manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != len(made) {
			t.Errorf("%s: %d keys, want the %d that were acknowledged", when, n, len(made))
		}
	}
	check("while the disk is full")
	db.SetMaxOpenConns(1)
	execute(t, db, "PRAGMA max_page_count = 10000")
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatalf("when there is room again: %v", err)
	}
	made = append(made, issued)
	check("when there is room again")
	if err := manager.Revoke(t.Context(), "acme", keys.KindKey, made[0].Record.ID); err != nil {
		t.Error(err)
	}
}

// TestReadOnly opens a file that cannot be written. Credentials are checked; a
// revocation fails, and does not say that it was done.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := file(t)
	first := open(t, path)
	manager, err := keys.NewManager(first, nil)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := storeOver(t, path, "&mode=ro")
	if manager, err = keys.NewManager(s, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := manager.Verifier().Verify(t.Context(), issued.Text.Reveal()); err != nil {
			t.Errorf("a check: %v", err)
		}
		if err := manager.Revoke(t.Context(), "acme", keys.KindKey, issued.Record.ID); err == nil || verdict(err) {
			t.Errorf("a revocation: %v", err)
		}
		if _, err := manager.Create(t.Context(), "acme", keys.Spec{}); err == nil || verdict(err) {
			t.Errorf("a creation: %v", err)
		}
	}
	if err := sqlitestore.Migrate(t.Context(), database(t, hostDSN(path)+"&mode=ro")); err != nil {
		t.Errorf("Migrate with nothing to do: %v", err)
	}
}

// TestTablesGone drops the tables while a store is open. That is an outage, and
// no answer about any credential.
func TestTablesGone(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	execute(t, database(t, hostDSN(path)), "ALTER TABLE claviger_records RENAME TO gone")
	if _, err := manager.Verifier().Verify(t.Context(), issued.Text.Reveal()); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("Verify: %v", err)
	}
	r := issued.Record
	for name, err := range map[string]error{
		"Insert":   s.Insert(t.Context(), r),
		"Update":   s.Update(t.Context(), r),
		"Get":      third(s.Get(t.Context(), r.ID)),
		"List":     second(s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1})),
		"Sweep":    second(s.Sweep(t.Context(), never, 1)),
		"NoteUses": s.NoteUses(t.Context(), map[string]time.Time{r.ID: start}),
	} {
		if err == nil || verdict(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }
