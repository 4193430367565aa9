package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Errors of [Store.Check] and [Migrate].
var (
	// ErrSchema reports tables that are not there, or older than this package:
	// [Migrate] was not run; or tables that are newer, which this package does
	// not know.
	ErrSchema = errors.New("pgstore: unfit tables")
	// ErrSettings reports a server that does not write, or with settings under
	// which it does not keep what it acknowledged, or not as it was given; or a
	// way to it on which statements get lost.
	ErrSettings = errors.New("pgstore: unfit settings")
)

// minServer is the oldest server that knows every word of the statements and of
// the migrations.
const minServer = 130000

// Check is for hosts to call when they start. It returns nil if the server can
// be relied on, and changes nothing:
//
//   - It is a primary; else the error is [ErrStandby].
//   - It is PostgreSQL 13 or later, with the encoding UTF8, with fsync and
//     full_page_writes on, and transactions may write; else the error wraps
//     [ErrSettings] and names the setting. The default of synchronous_commit
//     may be anything, since no write of a record goes by it.
//   - The tables have the version that this package works with; else the error
//     wraps [ErrSchema]. So it does if the role lacks the rights that every
//     process needs on the tables of the feed, see the comment of the package.
//   - Statements can be sent as [Options].Mode says. Behind a pooler that hands
//     out connections for one transaction each, and knows nothing of prepared
//     statements, they cannot, and all goes well until two clients are busy at
//     the same time: then the error wraps [ErrSettings] and says what to set.
//     Check finds that out with two connections of the pool. If the pool has
//     one, or the DB is a connection, it may not notice.
//
// All other errors are those of the database.
func (s *Store) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return failed("check", err)
	}
	plain := s.unprepared()
	if err := plain.checkServer(ctx); err != nil {
		return err
	}
	if err := plain.checkVersion(ctx); err != nil {
		return err
	}
	return s.checkSessions(ctx)
}

// unprepared returns s with statements that are never prepared by name, so that
// they can be sent over any pooler.
func (s *Store) unprepared() *Store {
	plain := *s
	if plain.mode != pgx.QueryExecModeSimpleProtocol {
		plain.mode = pgx.QueryExecModeExec
	}
	return &plain
}

// checkServer is the part of Check that asks for settings.
func (s *Store) checkServer(ctx context.Context) error {
	var standby, tables bool
	var readOnly, fsync, fullPages, encoding string
	var server int64
	err := s.read(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.settings, s.args(s.schema+".migrations")...).
			Scan(&standby, &readOnly, &fsync, &fullPages, &encoding, &server, &tables)
	})
	switch {
	case err != nil:
		return failed("check", err)
	case standby:
		return ErrStandby
	case readOnly != "off":
		return fmt.Errorf("%w: transactions are read-only", ErrSettings)
	case fsync != "on" || fullPages != "on":
		return fmt.Errorf("%w: fsync is %s and full_page_writes is %s, want on and on", ErrSettings, fsync, fullPages)
	case encoding != "UTF8":
		return fmt.Errorf("%w: encoding is %s, want UTF8", ErrSettings, encoding)
	case server < minServer:
		return fmt.Errorf("%w: version is %d, want %d or later", ErrSettings, server, minServer)
	case !tables:
		return fmt.Errorf("%w: there are none in schema %q", ErrSchema, s.schema)
	}
	return nil
}

// checkVersion is the part of Check that needs the tables.
func (s *Store) checkVersion(ctx context.Context) error {
	want, err := latest()
	if err != nil {
		return failed("check", err)
	}
	var version int64
	err = s.read(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.version, s.args()...).Scan(&version)
	})
	switch {
	case err != nil:
		return failed("check", err)
	case version != want:
		return unfit(version, want)
	}
	var missing string
	err = s.read(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.rights, s.args(s.schema+".announcements", s.schema+".feed")...).Scan(&missing)
	})
	switch {
	case err != nil:
		return failed("check", err)
	case missing != "":
		return fmt.Errorf("%w: the role lacks the rights %s", ErrSchema, missing)
	}
	return nil
}

// unfit returns the error of tables that have another version than they should.
func unfit(version, want int64) error {
	return fmt.Errorf("%w: they have version %d, and this release works with %d", ErrSchema, version, want)
}
