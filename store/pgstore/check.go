package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Errors of [Store.Check] and [Migrate].
var (
	// ErrSchema reports tables that are missing or older than this package, since
	// [Migrate] was not run, or newer, or rights on them that the role lacks.
	ErrSchema = errors.New("pgstore: unfit tables")
	// ErrSettings reports a server that does not write, that may lose what it
	// acknowledged, or sessions or a server that change text, or a pooler that loses
	// statements.
	ErrSettings = errors.New("pgstore: unfit settings")
)

// minServer is the oldest server that knows every word of the statements and of
// the migrations.
const minServer = 130000

// Check checks whether the server can be relied on. Hosts call it when they start. It
// changes nothing, and returns nil if all of this is so:
//
//   - It is a primary; else the error is [ErrStandby].
//   - It is PostgreSQL 13 or later, with the encoding UTF8, with fsync and
//     full_page_writes on, and transactions may write; else the error wraps
//     [ErrSettings] and names the setting. The default of synchronous_commit
//     may be anything, since no write of a record depends on it.
//   - The session's client_encoding is UTF8, as the driver takes for granted, or
//     SQL_ASCII, which converts nothing; else the error wraps [ErrSettings]. A role
//     or a database can have another default. Names with letters beyond ASCII would
//     then be other names in the database, and for processes with another setting.
//   - The tables have the version that this package works with, and the role has
//     the rights on the tables of the feed that every process needs; else the
//     error wraps [ErrSchema]. The package comment lists the rights.
//   - Statements can be sent as [Options].Mode says; else the error wraps
//     [ErrSettings] and says what to set. The reason is a pooler that hands out
//     connections for one transaction each, and does not know of prepared
//     statements: statements then fail as soon as two clients are busy at the
//     same time. Check finds that out with two connections of the pool. If the
//     pool has one, or the DB is a connection, it may not notice.
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
	var readOnly, fsync, fullPages, encoding, client string
	var server int64
	err := s.read(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.settings, s.args(s.schema+".migrations")...).
			Scan(&standby, &readOnly, &fsync, &fullPages, &encoding, &client, &server, &tables)
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
	case client != "UTF8" && client != "SQL_ASCII": // for which the server converts nothing
		return fmt.Errorf("%w: client_encoding is %s, want UTF8", ErrSettings, client)
	case server < minServer:
		return fmt.Errorf("%w: version is %d, want %d or later", ErrSettings, server, minServer)
	case !tables:
		return fmt.Errorf("%w: there are none in schema %q; call Migrate first", ErrSchema, s.schema)
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

// unfit returns the error of tables that have another version than they should, and says
// what to do.
func unfit(version, want int64) error {
	advice := "call Migrate first"
	if version > want {
		advice = "they need a newer release"
	}
	return fmt.Errorf("%w: they have version %d, and this release works with %d; %s", ErrSchema, version, want, advice)
}
