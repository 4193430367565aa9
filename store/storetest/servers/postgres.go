package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// postgresHow says how to get PostgreSQL.
const postgresHow = "apt-get install postgresql, brew install postgresql, or the like"

// Postgres starts a PostgreSQL server with an empty database, durable as
// PostgreSQL is by default. Further settings, such as "max_connections=20", go
// before those that are needed to be private.
func Postgres(settings ...string) (*Server, error) {
	initdb, err := find("initdb", postgresHow, "/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return nil, err
	}
	postgres, err := find("postgres", postgresHow, "/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return nil, err
	}
	s, err := newServer("claviger-postgres")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(s.Dir, "data")
	init := exec.Command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	init.Dir = s.Dir
	init.SysProcAttr = attributes(s.as)
	if out, err := init.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("servers: initdb: %w: %s", err, out), os.RemoveAll(s.Dir))
	}
	s.program = postgres
	s.args = []string{"-D", data}
	for _, setting := range append(settings, "listen_addresses=", "unix_socket_directories="+s.Dir, "logging_collector=off") {
		s.args = append(s.args, "-c", setting)
	}
	s.Socket = filepath.Join(s.Dir, ".s.PGSQL.5432")
	s.DSN = "postgres:///postgres?host=" + s.Dir + "&user=postgres"
	s.ready = func() bool {
		// The line of the status is the last one, and PostgreSQL's own tools
		// wait for it in this way too.
		status, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		return err == nil && strings.HasPrefix(string(status), strconv.Itoa(s.PID())+"\n") && strings.Contains(string(status), "\nready")
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
