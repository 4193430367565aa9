package sqlitestore_test

import (
	"path/filepath"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
	"github.com/claviger-auth/claviger/store/storetest"
)

// open returns a store over a new file that is closed when the test ends.
func open(t testing.TB) *sqlitestore.Store {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "records.db"))
}

// reopen is open for a file that may be there.
func reopen(t testing.TB, path string) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.TestRecords(t, func(t testing.TB) keys.Store { return open(t) })
}
