package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// Options are the settings of a [Store]. The zero value is ready.
type Options struct {
	// BusyTimeout is how long a call waits at most for its turn to write, be it
	// after other calls or after other processes. If zero, 5 seconds. A call
	// whose context ends sooner waits no longer than that.
	BusyTimeout time.Duration

	// Connections is how many connections [Open] makes at most. If zero, 8. Each
	// takes up to 2 MB of memory for its cache. [New] leaves the pool as it is.
	Connections int
}

// Defaults of the Options.
const (
	defaultBusyTimeout = 5 * time.Second
	defaultConnections = 8
)

// filled returns opts with the defaults filled in.
func (opts *Options) filled() (Options, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	switch {
	case o.BusyTimeout < 0:
		return o, errors.New("sqlitestore: the busy timeout is negative")
	case o.Connections < 0:
		return o, errors.New("sqlitestore: the number of connections is negative")
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusyTimeout
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections
	}
	return o, nil
}

// A Store is a [keys.Store] over a SQLite database. It is also a
// [keys.FamilyStore] and a [keys.UseStore]. It is safe for concurrent use, also
// by several processes on one file.
//
// Errors are those of the contract, [ErrBusy], and else the driver's, wrapped.
type Store struct {
	db   *sql.DB
	owns bool // whether Close closes db
	busy time.Duration

	// writer is held by the one call that writes; see write.
	writer chan struct{}

	stmts statements
}

var (
	_ keys.Store       = (*Store)(nil)
	_ keys.FamilyStore = (*Store)(nil)
	_ keys.UseStore    = (*Store)(nil)
)

// statements are all that a Store ever runs.
type statements struct {
	insert, get, family, update, there, list, sweep, noteUses, lastUses *sql.Stmt
}

// New returns a Store over a database that the host has opened with the driver
// "sqlite" of modernc.org/sqlite, so that its records stand beside the host's
// own tables. Nothing is written: the host calls [Migrate] first.
//
// New looks at up to three connections of the pool at once, and refuses
// settings with which a promise of the package would not hold: see the DSN in
// the package documentation. What it cannot see is the host's to keep: settings
// of connections are not changed later, and cache=shared is not used. The error
// says which setting is wrong, wraps [ErrSchema], or is the database's.
//
// A nil opts is the zero Options. Close leaves db open.
func New(ctx context.Context, db *sql.DB, opts *Options) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlitestore: New needs a database")
	}
	o, err := opts.filled()
	if err != nil {
		return nil, err
	}
	if err := checkSettings(ctx, db); err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, db); err != nil {
		return nil, err
	}
	s := &Store{db: db, busy: o.BusyTimeout, writer: make(chan struct{}, 1)}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitestore: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) (err error) {
	for query, stmt := range s.stmts.texts() {
		if *stmt, err = s.db.PrepareContext(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

// Close gives back what the Store holds. The file of a Store made by [Open] is
// closed, after the calls that run; a database given to [New] stays open. Calls
// made later fail. Closing again does nothing.
func (s *Store) Close() error {
	var errs []error
	for _, stmt := range s.stmts.texts() {
		if *stmt != nil {
			errs = append(errs, (*stmt).Close())
		}
	}
	if s.owns {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}
