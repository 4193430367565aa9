//go:build unix

package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// TestFrozen stops the server's process, as a machine that hangs does: it takes
// connections and commands, and answers nothing. All calls end when their contexts
// do; neither goroutines nor connections pile up; and when the server goes on, so
// does the client. It counts goroutines, so it runs before the tests in parallel.
func TestFrozen(t *testing.T) {
	const pool, callers = 4, 25
	ctx := t.Context()
	srv := private(t)
	set := settings(srv.Socket)
	set.PoolSize, set.DialTimeout = pool, 200*time.Millisecond
	c := redis.NewClient(set)
	t.Cleanup(func() { _ = c.Close() })
	s := open(t, c, redisstore.Options{Timeout: time.Minute})
	sv := serve(t, s)
	_, text := sv.issue(t)
	for _, call := range calls(ctx, s) {
		_ = call() // the server knows all scripts
	}
	before := runtime.NumGoroutine()

	must(t, syscall.Kill(srv.PID(), syscall.SIGSTOP))
	frozen := true
	wake := func() {
		if frozen {
			must(t, syscall.Kill(srv.PID(), syscall.SIGCONT))
			frozen = false
		}
	}
	defer wake()
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	for range callers {
		for name, call := range calls(short, s) {
			all.Go(func() {
				if err := call(); !late(err) {
					t.Errorf("%s: %v, want a timeout", name, err)
				}
			})
		}
		all.Go(func() {
			if err := sv.verify(short, text); !errors.Is(err, keys.ErrUnavailable) {
				t.Errorf("a key: %v", err)
			}
		})
	}
	returned := make(chan struct{})
	go func() { all.Wait(); close(returned) }()
	select {
	case <-returned:
	case <-time.After(patience):
		buf := make([]byte, 1<<16)
		t.Fatalf("calls outlive their contexts:\n%s", buf[:runtime.Stack(buf, true)])
	}
	if n := c.PoolStats().TotalConns; n > pool {
		t.Errorf("%d connections, want at most %d", n, pool)
	}
	recovers(t, "the number of goroutines", func() error {
		if n := runtime.NumGoroutine(); n > before+pool {
			return fmt.Errorf("%d, and %d before", n, before)
		}
		return nil
	})

	wake()
	recovers(t, "verification", func() error { return sv.verify(ctx, text) })
	recovers(t, "the number of connections", func() error {
		info, err := c.Info(ctx, "clients").Result()
		if n := redisstore.ParseInfo(info)["connected_clients"]; err == nil && len(n) > 1 {
			return fmt.Errorf("%s", n)
		}
		return err
	})
}
