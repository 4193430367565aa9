package servers

import (
	"bufio"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// redisHow says how to get Redis.
const redisHow = "apt-get install redis-server, brew install redis, or the like"

// Redis starts an empty Redis (or Valkey) server with an append-only file that is
// synced at every write. The settings are further arguments of redis-server, such as
// "--maxmemory", "2mb". They override the others. The files are in memory if the system
// has a place for that, since a disk that is busy can keep a server from answering for
// seconds.
func Redis(settings ...string) (*Server, error) {
	program, err := find("redis-server", redisHow)
	if err != nil {
		if program, err = find("valkey-server", redisHow); err != nil {
			return nil, err
		}
	}
	s, err := newServer(inMemory(), "claviger-redis")
	if err != nil {
		return nil, err
	}
	s.program = program
	s.Socket = filepath.Join(s.Dir, "redis.sock")
	s.DSN = "unix://" + s.Socket
	s.args = append([]string{
		"--port", "0", "--unixsocket", s.Socket, "--unixsocketperm", "777", "--dir", s.Dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "",
	}, settings...)
	s.ready = func() bool { return pong(s.Socket) }
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// pong reports whether a server answers, and is not still reading its data.
func pong(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	_, err1 := io.WriteString(conn, "PING\r\n")
	answer, err2 := bufio.NewReader(conn).ReadString('\n')
	return err1 == nil && err2 == nil && !strings.HasPrefix(answer, "-LOADING")
}
