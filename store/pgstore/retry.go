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
// nothing was done, and run calls f again, up to maxTries times in all and after
// random pauses. After other errors it may not be known what became of the statement,
// so run returns the error. It also does so in a transaction of the host's, since a
// repetition would lack what the host did in it before.
//
// Further tries are made under READ COMMITTED, which is all that the statements need.
// At the levels above it, which a host may have as its default, the server fails
// statements in place of letting them wait for other transactions.
//
// Within a batch, the statement is a part of the batch's transaction, and Batch tries
// again.
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

// read is run for a statement that changes nothing. If the connection was lost, read
// tries again at once, as often as there may be other lost connections. When a server
// ends all connections, or is restarted, the pool does not know that: each connection
// that was used a moment ago fails with the first statement that it gets. A connection
// that cannot be made is not tried again.
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

// others returns how often to try again after a connection was lost: once for each
// connection of the pool, which may be lost too, and once for a new one.
func others(db DB) int {
	switch db := db.(type) {
	case interface{ Stat() *pgxpool.Stat }: // a pool, or what wraps one
		return int(db.Stat().TotalConns()) + 1
	case interface{ Commit(context.Context) error }, interface{ Conn() *pgx.Conn }, interface{ PgConn() *pgconn.PgConn }:
		return 0 // a transaction, or one connection
	}
	return 1
}

// lost reports whether err says that a connection ended while it was in use, with a
// message of the server or without. 57P01 is admin_shutdown, 57P02 crash_shutdown,
// 57P05 idle_session_timeout, and 08P01 is what PgBouncer says.
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

// commit commits tx, unless ctx has ended: the driver would then close the connection,
// while rollBack keeps it.
func commit(ctx context.Context, tx pgx.Tx) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// rollBackTime bounds how long rolling back may take.
const rollBackTime = time.Second

// rollBack rolls tx back, and does nothing once tx is committed. It also does so when
// ctx has ended: otherwise the driver closes the connection, and the pool, and a pooler
// behind it, must make another one.
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
