package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// pairs are stores with a second server that can take over. Promote makes it do so,
// and loses nothing that the first server has acknowledged.
var pairs = []struct {
	name string
	open func(t *testing.T) (dsn string, promote func() error)
}{
	{"postgres", postgresPair},
	{"redis", redisPair},
}

// postgresPair is a primary and a synchronous standby, both of which the program is
// told of. The primary is killed, and the standby promoted.
func postgresPair(t *testing.T) (string, func() error) {
	t.Helper()
	primary, err := servers.Postgres()
	servers.Require(t, err)
	t.Cleanup(func() { _ = primary.Close() })
	standby, err := primary.Standby()
	servers.Require(t, err)
	t.Cleanup(func() { _ = standby.Close() })
	// Only now, so that the standby does not wait for another one when it is promoted.
	conn, err := pgx.Connect(t.Context(), primary.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	dsn := "postgres:///postgres?" + url.Values{
		"host":                 {primary.Dir + "," + standby.Dir},
		"port":                 {"5432,5432"},
		"user":                 {"postgres"},
		"target_session_attrs": {"read-write"},
	}.Encode()
	return dsn, func() error {
		primary.Kill()
		return standby.Promote()
	}
}

// redisPair is a primary and a replica, and a path that leads to the one that is the
// primary, as a host name does. The two change places in good order: what is not on
// the replica yet is waited for.
func redisPair(t *testing.T) (string, func() error) {
	t.Helper()
	start := func(settings ...string) (s *servers.Server, port string) {
		var err error
		for range 20 { // another program may take the port first
			var l net.Listener
			if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			_, port, _ = net.SplitHostPort(l.Addr().String())
			_ = l.Close()
			if s, err = servers.Redis(append(settings, "--bind", "127.0.0.1", "--port", port)...); err == nil || errors.Is(err, servers.ErrNotInstalled) {
				break
			}
		}
		servers.Require(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s, port
	}
	primary, port := start("--repl-diskless-sync-delay", "0")
	replica, other := start("--replicaof", "127.0.0.1 "+port)
	path := filepath.Join(filepath.Dir(primary.Dir), filepath.Base(primary.Dir)+".now")
	if err := os.Symlink(primary.Socket, path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: primary.Socket})
	t.Cleanup(func() { _ = client.Close() })
	promoted := redis.NewClient(&redis.Options{Network: "unix", Addr: replica.Socket})
	t.Cleanup(func() { _ = promoted.Close() })
	return "unix://" + path, func() error {
		if err := client.Do(t.Context(), "FAILOVER", "TO", "127.0.0.1", other).Err(); err != nil {
			return err
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) { // by the servers' own clock
			role, err := promoted.Do(t.Context(), "ROLE").Slice()
			if err == nil && role[0] == "master" {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("the replica is %v, %w", role, err)
			}
		}
		next := path + ".next"
		if err := os.Symlink(replica.Socket, next); err != nil {
			return err
		}
		return os.Rename(next, path)
	}
}

// TestNodesPromoted has another server take over from the one that three processes
// with caches use. What was ended before that stays ended on all of them, and so is
// what is ended meanwhile and afterwards.
func TestNodesPromoted(t *testing.T) {
	if os.Getenv("CLAVIGER_LONG") == "" {
		t.Skip("each promotion takes six seconds and more: set CLAVIGER_LONG")
	}
	t.Parallel()
	for _, tt := range pairs {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dsn, promote := tt.open(t)
			f := startFleet(t, dsn)
			f.end(len(ways), nil)
			f.endDuring(fault{"a promotion", promote}, 3*len(ways))
			f.end(len(ways), nil)
			f.endedInAllWays()
			t.Logf("ended %v", f.ended)
		})
	}
}
