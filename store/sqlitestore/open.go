package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// Open opens the database in the file at path, makes its tables or brings them
// up to date (see [Migrate]), and returns a Store over it. If there is no file,
// Open makes one that only its owner can read and write. The folder must exist.
// Any number of processes can open one file at once.
//
// The path is the name of a file, not a DSN; [New] takes a database that was
// opened with a DSN. A relative path is resolved now, so that a later change of
// the working folder does not matter. A nil opts is the zero Options. The error
// wraps [ErrSchema] if the tables are newer than this version of the package,
// names the option that is wrong, or is that of the file system or the database.
func Open(path string, opts *Options) (*Store, error) {
	o, err := opts.filled()
	if err != nil {
		return nil, err
	}
	file, err := dsnOf(path)
	if err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	db, err := pool(file, "FULL", o.Connections)
	if err != nil {
		return nil, err
	}
	// One connection is enough, since takes of one store take turns.
	limits, err := pool(file, "NORMAL", 1)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s, err := migrated(db, limits, o)
	if err != nil {
		return nil, errors.Join(err, limits.Close(), db.Close())
	}
	s.owns = true
	return s, nil
}

// pool returns a pool of connections, none of which is made yet. With the setting
// FULL of synchronous a commit waits for the disk. With NORMAL it does not, so that a
// power cut can undo it.
func pool(file url.URL, synchronous string, connections int) (*sql.DB, error) {
	file.RawQuery = url.Values{
		"mode":          {"rw"}, // the file is there; a link to nowhere is an error
		"_busy_timeout": {strconv.Itoa(instant)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {synchronous},
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"},
		"_dqs":          {"false"},
		"_defensive":    {"true"},
		"_error_rc":     {"true"},
	}.Encode()
	connector, err := sqlite.NewConnector(file.String())
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections) // a new connection costs more than a read
	return db, nil
}

// migrated makes the tables of a database, and returns a Store over it. While one
// process switches a new file to WAL, SQLite lets calls of others fail at once as
// busy, whatever the timeout. So migrated tries again until BusyTimeout is over.
func migrated(db, limits *sql.DB, o Options) (*Store, error) {
	ctx := context.Background()
	deadline := time.Now().Add(o.BusyTimeout)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := Migrate(ctx, db)
		if err == nil {
			var s *Store
			if s, err = newStore(ctx, db, limits, o); err == nil {
				return s, nil
			}
		}
		if !isBusy(err) || time.Now().After(deadline) {
			return nil, err
		}
		time.Sleep(pause)
	}
}

// create makes an empty file unless there is one. It never opens a file that exists:
// when it closed that again, the system would drop the locks that connections of this
// process hold on it.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// dsnOf returns the DSN of the file at path, without settings.
func dsnOf(path string) (url.URL, error) {
	if path == "" || path == ":memory:" || strings.HasPrefix(path, "file:") || strings.IndexByte(path, 0) >= 0 {
		return url.URL{}, errors.New("sqlitestore: Open needs the name of a file, and no DSN")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return url.URL{}, fmt.Errorf("sqlitestore: %w", err)
	}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return url.URL{Scheme: "file", Path: path}, nil
}
