package keys_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
)

// quiet is a store with a feed in which nothing ever changes.
type quiet struct {
	keys.Store
	lease time.Duration
}

func (q *quiet) Announce(_ context.Context, _ string, lease time.Duration) error {
	q.lease = lease
	return nil
}

func (q *quiet) Withdraw(context.Context, ...string) error { q.lease = 0; return nil }

func (q *quiet) MarkIdle(context.Context, time.Duration) ([]string, error) { return nil, nil }

func (q *quiet) Poll(context.Context, string, keys.Position) (keys.Changes, error) {
	return keys.Changes{Next: "1"}, nil
}

func (q *quiet) LongestLease(context.Context) (time.Duration, error) { return q.lease, nil }

// TestChecksUseTheCache checks a key, a token and a client again and again: each is
// read once. What writes reads the store.
func TestChecksUseTheCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		cache, err := keys.NewCache(&quiet{Store: env.faults}, nil)
		if err != nil {
			t.Fatal(err)
		}
		manager, verifier := env.on(cache, nil)
		key, client := env.create(admin), createClient(t, env, admin)
		token, err := env.manager.IssueToken(t.Context(), client.Record, scopes.Set{}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- cache.Run(ctx) }()
		synctest.Wait()
		before := env.faults.Calls(storetest.Get)
		for range 10 {
			_, err1 := verifier.Verify(t.Context(), key.Text.Reveal())
			_, err2 := verifier.Verify(t.Context(), token.Text.Reveal())
			_, err3 := verifier.VerifyClient(t.Context(), client.Record.ID, client.Text.Reveal(), time.Now())
			if err1 != nil || err2 != nil || err3 != nil {
				t.Fatal(err1, err2, err3)
			}
		}
		if n := env.faults.Calls(storetest.Get) - before; n != 2 {
			t.Errorf("%d reads; want one of the key, and one of the token with its client", n)
		}
		p, err := verifier.Verify(t.Context(), key.Text.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if err := env.host.Revoke(t.Context(), "acme", "", key.Record.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := manager.Recheck(t.Context(), p); err != keys.ErrCallerEnded {
			t.Errorf("Recheck reads the cache: %v", err)
		}
		if _, err := manager.Change(t.Context(), "acme", "", key.Record.ID, keys.Change{Label: new("x")}); err != keys.ErrRevoked {
			t.Errorf("Change reads the cache: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestNothingIsDoneBeforeAnOverlapIsKnown fails before a rotation begins: the error
// says that nothing was written.
func TestNothingIsDoneBeforeAnOverlapIsKnown(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	key, client := env.create(keys.Spec{}).Record, createClient(t, env, keys.Spec{}).Record
	manager, _ := env.on(&mute{quiet{Store: env.faults}}, nil)
	before := env.records()
	_, rotate := manager.Rotate(t.Context(), "acme", key.ID, keys.Rotation{Overlap: time.Hour})
	_, secret := manager.RotateSecret(t.Context(), "acme", client.ID, time.Hour)
	for name, err := range map[string]error{"rotate": rotate, "rotate a secret": secret} {
		if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrUnsettled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	env.unchanged(before, "")
	issued, err := manager.RotateSecret(t.Context(), "acme", client.ID, 0)
	if !errors.Is(err, keys.ErrUnsettled) || !errors.Is(err, keys.ErrUnavailable) || issued.Text.Len() == 0 {
		t.Errorf("at once: %v, %v", issued.Record, err)
	}
}

// mute is a quiet store that does not say who has announced what.
type mute struct{ quiet }

func (*mute) LongestLease(context.Context) (time.Duration, error) { return 0, errDown }
