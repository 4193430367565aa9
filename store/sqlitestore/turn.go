package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"

	"github.com/claviger-auth/claviger/keys"
)

// ErrBusy reports that a call waited for its turn as long as [Options.BusyTimeout]
// allows. Nothing was written. If it was another process that held the database, the
// error also wraps the driver's.
var ErrBusy = errors.New("sqlitestore: database is busy")

// until returns the time at which a call that begins now gives up waiting.
func (s *Store) until() time.Time { return time.Now().Add(s.busy) }

// write runs a statement that writes, and returns how many rows it changed. When
// it returns nil the change is on the disk.
func (s *Store) write(ctx context.Context, stmt *sql.Stmt, args ...any) (changed int64, err error) {
	run := func(stmt *sql.Stmt) error {
		result, err := stmt.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		changed, err = result.RowsAffected()
		return err
	}
	if tx := s.batchOf(ctx); tx != nil {
		err = wrap(run(tx.StmtContext(ctx, stmt)))
	} else if s.owns { // a statement is a transaction by itself
		err = s.alone(ctx, func() error { return run(stmt) })
	} else {
		err = s.transact(ctx, s.db, func(tx *sql.Tx) error { return run(tx.StmtContext(ctx, stmt)) })
	}
	return changed, err
}

// transact calls f in a transaction on db, and commits it. Nobody else writes
// meanwhile. If f returns an error, what it did is undone. It may be called again
// after it returned that the database is busy. Within a batch, what f does is a part
// of the batch's transaction.
func (s *Store) transact(ctx context.Context, db *sql.DB, f func(tx *sql.Tx) error) error {
	if tx := s.batchOf(ctx); tx != nil {
		return wrap(f(tx))
	}
	return s.alone(ctx, func() error { return s.attempt(ctx, db, f) })
}

// alone calls f, which writes, while no other call of the store writes. It repeats f
// as patiently does.
//
// SQLite has one writer at a time. Calls that wait for it inside SQLite sleep and try
// again, in no order. Of sixteen callers, some then waited for a second, and all
// together wrote less than half as much; with turns they wait for 25 ms.
func (s *Store) alone(ctx context.Context, f func() error) error {
	until := s.until()
	if err := s.turn(ctx, until); err != nil {
		return err
	}
	defer func() { <-s.writer }()
	return s.patiently(until, f)
}

// turn waits until no other call writes.
func (s *Store) turn(ctx context.Context, until time.Time) error {
	select {
	case s.writer <- struct{}{}:
		return nil
	default:
	}
	timeout := time.NewTimer(time.Until(until))
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

// attempt is transact for a caller that has the turn. It waits for SQLite's lock only
// for an instant.
func (s *Store) attempt(ctx context.Context, db *sql.DB, f func(tx *sql.Tx) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx, err := s.begin(ctx, conn)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after the commit
	if err := f(tx); err != nil {
		return err
	}
	err = tx.Commit()
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		return ctx.Err() // it ended, and so undid the transaction
	}
	return err
}

// begin starts a transaction that holds SQLite's lock for writers.
//
// While SQLite waits for a lock, it does not heed contexts, and the settings of a
// host's connection may let it wait for many seconds. So begin lowers the time that
// the connection waits until it has the lock.
func (s *Store) begin(ctx context.Context, conn *sql.Conn) (tx *sql.Tx, err error) {
	if s.owns { // Open made the settings
		return conn.BeginTx(ctx, nil)
	}
	// These statements wait for nobody. If their context could end, it would not be
	// known whether they were done.
	setting := context.WithoutCancel(ctx)
	var timeout int
	if err := conn.QueryRowContext(setting, "PRAGMA busy_timeout").Scan(&timeout); err != nil {
		return nil, err
	}
	if err := setBusyTimeout(setting, conn, instant); err != nil {
		return nil, err
	}
	defer func() {
		if restored := setBusyTimeout(setting, conn, timeout); restored != nil {
			if tx != nil {
				restored = errors.Join(restored, tx.Rollback())
			}
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // so that nobody else gets it
			tx, err = nil, errors.Join(err, restored)
		}
	}()
	if tx, err = conn.BeginTx(ctx, nil); err != nil {
		return nil, err
	}
	// Without _txlock=immediate, a transaction takes the lock at its first statement
	// that could write.
	if _, err = tx.StmtContext(ctx, s.stmts.lock).ExecContext(ctx); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// lockText changes nothing.
const lockText = "UPDATE claviger_epoch SET epoch = epoch WHERE false"

// instant is for how long SQLite itself waits for a lock, in milliseconds. It tries
// again after one, and after two more.
const instant = 3

func setBusyTimeout(ctx context.Context, conn *sql.Conn, ms int) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", ms))
	return err
}

// rows runs a query, and for each row stores the columns in dest and calls add.
func (s *Store) rows(ctx context.Context, stmt *sql.Stmt, args, dest []any, add func() error) error {
	var rows *sql.Rows
	err := s.patiently(s.until(), func() (err error) {
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

// patiently calls f, and calls it again for as long as it fails because another
// process holds a lock, which means that f did nothing. It gives up at the time until.
// When the context of f ends, f fails with another error, and that ends it too. The
// error is the one to return to the caller.
func (s *Store) patiently(until time.Time, f func() error) error {
	err := f()
	if !isBusy(err) {
		return wrap(err)
	}
	timeout := time.NewTimer(time.Until(until))
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

// wrap returns the error that callers see for one of the driver. If the driver found
// no row, and only then, it is [keys.ErrNotFound].
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
	const code = 5 // SQLITE_BUSY; higher bytes only say why
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == code
}
