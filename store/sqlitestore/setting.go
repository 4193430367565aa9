package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// checked is how many connections of a pool New looks at. A setting that was made on
// one connection, and not in the DSN, is missing on the next one.
const checked = 3

// A setting is a pragma of a connection that a promise rests on.
type setting struct {
	pragma string
	good   []string // the values with which the promise holds; if nil, all but 0
	want   string
	why    string
}

func (s *setting) holds(got string) bool {
	if s.good == nil {
		return got != "0"
	}
	return slices.Contains(s.good, got)
}

var settings = []setting{
	{"journal_mode", []string{"wal"}, "WAL", "else readers and writers wait for each other"},
	{"synchronous", []string{"2", "3"}, "FULL or EXTRA", "else a power cut undoes what was acknowledged"},
	{"busy_timeout", nil, "1 ms or more", "else the host's own statements fail while another process writes"},
	{"foreign_keys", []string{"1"}, "ON", "else notes of uses outlive the tokens"},
	{"encoding", []string{"UTF-8"}, "UTF-8", "else IDs are not in the order of their bytes"},
	{"locking_mode", []string{"normal"}, "NORMAL", "else other processes are locked out"},
	{"query_only", []string{"0"}, "OFF", "else nothing can be written"},
	{"read_uncommitted", []string{"0"}, "OFF", "else writes are seen that may yet be undone"},
}

// checkSettings returns an error if a setting is wrong on one of several connections.
func checkSettings(ctx context.Context, db *sql.DB) error {
	n := checked
	if most := db.Stats().MaxOpenConnections; most > 0 {
		n = min(n, most)
	}
	for i := range n {
		conn, err := db.Conn(ctx)
		if err != nil {
			return fmt.Errorf("sqlitestore: %w", err)
		}
		defer conn.Close() // only at the end, so that the pool gives another one each time
		if err := checkConnection(ctx, conn); err != nil {
			return fmt.Errorf("sqlitestore: connection %d of %d: %w", i+1, n, err)
		}
	}
	return nil
}

// checkConnection returns an error for the first setting that is wrong.
func checkConnection(ctx context.Context, conn *sql.Conn) error {
	for _, s := range settings {
		var got string
		if err := conn.QueryRowContext(ctx, "PRAGMA "+s.pragma).Scan(&got); err != nil {
			return err
		}
		if !s.holds(got) {
			return fmt.Errorf("%s is %s, want %s, %s; set it in the DSN, which all connections share", s.pragma, got, s.want, s.why)
		}
	}
	return nil
}
