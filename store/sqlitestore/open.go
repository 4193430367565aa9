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
	"strings"
	"time"

	"modernc.org/sqlite"
)

// Open opens the database in the file at path, makes its tables or brings them
// up to date (see [Migrate]), and returns a Store over it. A file that is not
// there is made, for its owner alone to read and write; its folder must be
// there. Any number of processes can open one file at once.
//
// The path is a name in the file system, not a DSN: for that there is [New]. A
// relative one is resolved now, so that a later change of the working folder
// does no harm. A nil opts is the zero Options. The error wraps [ErrSchema] if
// the tables are newer than this version of the package, says which option is
// wrong, or is that of the file system or the database.
func Open(path string, opts *Options) (*Store, error) {
	o, err := opts.filled()
	if err != nil {
		return nil, err
	}
	dsn, err := dsnOf(path)
	if err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(o.Connections)
	db.SetMaxIdleConns(o.Connections) // a new connection costs more than a read
	s, err := migrated(db, o)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.owns = true
	return s, nil
}

// migrated returns a Store over db, whose tables it makes. While a new file is
// switched to WAL, SQLite fails other processes without waiting: two that both
// read and both want to write would wait for each other. So this waits for them.
func migrated(db *sql.DB, o Options) (*Store, error) {
	ctx := context.Background()
	deadline := time.Now().Add(o.BusyTimeout)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := Migrate(ctx, db)
		if err == nil {
			var s *Store
			if s, err = New(ctx, db, &o); err == nil {
				return s, nil
			}
		}
		if !isBusy(err) || time.Now().After(deadline) {
			return nil, err
		}
		time.Sleep(pause)
	}
}

// create makes an empty file unless there is one. It never opens one that is
// there: when that is closed again, the system drops the locks that connections
// of this process hold on it.
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

// dsnOf returns the DSN of the file at path.
func dsnOf(path string) (string, error) {
	if path == "" || path == ":memory:" || strings.HasPrefix(path, "file:") || strings.IndexByte(path, 0) >= 0 {
		return "", errors.New("sqlitestore: Open needs the name of a file, and no DSN")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("sqlitestore: %w", err)
	}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	q := url.Values{
		"mode":          {"rw"}, // the file is there; a link to nowhere is an error
		"_busy_timeout": {"50"}, // milliseconds; see Store.patiently
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"},
		"_dqs":          {"false"},
		"_defensive":    {"true"},
		"_error_rc":     {"true"},
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String(), nil
}
