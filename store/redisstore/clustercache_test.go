package redisstore_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// TestClusterNodeKilled kills a node of a cluster and starts it again, while keys are
// revoked that two processes have in their caches, with a third of the records on each
// node. No key is accepted once the call that revoked it has returned.
func TestClusterNodeKilled(t *testing.T) {
	if os.Getenv("CLAVIGER_LONG") == "" {
		t.Skip("a cluster takes ten seconds to find that a node has gone: set CLAVIGER_LONG")
	}
	t.Parallel()
	ctx := t.Context()
	c, err := startCluster()
	t.Cleanup(c.close)
	servers.Require(t, err)
	dial := func() redis.UniversalClient {
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.addrs, ContextTimeoutEnabled: true, DialTimeout: time.Second})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	host, err := keys.NewManager(open(t, dial(), redisstore.Options{}), &keys.Options{Timeout: patience})
	must(t, err)
	var caches []*keys.Cache
	var verifiers []*keys.Verifier
	for range 2 {
		cache, err := keys.NewCache(open(t, dial(), redisstore.Options{}), &keys.CacheOptions{Lease: 500 * time.Millisecond})
		must(t, err)
		m, err := keys.NewManager(cache, &keys.Options{Timeout: patience})
		must(t, err)
		running, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); _ = cache.Run(running) }()
		t.Cleanup(func() { stop(); <-done })
		caches, verifiers = append(caches, cache), append(verifiers, m.Verifier())
	}
	used := func() error { // that both caches are in use
		for _, cache := range caches {
			if age := cache.Stats().Age; age < 0 || age > 400*time.Millisecond {
				return errors.New("a cache is not in use")
			}
		}
		return nil
	}

	type key struct{ id, text string }
	const each = 8
	phase := func(name string) (all []key) {
		for range each {
			issued, err := host.Create(ctx, "acme", keys.Spec{})
			must(t, err)
			k := key{issued.Record.ID, issued.Text.Reveal()}
			all = append(all, k)
			for _, v := range verifiers {
				if _, err := v.Verify(ctx, k.text); err != nil {
					t.Errorf("a good key %s: %v", name, err)
				}
			}
		}
		return all
	}
	var over []string
	// revoke revokes keys at once, and tries again for as long as a node is away.
	revoke := func(name string, all []key) {
		var work sync.WaitGroup
		for _, k := range all {
			work.Go(func() {
				err := errors.New("not yet tried")
				for deadline := time.Now().Add(patience); err != nil && time.Now().Before(deadline); {
					err = host.Revoke(ctx, "acme", keys.KindKey, k.id)
				}
				if err != nil {
					t.Errorf("Revoke %s: %v", name, err)
					return
				}
				for _, v := range verifiers {
					if _, err := v.Verify(ctx, k.text); err == nil {
						t.Errorf("a key that was revoked %s is accepted", name)
					}
				}
			})
			over = append(over, k.text)
		}
		work.Wait()
	}
	recovers(t, "a cache", used)
	before, during := phase("before"), phase("before")
	revoke("before the node was killed", before)

	c.nodes[0].Kill()
	started := make(chan error, 1)
	go func() {
		time.Sleep(time.Second) // longer than the lease, by the caches' own clock
		started <- c.nodes[0].Start()
	}()
	revoke("while the node was away", during)
	must(t, <-started)
	recovers(t, "a cache", used)
	good := ""
	recovers(t, "Create", func() error {
		issued, err := host.Create(ctx, "acme", keys.Spec{})
		good = issued.Text.Reveal()
		return err
	})
	if !testing.Short() {
		revoke("afterwards", phase("afterwards"))
	}
	for _, v := range verifiers {
		recovers(t, "Verify", func() error { _, err := v.Verify(ctx, good); return err })
		for _, text := range over {
			if _, err := v.Verify(ctx, text); !errors.Is(err, keys.ErrRevoked) {
				t.Errorf("a revoked key at the end: %v", err)
			}
		}
	}
}
