package servers_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// ask sends a line to a Redis server and returns the first line of the answer.
func ask(t *testing.T, s *servers.Server, line string) string {
	t.Helper()
	conn, err := net.Dial("unix", s.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\n", line)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

func TestRedis(t *testing.T) {
	t.Parallel()
	s, err := servers.Redis()
	servers.Require(t, err)
	if got := ask(t, s, "SET a 1"); got != "+OK" {
		t.Errorf("SET: %s", got)
	}
	s.Kill()
	if _, err := net.Dial("unix", s.Socket); err == nil {
		t.Error("a killed server answers")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, "EXISTS a"); got != ":1" {
		t.Errorf("what was acknowledged is gone: %s", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder stays: %v", err)
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("to start PostgreSQL takes a second")
	}
	s, err := servers.Postgres("max_connections=20")
	servers.Require(t, err)
	for range 2 {
		s.Stop()
		if _, err := net.Dial("unix", s.Socket); err == nil {
			t.Error("a server that was stopped answers")
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestStandby promotes a standby, which can be done once, and then runs without the
// server that it followed.
func TestStandby(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs two servers")
	}
	t.Parallel()
	primary, err := servers.Postgres()
	servers.Require(t, err)
	defer primary.Close()
	standby, err := primary.Standby()
	servers.Require(t, err)
	defer standby.Close()
	if err := primary.Promote(); err == nil {
		t.Error("a server that is no standby is promoted")
	}
	primary.Kill()
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(); err == nil {
		t.Error("a standby is promoted twice")
	}
	standby.Stop()
	if err := standby.Start(); err != nil {
		t.Error(err)
	}
	if _, err := primary.Standby(); err == nil {
		t.Error("a server that does not run has a standby")
	}
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	s, err := servers.Redis("--no-such-setting", "1")
	if err == nil {
		s.Close()
		t.Error("no error")
	}
}
