package sqlstore_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/claviger-auth/claviger/examples/sqlstore"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// openDatabase opens the database in a file, as each process does for itself.
func openDatabase(file string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?"+source)
	if err == nil {
		db.SetMaxOpenConns(4)
	}
	return db, err
}

// database is openDatabase for a test.
func database(t testing.TB, file string) *sql.DB {
	t.Helper()
	db, err := openDatabase(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// A handle is a store that knows where its database is.
type handle struct {
	*sqlstore.Store
	file string
}

func open(t testing.TB, file string) handle {
	t.Helper()
	s, err := sqlstore.New(t.Context(), database(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return handle{s, file}
}

// The kit is told how another process opens the same data.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	storetest.Test(t,
		func(t testing.TB) store.Store {
			t.(*testing.T).Parallel()
			return open(t, filepath.Join(t.TempDir(), "store.db"))
		},
		&storetest.Options[store.Store]{
			Second: func(t testing.TB, s store.Store) store.Store { return open(t, s.(handle).file) },
		})
}
