package pgstore

import (
	"context"
	"errors"
	"fmt"
)

// Errors of [Store.Check].
var (
	// ErrSchema reports tables that are not there, or older than this package:
	// [Migrate] was not run.
	ErrSchema = errors.New("pgstore: tables are missing or too old")
	// ErrSettings reports a server that does not write, or with settings under
	// which it does not keep what it acknowledged, or not as it was given.
	ErrSettings = errors.New("pgstore: server settings are unfit")
)

// minServer is the oldest server that knows every word of the statements.
const minServer = 120000

// Check is for hosts to call when they start. It returns nil if the server can
// be relied on, and changes nothing:
//
//   - It is a primary; else the error is [ErrStandby].
//   - It is PostgreSQL 12 or later, with the encoding UTF8, with fsync and
//     full_page_writes on, and transactions may write; else the error wraps
//     [ErrSettings] and names the setting. The default of synchronous_commit
//     may be anything, since no write of a record goes by it.
//   - The tables have the version that this package works with, or a later
//     one; else the error wraps [ErrSchema].
//
// All other errors are those of the database.
func (s *Store) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return failed("check", err)
	}
	var standby, tables bool
	var readOnly, fsync, fullPages, encoding string
	var server int64
	err := s.run(ctx, func(db DB) error {
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
	return s.checkVersion(ctx)
}

// checkVersion is the part of Check that needs the tables.
func (s *Store) checkVersion(ctx context.Context) error {
	want, err := latest()
	if err != nil {
		return failed("check", err)
	}
	var version int64
	err = s.run(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.version, s.args()...).Scan(&version)
	})
	switch {
	case err != nil:
		return failed("check", err)
	case version < want:
		return fmt.Errorf("%w: they have version %d, want %d", ErrSchema, version, want)
	}
	return nil
}
