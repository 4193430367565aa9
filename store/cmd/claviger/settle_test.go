package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// TestSettles has a process with a cache, and a command that takes something away:
// when the command has ended, the cache must not let it pass any more.
func TestSettles(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		h.must(exitDone, "migrate")
		s := h.session()
		if _, has := s.store.(keys.Feed); !has {
			if !strings.HasPrefix(h.url, "unix:") {
				t.Fatal("the store has lost its feed")
			}
			// Then there can be no cache, and nothing to settle.
			if _, err := keys.NewCache(s.store, nil); err == nil {
				t.Error("a cache over a store without a feed")
			}
			return
		}
		lease := keys.DefaultLease
		if testing.Short() {
			lease = 5 * keys.MinLease
		}
		cache, err := keys.NewCache(s.store, &keys.CacheOptions{Lease: lease})
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := keys.NewVerifier(cache, s.options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- cache.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}()

		steps := []struct {
			name string
			args func(id string) []string
			want error
		}{
			{"revoke", func(id string) []string { return []string{"revoke", id} }, keys.ErrRevoked},
			{"revoke with descendants", func(id string) []string { return []string{"revoke", id, "-descendants"} }, keys.ErrRevoked},
			{"pause", func(id string) []string { return []string{"pause", id} }, keys.ErrPaused},
			{"rotate", func(id string) []string { return []string{"rotate", id, "-overlap", "0"} }, keys.ErrExpired},
		}
		for _, step := range steps {
			id, secret := h.create("keys", "create", "-org", "acme")
			for cache.Stats().Hits == 0 || cache.Stats().Age > lease { // until the cache is in use
				if _, err := verifier.Verify(ctx, secret); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
			if _, err := verifier.Verify(ctx, secret); err != nil {
				t.Fatal(err)
			}
			h.must(exitDone, step.args(id)...)
			if _, err := verifier.Verify(ctx, secret); !errors.Is(err, step.want) {
				t.Errorf("%s: afterwards the cache says %v, want %v", step.name, err, step.want)
			}
		}
	})
}
