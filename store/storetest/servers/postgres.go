package servers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing/fstest"
)

// postgresHow says how to get PostgreSQL.
const postgresHow = "apt-get install postgresql, brew install postgresql, or the like"

// Postgres starts a PostgreSQL server with an empty database. It is as durable as
// PostgreSQL is by default. The settings, such as "max_connections=20", cannot override
// those that make the server private.
func Postgres(settings ...string) (*Server, error) {
	postgres, err := find("postgres", postgresHow, "/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return nil, err
	}
	s, err := newServer("", "claviger-postgres")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(s.Dir, "data")
	if err := fill(s, data); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.Dir))
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
	private := []string{
		"listen_addresses=", "unix_socket_directories=" + s.Dir, "logging_collector=off",
		"dynamic_shared_memory_type=mmap", // files in data, of which a server that is killed leaves none elsewhere
	}
	for _, setting := range append(s.settings, private...) {
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
	standby, err := newServer("", "claviger-standby")
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

// Promote makes a standby a primary, and returns when it accepts writes.
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

// fill writes the data of a new server into a folder.
func fill(s *Server, data string) error {
	files, err := initialized()
	if err != nil {
		return err
	}
	if err := os.CopyFS(data, files); err != nil {
		return err
	}
	return filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o700) // PostgreSQL refuses folders that others may read
		}
		if err == nil && s.as != nil {
			err = os.Lchown(path, int(s.as.uid), int(s.as.gid))
		}
		return err
	})
}

// initialized returns the data of a new server. Initdb takes about a second of a
// processor, so it runs once, and what it made is kept in memory: some 40 MB.
var initialized = sync.OnceValues(func() (fstest.MapFS, error) {
	initdb, err := find("initdb", postgresHow, "/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return nil, err
	}
	s, err := newServer("", "claviger-initdb")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(s.Dir)
	data := filepath.Join(s.Dir, "data")
	cmd := exec.Command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	cmd.Dir = s.Dir
	cmd.SysProcAttr = attributes(s.as)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("servers: initdb: %w: %s", err, out)
	}
	files := make(fstest.MapFS)
	return files, filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			files[name] = &fstest.MapFile{Mode: fs.ModeDir | 0o700}
			return nil
		}
		text, err := os.ReadFile(path)
		files[name] = &fstest.MapFile{Data: text, Mode: 0o600}
		return err
	})
})
