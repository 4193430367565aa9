package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// maxTries bounds how often a statement is run that a conflict with another
	// transaction rolled back.
	maxTries = 5
	// firstPause bounds the wait before the second try. The bound doubles.
	firstPause = 2 * time.Millisecond
)

// run calls f, which runs one statement and returns the driver's error. If the
// server rolled the statement back because of what others did at the same time,
// it is as if it had never been sent, and run calls f again, up to maxTries
// times in all and after random pauses. After other errors, it may be unknown
// what became of the statement, and within a transaction of the host's the rest
// of it would be missing: then run returns the error.
//
// Further tries are made under READ COMMITTED. That is all that the statements
// need, and unlike the levels above it, which a host may have as its default, it
// waits for other transactions in place of failing because of them.
//
// Within a batch f is a part of it, and Batch tries again.
func (s *Store) run(ctx context.Context, f func(DB) error) error {
	if db := s.batchOf(ctx); db != nil {
		return f(db)
	}
	err := f(s.db)
	for try := 1; try < maxTries && rolledBack(err) && !joined(s.db); try++ {
		if pause(ctx, firstPause<<(try-1)) != nil {
			return err
		}
		err = readCommitted(ctx, s.db, f)
	}
	return err
}

// read is run for a statement that changes nothing. If the connection was lost
// it is tried again, at once, as often as there may be other connections that
// were lost with it: when a server ends all of them, or is restarted, each
// connection of a pool that was in use a moment ago is found out by the statement
// that it is given. A connection that cannot be made is not tried again.
func (s *Store) read(ctx context.Context, f func(DB) error) error {
	err := s.run(ctx, f)
	if !lost(err) {
		return err
	}
	for more := others(s.db); more > 0 && lost(err) && ctx.Err() == nil; more-- {
		err = s.run(ctx, f)
	}
	return err
}

// others returns how many more connections db has, at most, than the one that was
// lost: those that may be lost too, and one that is new.
func others(db DB) int {
	switch db := db.(type) {
	case interface{ Stat() *pgxpool.Stat }: // a pool, or what wraps one
		return int(db.Stat().TotalConns()) + 1
	case interface{ Commit(context.Context) error }, interface{ Conn() *pgx.Conn }, interface{ PgConn() *pgconn.PgConn }:
		return 0 // a transaction, or one connection
	}
	return 1
}

// lost reports whether err says that a connection ended while it was in use: the
// server said why, or it just went away. 57P01 is admin_shutdown, 57P02
// crash_shutdown, 57P05 idle_session_timeout, and 08P01 is what PgBouncer says.
func lost(err error) bool {
	var e *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &connect):
		return false
	case errors.As(err, &e):
		return e.Code == "57P01" || e.Code == "57P02" || e.Code == "57P05" || e.Code == "08P01"
	}
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed, pgconn.ErrConnClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// rolledBack reports whether err says that the server undid the statement and
// that it may go well if it is run again: 40001 is serialization_failure, and
// 40P01 deadlock_detected.
func rolledBack(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// readCommitted calls f in a transaction of its own.
func readCommitted(ctx context.Context, db DB, f func(DB) error) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer rollBack(ctx, tx)
	if _, err := tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"); err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return err
	}
	return commit(ctx, tx)
}

// commit commits tx, unless ctx has ended: then the driver would give the connection
// up, and rollBack does not.
func commit(ctx context.Context, tx pgx.Tx) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// rollBackTime is how long rolling back may take, which frees the connection.
const rollBackTime = time.Second

// rollBack rolls tx back, which is no more than a formality once it is committed. It
// does so when ctx has ended, too: a connection that is given up in the middle of a
// transaction costs the pool, and a pooler behind it, another one.
func rollBack(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollBackTime)
	defer cancel()
	_ = tx.Rollback(ctx)
}

// joined reports whether db is in a transaction of the host's.
func joined(db DB) bool {
	switch db := db.(type) {
	case interface{ Commit(context.Context) error }: // a pgx.Tx, or what wraps one
		return true
	case interface{ Conn() *pgx.Conn }:
		return db.Conn().PgConn().TxStatus() != 'I'
	case interface{ PgConn() *pgconn.PgConn }:
		return db.PgConn().TxStatus() != 'I'
	}
	return false
}

// pause waits for a random time up to most, or until ctx ends, and returns the
// error of ctx.
func pause(ctx context.Context, most time.Duration) error {
	var b [1]byte
	rand.Read(b[:])
	t := time.NewTimer(most * time.Duration(b[0]) / 255)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
