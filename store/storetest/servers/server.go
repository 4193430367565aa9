// Package servers starts private database servers for tests, with the PostgreSQL and
// the Redis that are installed. They use Unix sockets in a temporary folder, so that
// ports never clash and nothing is shared with other servers on the machine.
//
// A test binary starts one server, and gives each test a schema or a key prefix of its
// own. A test of failures starts a server of its own, ends it with [Server.Kill], and
// starts it again with [Server.Start]. On Linux, servers end with the process that
// started them, even if that is killed.
package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// ErrNotInstalled reports that the server's programs are not on the machine.
// The error that wraps it says how to get them.
var ErrNotInstalled = errors.New("servers: not installed")

// Require ends a test whose server could not be started. If the server is not
// installed, the test is skipped with a message that says how to get it, but fails if
// the environment has CI. In all other cases it fails.
func Require(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrNotInstalled) && os.Getenv("CI") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// A Server is one private server. Its methods are for one goroutine at a time.
type Server struct {
	// Dir is the folder of the server's data and its socket, removed by Close.
	Dir string
	// Socket is the path of the Unix socket.
	Socket string
	// DSN is the URL or the connection string by which clients reach it.
	DSN string

	program  string
	args     []string
	settings []string // of PostgreSQL
	as       *owner
	ready    func() bool // reports whether clients are served
	cmd      *exec.Cmd
	done     chan struct{} // closed when cmd has ended
}

// Start starts the server again after [Server.Kill] or [Server.Stop], with the
// data that it had, and returns when it serves clients.
func (s *Server) Start() error {
	log, err := os.OpenFile(filepath.Join(s.Dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.program, s.args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.Dir, log, log
	s.cmd.SysProcAttr = attributes(s.as)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) { _ = cmd.Wait(); close(done) }(s.cmd, s.done)
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.ready() {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.done:
			return fmt.Errorf("servers: %s ended at once: %s", filepath.Base(s.program), s.log())
		case <-deadline:
			return fmt.Errorf("servers: %s does not get ready: %s", filepath.Base(s.program), s.log())
		}
	}
}

// Kill ends the server as a crash does, and returns when it has ended.
func (s *Server) Kill() { s.signal(os.Kill) }

// Stop shuts the server down in an orderly way, without waiting for its clients, and
// returns when it has ended.
func (s *Server) Stop() { s.signal(os.Interrupt) }

func (s *Server) signal(sig os.Signal) {
	_ = s.cmd.Process.Signal(sig) // it may have ended by itself
	<-s.done
}

// Close ends the server and removes its data.
func (s *Server) Close() error {
	if s.cmd != nil && s.cmd.Process != nil {
		s.Kill()
	}
	return os.RemoveAll(s.Dir)
}

// PID returns the process ID of the running server.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// log returns the end of the server's log.
func (s *Server) log() string {
	text, err := os.ReadFile(filepath.Join(s.Dir, "server.log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// An owner is the user that a server runs as.
type owner struct{ uid, gid uint32 }

// newServer makes the folder of a server in base, or in that for temporary files if base
// is empty. If the process is root, the folder and the server belong to another user:
// PostgreSQL refuses to run as root.
func newServer(base, name string) (*Server, error) {
	dir, err := os.MkdirTemp(base, name)
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir}
	if os.Geteuid() != 0 {
		return s, nil
	}
	for _, candidate := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(candidate)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		s.as = &owner{uint32(uid), uint32(gid)}
		return s, nil
	}
	return nil, errors.Join(errors.New("servers: no user to run the server as"), os.RemoveAll(dir))
}

// find returns the path of a program, from the search path or one of the other
// places in which systems keep it.
func find(program, how string, places ...string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, pattern := range places {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%w: %s; %s", ErrNotInstalled, program, how)
}
