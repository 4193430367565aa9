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
	s.settings = settings
	s.serveFrom(data)
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// serveFrom says from which folder a PostgreSQL server serves.
func (s *Server) serveFrom(data string) {
	s.args = []string{"-D", data}
	for _, setting := range append(s.settings, "listen_addresses=", "unix_socket_directories="+s.Dir, "logging_collector=off") {
		s.args = append(s.args, "-c", setting)
	}
	s.Socket = filepath.Join(s.Dir, ".s.PGSQL.5432")
	s.DSN = "postgres:///postgres?host=" + s.Dir + "&user=postgres"
	s.ready = func() bool {
		// The line of the status is the last one, and PostgreSQL's own tools
		// wait for it in this way too. It says standby on a standby.
		status, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		return err == nil && strings.HasPrefix(string(status), strconv.Itoa(s.PID())+"\n") &&
			(strings.Contains(string(status), "\nready") || strings.Contains(string(status), "\nstandby"))
	}
}

// Standby starts a streaming standby of a running PostgreSQL server, with the
// settings of that.
func (s *Server) Standby() (*Server, error) {
	program, err := find("pg_basebackup", postgresHow, "/usr/lib/postgresql/*/bin/pg_basebackup")
	if err != nil {
		return nil, err
	}
	standby, err := newServer("claviger-standby")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(standby.Dir, "data")
	backup := exec.Command(program, "-D", data, "-h", s.Dir, "-U", "postgres", "-R", "-c", "fast", "--no-sync")
	backup.Dir = standby.Dir
	backup.SysProcAttr = attributes(standby.as)
	if out, err := backup.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("servers: pg_basebackup: %w: %s", err, out), os.RemoveAll(standby.Dir))
	}
	standby.program, standby.settings = s.program, s.settings
	standby.serveFrom(data)
	if err := standby.Start(); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	return standby, nil
}

// Promote makes a standby a server that writes, and returns when it is one.
func (s *Server) Promote() error {
	program, err := find("pg_ctl", postgresHow, "/usr/lib/postgresql/*/bin/pg_ctl")
	if err != nil {
		return err
	}
	data := filepath.Join(s.Dir, "data")
	promote := exec.Command(program, "promote", "-D", data)
	promote.Dir = s.Dir
	promote.SysProcAttr = attributes(s.as)
	if out, err := promote.CombinedOutput(); err != nil {
		return fmt.Errorf("servers: pg_ctl promote: %w: %s", err, out)
	}
	return nil
}
