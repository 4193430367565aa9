package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"

	"github.com/claviger-auth/claviger/keys"
)

// ErrBusy reports that a call waited for its turn as long as the Options allow.
// Nothing was written. If another process held the database for so long, the
// error also wraps the driver's.
var ErrBusy = errors.New("sqlitestore: database is busy")

// write runs a statement that writes and returns how many rows it changed. The
// statement is its own transaction: when write returns nil, it is done, down to
// the disk.
//
// Calls take turns. SQLite has one writer at a time, and those that wait for it
// inside SQLite sleep and look again, in no order: of sixteen, some wait for a
// second where they wait for 25 ms here, and all of them get less than half done.
func (s *Store) write(ctx context.Context, stmt *sql.Stmt, args ...any) (changed int64, err error) {
	if err := s.turn(ctx); err != nil {
		return 0, err
	}
	defer func() { <-s.writer }()
	err = s.patiently(func() error {
		result, err := stmt.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		changed, err = result.RowsAffected()
		return err
	})
	return changed, err
}

// turn waits until no other call writes.
func (s *Store) turn(ctx context.Context) error {
	select {
	case s.writer <- struct{}{}:
		return nil
	default:
	}
	timeout := time.NewTimer(s.busy)
	defer timeout.Stop()
	select {
	case s.writer <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sqlitestore: waiting to write: %w", ctx.Err())
	case <-timeout.C:
		return fmt.Errorf("%w: other calls write", ErrBusy)
	}
}

// rows runs a query, and for each row stores the columns in dest and calls add.
func (s *Store) rows(ctx context.Context, stmt *sql.Stmt, args, dest []any, add func() error) error {
	var rows *sql.Rows
	err := s.patiently(func() (err error) {
		rows, err = stmt.QueryContext(ctx, args...)
		return err
	})
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return wrap(err)
		}
		if err := add(); err != nil {
			return err
		}
	}
	return wrap(rows.Err())
}

// patiently calls f, which does nothing while another process holds a lock that
// it needs, until it is done, or fails, as it does when its context ends, or has
// waited for too long. The error is the one to return to the caller.
//
// SQLite waits too, but knows no context: with a busy timeout of five seconds a
// request that has one second left comes back after five. So the connections of
// Open wait in SQLite for an instant, and the rest of the time is spent here.
func (s *Store) patiently(f func() error) error {
	err := f()
	if !isBusy(err) {
		return wrap(err)
	}
	timeout := time.NewTimer(s.busy)
	defer timeout.Stop()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for isBusy(err) {
		select {
		case <-pause.C:
			err = f()
		case <-timeout.C:
			return fmt.Errorf("%w: another process writes: %w", ErrBusy, err)
		}
	}
	return wrap(err)
}

// wrap returns what callers see of an error of the driver. The answer that there
// is no row, and no other, becomes [keys.ErrNotFound].
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return keys.ErrNotFound
	}
	return fmt.Errorf("sqlitestore: %w", err)
}

// isBusy reports whether err says that another connection holds a lock.
func isBusy(err error) bool {
	if err == nil {
		return false
	}
	const code = 5 // SQLITE_BUSY; what is above the lowest byte says more
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == code
}
