package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// Options are the settings of a [Store]. The zero value is ready.
type Options struct {
	// BusyTimeout is how long a call waits while other calls or other processes
	// write, before it fails with ErrBusy. If zero, 5 seconds. A call whose
	// context ends sooner fails at that time.
	BusyTimeout time.Duration

	// Connections is how many connections [Open] makes at most, besides one for
	// buckets. If zero, 8. Each takes up to 2 MB of memory for its cache. [New]
	// leaves the host's pool as it is.
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

// A Store keeps records and buckets in a SQLite database. It is a [store.Store], and
// has all optional interfaces of package keys. It is safe for concurrent use; several
// processes may have one on the same file.
//
// Its errors are those of the contracts and [ErrBusy]. All others wrap the driver's.
type Store struct {
	db     *sql.DB
	limits *sql.DB // for buckets; db, unless the Store is made by Open
	owns   bool    // whether Close closes them
	busy   time.Duration

	// writer is held by the one call that writes; see alone.
	writer chan struct{}

	stmts statements
}

var (
	_ store.Store     = (*Store)(nil)
	_ keys.UseStore   = (*Store)(nil)
	_ keys.CountStore = (*Store)(nil)
	_ keys.OrgStore   = (*Store)(nil)
	_ keys.BatchStore = (*Store)(nil)
)

// statements are all that a Store runs, except those about settings in begin.
type statements struct {
	insert, get, family, update, updateRest, list, listLive, sweep *sql.Stmt
	count, orgs                                                    *sql.Stmt
	noteUses, lastUses                                             *sql.Stmt
	announce, withdraw, mark, marked, lease, poll                  *sql.Stmt
	chain, endChain, addEntry, entries, entryHash, cut, cutChain   *sql.Stmt
	lock, peek, idle, drop                                         *sql.Stmt
	tat, put                                                       *sql.Stmt // on limits
}

// texts returns the text of each statement and where the statement is kept,
// those for buckets last.
func (s *statements) texts() (records, limits []prepared) {
	records = []prepared{
		{insertText, &s.insert},
		{getText, &s.get},
		{familyText, &s.family},
		{updateText + ends + where, &s.update},
		{updateText + where, &s.updateRest},
		{listText, &s.list},
		{listLiveText, &s.listLive},
		{sweepText, &s.sweep},
		{countText, &s.count},
		{orgsText, &s.orgs},
		{noteUsesText, &s.noteUses},
		{lastUsesText, &s.lastUses},
		{announceText, &s.announce},
		{withdrawText, &s.withdraw},
		{markText, &s.mark},
		{markedText, &s.marked},
		{leaseText, &s.lease},
		{pollText, &s.poll},
		{chainText, &s.chain},
		{endChainText, &s.endChain},
		{addEntryText, &s.addEntry},
		{entriesText, &s.entries},
		{entryHashText, &s.entryHash},
		{cutText, &s.cut},
		{cutChainText, &s.cutChain},
		{lockText, &s.lock},
		{tatText, &s.peek},
		{idleText, &s.idle},
		{dropText, &s.drop},
	}
	return records, []prepared{{tatText, &s.tat}, {putText, &s.put}}
}

// A prepared is a statement and its text.
type prepared struct {
	text string
	stmt **sql.Stmt
}

// New returns a Store over a database that the host has opened with the driver
// "sqlite" of modernc.org/sqlite. Its tables stand beside the host's own. New
// writes nothing: call [Migrate] first.
//
// New looks at up to three connections of the pool. It refuses settings under
// which a guarantee of the package would not hold: see the DSN in the package
// documentation. The host must ensure two things that New cannot see: that nobody
// changes the settings of a connection later, and that cache=shared is not used. The
// error names the setting that is wrong, wraps [ErrSchema], or is the database's.
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
	return newStore(ctx, db, db, o)
}

// newStore returns a Store over two pools of one database.
func newStore(ctx context.Context, db, limits *sql.DB, o Options) (*Store, error) {
	if err := checkSettings(ctx, db); err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, db); err != nil {
		return nil, err
	}
	s := &Store{db: db, limits: limits, busy: o.BusyTimeout, writer: make(chan struct{}, 1)}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitestore: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) error {
	records, limits := s.stmts.texts()
	return errors.Join(prepare(ctx, s.db, records), prepare(ctx, s.limits, limits))
}

func prepare(ctx context.Context, db *sql.DB, all []prepared) (err error) {
	for _, p := range all {
		if *p.stmt, err = db.PrepareContext(ctx, p.text); err != nil {
			return err
		}
	}
	return nil
}

// Close releases what the Store holds. If the Store was made by [Open], it waits for
// running calls and closes the file. A database that was given to [New] stays open.
// Later calls fail. Closing again does nothing.
func (s *Store) Close() error {
	var errs []error
	records, limits := s.stmts.texts()
	for _, p := range append(records, limits...) {
		if *p.stmt != nil {
			errs = append(errs, (*p.stmt).Close())
		}
	}
	if s.owns {
		errs = append(errs, s.limits.Close(), s.db.Close())
	}
	return errors.Join(errs...)
}
