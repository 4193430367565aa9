package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// A DB is what a [Store] works with: a [pgxpool.Pool], a [pgx.Conn], or a
// [pgx.Tx], by which writes join a transaction of the host's.
//
// [pgxpool.Pool]: https://pkg.go.dev/github.com/jackc/pgx/v5/pgxpool#Pool
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Begin(ctx context.Context) (pgx.Tx, error)
}

// DefaultSchema is the schema of the tables if [Options] name no other.
const DefaultSchema = "claviger"

// Options are the settings of a [Store] and of [Migrate]. The zero value is
// ready.
type Options struct {
	// Schema is the schema that holds the tables, and nothing else: 1 to 63
	// lower-case letters, digits and underscores, not beginning with a digit
	// or with "pg_". All statements name it; search_path does not matter. If
	// empty, DefaultSchema.
	Schema string

	// Mode is how statements are sent. Behind a pooler that hands out
	// connections for one transaction each, use pgx.QueryExecModeExec or
	// pgx.QueryExecModeSimpleProtocol: the others prepare statements that the
	// next connection does not know. If zero, the default_query_exec_mode of the
	// connections.
	Mode pgx.QueryExecMode

	// SyncTake makes Take wait until the bucket is on disk. If false, a Take is
	// on disk a moment after it has returned, and a crash of the server loses
	// those of the last fraction of a second.
	SyncTake bool
}

// A Store keeps records and buckets in a PostgreSQL database. It is as safe for
// concurrent use as its DB: with a pool many goroutines may use it at once, with a
// connection or a transaction one at a time. It starts no goroutine, and holds
// nothing in memory but its settings.
//
// Its errors are those that [keys.Store] and [ratelimit.Store] name, and
// [ErrStandby]. All others wrap the driver's, often a [*pgconn.PgError]. They say
// nothing about the credential, and hold no password.
type Store struct {
	db DB
	settings
}

var (
	_ store.Store     = (*Store)(nil)
	_ keys.UseStore   = (*Store)(nil)
	_ keys.CountStore = (*Store)(nil)
	_ keys.OrgStore   = (*Store)(nil)
	_ keys.BatchStore = (*Store)(nil)
)

// ErrStandby reports that the server is a standby, or has become one. A standby may
// lag behind, and not know the latest revocations, so nothing is read from it.
var ErrStandby = errors.New("pgstore: the server is a standby")

// New returns a Store over db, and does not use db yet. A nil opts is the zero
// Options. It fails if db is nil or an option is invalid.
func New(db DB, opts *Options) (*Store, error) {
	if db == nil {
		return nil, errors.New("pgstore: New needs a database")
	}
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	return &Store{db: db, settings: s}, nil
}

// With returns a Store with the same settings over another DB. Over a
// transaction of the host's, what the new Store writes is committed or rolled
// back with the rest of it, and nothing is tried again: if a statement fails,
// so does the transaction. Answers such as [keys.ErrExists] and
// [keys.ErrConflict] leave it usable.
//
// A write raises the transaction's synchronous_commit, as the package comment says.
// Take locks the bucket until the transaction ends, so call it outside. With panics
// if db is nil.
func (s *Store) With(db DB) *Store {
	if db == nil {
		panic("pgstore: With needs a database")
	}
	return &Store{db: db, settings: s.settings}
}

// settings are checked options.
type settings struct {
	schema   string
	mode     pgx.QueryExecMode
	syncTake bool
	sql      *statements
}

func newSettings(opts *Options) (settings, error) {
	if opts == nil {
		opts = new(Options)
	}
	s := settings{schema: opts.Schema, mode: opts.Mode, syncTake: opts.SyncTake}
	if s.schema == "" {
		s.schema = DefaultSchema
	}
	if !validSchema(s.schema) {
		return settings{}, fmt.Errorf("pgstore: schema %q is not a plain lower-case name", s.schema)
	}
	if s.mode < 0 || s.mode > pgx.QueryExecModeSimpleProtocol {
		return settings{}, fmt.Errorf("pgstore: unknown query exec mode %d", s.mode)
	}
	s.sql = newStatements(s.schema)
	return s, nil
}

// validSchema reports whether name is an identifier that means the same with
// and without quotes, and is no schema of the server's own.
func validSchema(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz_"
	return name != "" && len(name) <= 63 && !strings.HasPrefix(name, "pg_") &&
		strings.Contains(letters, name[:1]) && strings.Trim(name, letters+"0123456789") == ""
}

// args puts the mode before the arguments of a statement, where pgx looks for
// it.
func (s *settings) args(args ...any) []any {
	if s.mode == 0 {
		return args
	}
	return append([]any{s.mode}, args...)
}

// failed returns the error of a call to the driver.
func failed(call string, err error) error { return fmt.Errorf("pgstore: %s: %w", call, err) }
