package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errPooler reports a pooler that loses prepared statements.
var errPooler = fmt.Errorf("%w: a pooler gives the server's connections to other clients between transactions, "+
	"and prepared statements are lost by that: set Options.Mode to pgx.QueryExecModeExec, "+
	"or default_query_exec_mode=exec in the connection string", ErrSettings)

// sessionRounds is how often each connection runs what it has prepared.
const sessionRounds = 8

// checkSessions is the part of Check that needs two connections. Each prepares a
// statement under the same name, as the driver does with the statements of a store,
// and they run it in turn. If each connection has a session of the server to itself,
// or the pooler keeps track of what clients prepare, each runs its own statement. If
// not, the name is taken when the second one prepares, or one of them runs the other's
// statement, or finds none.
func (s *Store) checkSessions(ctx context.Context) error {
	pool, ok := s.db.(interface {
		Acquire(context.Context) (*pgxpool.Conn, error)
		Stat() *pgxpool.Stat
	})
	if !ok || pool.Stat().MaxConns() < 2 {
		return nil
	}
	var sessions [2]*pgconn.PgConn
	var name string
	for i := range sessions {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return failed("check", err)
		}
		defer conn.Release()
		mode := s.mode
		if mode == 0 {
			mode = conn.Conn().Config().DefaultQueryExecMode
		}
		switch mode {
		case pgx.QueryExecModeCacheStatement:
			name = "claviger_check_" + rand.Text()
		case pgx.QueryExecModeDescribeExec: // prepares without a name, and runs that a round trip later
		default:
			return nil
		}
		sessions[i] = conn.Conn().PgConn()
	}
	return askSessions(ctx, sessions, name)
}

func askSessions(ctx context.Context, sessions [2]*pgconn.PgConn, name string) error {
	for i, session := range sessions {
		if _, err := session.Prepare(ctx, name, "SELECT "+strconv.Itoa(i), nil); err != nil {
			return misprepared(err)
		}
		if name != "" {
			defer session.Deallocate(ctx, name) // the connection goes on with or without it
		}
	}
	// Each runs twice in a row, so that the check works whether the pooler hands out
	// the session that was used last, or the one that has been idle for longest.
	for round := range sessionRounds {
		i := round / 2 % 2
		result := sessions[i].ExecPrepared(ctx, name, nil, nil, nil).Read()
		if result.Err != nil {
			return misprepared(result.Err)
		}
		if len(result.Rows) != 1 || string(result.Rows[0][0]) != strconv.Itoa(i) {
			return errPooler
		}
	}
	return nil
}

// misprepared returns errPooler if err says that the session has a statement of
// that name already, has none, or has one with other parameters: 42P05 is
// duplicate_prepared_statement, 26000 invalid_sql_statement_name, and 08P01
// protocol_violation.
func misprepared(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) && (e.Code == "42P05" || e.Code == "26000" || e.Code == "08P01") {
		return errPooler
	}
	return failed("check", err)
}
