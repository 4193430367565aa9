package sqlitestore_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// TestFilesAreTheOwnersAlone holds for the files beside the database too, in
// which the same records stand.
func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	insert(t, s, record(t, keys.KindKey, "key_1"))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %v, want 0600", filepath.Base(path+suffix), mode)
		}
	}
}

// TestNamesOfFiles has names that mean something in a DSN.
func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b", "a?mode=memory", "a%20b", "a#b", "a&b=c;d", "é", ":memory:x", "-a"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			s := open(t, path)
			insert(t, s, record(t, keys.KindKey, "key_1"))
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range entries {
				names = append(names, strings.TrimSuffix(strings.TrimSuffix(e.Name(), "-wal"), "-shm"))
			}
			if len(names) != 3 || names[0] != name || names[1] != name || names[2] != name {
				t.Errorf("files %q, want those of %q", names, name)
			}
		})
	}
}

// TestRelativePath changes the working folder after a store was opened. It opens
// its connections later, when calls come at once.
func TestRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := open(t, "records.db")
	t.Chdir(t.TempDir())
	storeAtOnce(t, s)
	if _, err := os.Stat("records.db"); err == nil {
		t.Error("a second file was made in another folder")
	}
}

// storeAtOnce makes enough calls at once to need several connections.
func storeAtOnce(t *testing.T, s *sqlitestore.Store) {
	t.Helper()
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	const n = 32
	for range n {
		go func() {
			issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
			if err == nil {
				_, _, err = s.Get(t.Context(), issued.Record.ID)
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("This is no database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(dir, "nowhere")
	if err := os.Symlink(filepath.Join(dir, "gone"), nowhere); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		path string
		opts *sqlitestore.Options
	}{
		{"no name", "", nil},
		{"memory", ":memory:", nil},
		{"a DSN", "file:records.db", nil},
		{"NUL", filepath.Join(dir, "a\x00b"), nil},
		{"a folder", dir, nil},
		{"a file in no folder", filepath.Join(dir, "none", "records.db"), nil},
		{"a file that is no database", text, nil},
		{"a link to nowhere", nowhere, nil},
		{"a negative timeout", filepath.Join(dir, "a"), &sqlitestore.Options{BusyTimeout: -1}},
		{"a negative number of connections", filepath.Join(dir, "a"), &sqlitestore.Options{Connections: -1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := sqlitestore.Open(test.path, test.opts)
			if err == nil {
				t.Fatal(s.Close(), "no error")
			}
			if strings.Count(err.Error(), "sqlitestore: ") != 1 {
				t.Errorf("the error does not say once where it is from: %v", err)
			}
		})
	}
	t.Cleanup(func() { // after the subtests
		got, err := os.ReadFile(text)
		if err != nil || !strings.HasPrefix(string(got), "This is no database. This") {
			t.Errorf("a file that is no database was written to: %v", err)
		}
		for _, name := range []string{"a", "gone"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				t.Errorf("%s was made by an Open that failed", name)
			}
		}
	})
}

func TestNewRefusesSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		dsn  string // after the path
		want string
	}{
		{"nothing set", "", "busy_timeout"},
		{"no WAL", "?_busy_timeout=50&_synchronous=FULL&_foreign_keys=on", "journal_mode is delete"},
		{"no busy timeout", "?_busy_timeout=0&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on", "busy_timeout is 0"},
		{"no syncing", "?_busy_timeout=50&_journal_mode=WAL&_synchronous=OFF&_foreign_keys=on", "synchronous is 0"},
		{"too little syncing", "?_busy_timeout=50&_journal_mode=WAL&_synchronous=NORMAL&_foreign_keys=on", "synchronous is 1"},
		{"no foreign keys", "?_busy_timeout=50&_journal_mode=WAL&_synchronous=FULL", "foreign_keys is 0"},
		{"another encoding", "?_busy_timeout=50&_pragma=encoding('UTF-16le')&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on", "encoding is UTF-16le"},
		{"a file for one process", "?_busy_timeout=50&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_pragma=locking_mode(exclusive)", "locking_mode is exclusive"},
		{"no writing", "?_busy_timeout=50&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_query_only=on", "query_only is 1"},
		{"reading what may be undone", "?_busy_timeout=50&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_pragma=read_uncommitted(1)", "read_uncommitted is 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := file(t)
			if test.want != "encoding is UTF-16le" { // which is for new files
				open(t, path).Close()
			}
			db := database(t, "file:"+path+test.dsn)
			if strings.Contains(test.want, "delete") {
				execute(t, db, "PRAGMA journal_mode = DELETE")
			}
			s, err := sqlitestore.New(t.Context(), db, nil)
			if err == nil {
				t.Fatal(s.Close(), "no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q in it", err, test.want)
			}
		})
	}
}

// TestNewLooksAtSeveralConnections makes the settings by a statement, which
// changes one connection of the pool.
func TestNewLooksAtSeveralConnections(t *testing.T) {
	t.Parallel()
	path := file(t)
	open(t, path)
	db := database(t, "file:"+path)
	db.SetMaxOpenConns(1)
	for _, pragma := range []string{"busy_timeout = 50", "synchronous = FULL", "foreign_keys = on"} {
		execute(t, db, "PRAGMA "+pragma)
	}
	if _, err := sqlitestore.New(t.Context(), db, nil); err != nil {
		t.Errorf("while one connection is all there is: %v", err)
	}
	db.SetMaxOpenConns(2)
	if s, err := sqlitestore.New(t.Context(), db, nil); err == nil {
		t.Fatal(s.Close(), "no error")
	} else if !strings.Contains(err.Error(), "connection 2 of 2") {
		t.Error(err)
	}
}

func TestNewOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := sqlitestore.New(t.Context(), nil, nil); err == nil {
		t.Error("New without a database: no error")
	}
	db := database(t, hostDSN(file(t)))
	if _, err := sqlitestore.New(t.Context(), db, &sqlitestore.Options{BusyTimeout: -time.Second}); err == nil {
		t.Error("New with a negative timeout: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlitestore.New(ctx, db, nil); err == nil {
		t.Error("New with a context that has ended: no error")
	}
	closed, err := sql.Open("sqlite", hostDSN(file(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlitestore.New(t.Context(), closed, nil); err == nil {
		t.Error("New over a closed database: no error")
	}
}
