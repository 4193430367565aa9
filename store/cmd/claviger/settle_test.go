package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// TestSettles has a process with a cache, and a command that takes a right away. When the
// command has ended, the cache must not accept the credential with that right any more.
func TestSettles(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		h.must(exitDone, "migrate")
		s := h.session()
		lease := 5 * keys.MinLease
		if os.Getenv("CLAVIGER_LONG") != "" {
			lease = keys.DefaultLease
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
				time.Sleep(time.Millisecond) // the cache polls by its own clock
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

// TestUnsettled has a server that fails when it is asked which caches are announced:
// changes are written, and nobody can say that they count everywhere.
func TestUnsettled(t *testing.T) {
	if os.Getenv("CLAVIGER_LONG") == "" {
		t.Skip("the rotation waits for seven seconds: set CLAVIGER_LONG")
	}
	t.Parallel()
	h := postgresHost(t)
	h.must(exitDone, "migrate")
	id, secret := h.create("keys", "create", "-org", "acme")
	schema := read[map[string]any](t, readText(t, h.path("config.json")))["schema"].(string)
	table := schema + ".announcements"
	if _, err := pool(t).Exec(t.Context(), "ALTER TABLE "+table+" RENAME TO before; CREATE VIEW "+table+
		" AS SELECT ''::text AS id, 1 / (0 * random())::bigint AS lease"); err != nil {
		t.Fatal(err)
	}
	const again = "not yet everywhere"

	// A rotation waits as long as it can take, since its secret is printed once.
	r := h.must(exitDone, "rotate", id, "-json")
	second := read[struct{ Secret string }](t, r.out).Secret
	h.secrets = append(h.secrets, second)
	if got := h.verify(second); got != "good" {
		t.Errorf("the new key is %s", got)
	}
	if r := h.run("", "pause", id); r.code != exitFailure || !strings.Contains(r.err, again) || !strings.Contains(r.out, "paused") {
		t.Errorf("pause: exit code %d: %s%s", r.code, r.out, r.err)
	}
	if r := h.run("", "revoke", id, "-descendants"); r.code != exitFailure || !strings.Contains(r.err, again) || !strings.HasPrefix(r.out, "revoked: ") {
		t.Errorf("revoke with descendants: exit code %d: %s%s", r.code, r.out, r.err)
	}
	for _, args := range [][]string{{"revoke", id}, {"orgs", "pause", "acme"}, {"orgs", "revoke", "acme"}} {
		if r := h.run("", args...); r.code != exitFailure || !strings.Contains(r.err, again) {
			t.Errorf("%v: exit code %d: %s", args, r.code, r.err)
		}
	}
	if got := h.verify(secret) + " " + h.verify(second); got != "revoked revoked" {
		t.Errorf("at the end the keys are %s", got)
	}
	if all := findings(t, h.must(exitUnfit, "check", "-json")); results(all["caches"]) != wrong {
		t.Errorf("check: %v", all["caches"])
	}
}
