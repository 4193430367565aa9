package redisstore_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// onTCP starts a server on a port of its own, and returns it and its address.
func onTCP(t *testing.T, settings ...string) (*servers.Server, string) {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs servers of its own")
	}
	var err error
	for range 20 { // another may have taken the port
		var port int
		port, err = freePort()
		must(t, err)
		var s *servers.Server
		if s, err = servers.Redis(append([]string{"--bind", "127.0.0.1", "--port", fmt.Sprint(port)}, settings...)...); err == nil {
			t.Cleanup(func() { _ = s.Close() })
			return s, fmt.Sprint("127.0.0.1:", port)
		}
		if errors.Is(err, servers.ErrNotInstalled) {
			break
		}
	}
	servers.Require(t, err)
	return nil, ""
}

// sentinel starts a Sentinel that watches a primary, and returns its address.
func sentinel(t *testing.T, primary string) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip(err)
	}
	for range 20 {
		port, err := freePort()
		must(t, err)
		conf := filepath.Join(t.TempDir(), "sentinel.conf")
		text := fmt.Sprintf("bind 127.0.0.1\nport %d\nsentinel monitor main %s 1\nsentinel down-after-milliseconds main 60000\n",
			port, strings.Replace(primary, ":", " ", 1))
		must(t, os.WriteFile(conf, []byte(text), 0o600))
		cmd := exec.Command(program, conf, "--sentinel")
		must(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			<-ended
			ended <- nil // the test may not have
		})
		addr := fmt.Sprint("127.0.0.1:", port)
		c := redis.NewSentinelClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = c.Close() })
		knows := make(chan bool, 1)
		go func() {
			for {
				if replicas, err := c.Replicas(t.Context(), "main").Result(); err == nil && len(replicas) == 1 {
					knows <- true
					return
				}
				select {
				case <-t.Context().Done():
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}()
		select {
		case <-knows:
			return addr
		case err := <-ended: // the port was taken
			ended <- err
		case <-time.After(patience):
			t.Fatal("Sentinel does not find the replica")
		}
	}
	t.Fatal("Sentinel does not start")
	return ""
}

// TestSentinel has Sentinel fail over from a primary that lives on. Sentinel demotes
// that only ten seconds later. But it has lost its replica, so it may not write; and
// so a client gets no answer from it that is out of date, and finds the new one by
// itself.
func TestSentinel(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	primary, first := onTCP(t, "--repl-diskless-sync-delay", "0", "--min-replicas-to-write", "1")
	_, second := onTCP(t, "--replicaof", strings.Replace(first, ":", " ", 1))
	// Sentinel learns of replicas at once, or ten seconds later.
	recovers(t, "replication", func() error {
		return open(t, connect(t, primary.Socket), redisstore.Options{Replicas: 1}).Check(ctx)
	})
	watcher := sentinel(t, first)
	set := &redis.FailoverOptions{
		MasterName: "main", SentinelAddrs: []string{watcher}, ContextTimeoutEnabled: true,
	}
	host := redis.NewFailoverClient(set)
	t.Cleanup(func() { _ = host.Close() })
	s := open(t, host, redisstore.Options{Timeout: 10 * time.Second})
	sv := serve(t, s)
	id, text := sv.issue(t)
	must(t, sv.verify(ctx, text))
	must(t, host.Do(ctx, "WAIT", 1, 0).Err())

	asks := redis.NewSentinelClient(&redis.Options{Addr: watcher, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = asks.Close() })
	other := redis.NewClient(&redis.Options{Addr: second, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = other.Close() })
	recovers(t, "Sentinel", func() error { return asks.Failover(ctx, "main").Err() })
	after := serve(t, open(t, other, redisstore.Options{Timeout: 10 * time.Second}))
	recovers(t, "Revoke on the new primary", func() error { return after.Revoke(ctx, "acme", keys.KindKey, id) })

	old := redis.NewClient(&redis.Options{Addr: first, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = old.Close() })
	recovers(t, "the loss of the replica", func() error {
		if old.HDel(ctx, "x", "y").Err() == nil {
			return errors.New("the old primary still writes")
		}
		return nil
	})
	recovers(t, "the client of Sentinel", func() error {
		err := sv.verify(ctx, text)
		if errors.Is(err, keys.ErrRevoked) {
			return nil
		}
		if !errors.Is(err, keys.ErrUnavailable) {
			t.Fatalf("a revoked key: %v", err)
		}
		return err
	})
	sv.issue(t)
}
