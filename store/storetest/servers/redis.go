package servers

import (
	"errors"
	"path/filepath"
)

// redisHow says how to get Redis.
const redisHow = "apt-get install redis-server, brew install redis, or the like"

// Redis starts an empty Redis (or Valkey) server that keeps an append-only file,
// synced at every write. Further settings are arguments of redis-server, such as
// "--maxmemory", "2mb", and win over these.
func Redis(settings ...string) (*Server, error) {
	program, err := find("redis-server", redisHow)
	if err != nil {
		if program, err = find("valkey-server", redisHow); err != nil {
			return nil, err
		}
	}
	s, err := newServer("claviger-redis")
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
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
