package keys_test

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{})
	id := issued.Record.ID
	env.types()
	for range 2 {
		if err := env.manager.Revoke(t.Context(), "acme", "", id); err != nil {
			t.Fatal(err)
		}
	}
	rec, err := env.manager.Get(t.Context(), "acme", "", id)
	if err != nil || !rec.Revoked() || rec.RevokedAt.Before(rec.CreatedAt) || rec.Version != 2 {
		t.Errorf("%+v, %v", rec, err)
	}
	if got := env.types(); !slices.Equal(got, []keys.EventType{keys.Revoked}) {
		t.Errorf("events %v", got)
	}
	if _, err := env.verify(issued.Text.Reveal()); err != keys.ErrRevoked {
		t.Errorf("verified: %v", err)
	}
	if err := env.store.Insert(t.Context(), issued.Record); !errors.Is(err, keys.ErrExists) {
		t.Errorf("the ID can come back: %v", err)
	}
	env.faults.Fail(storetest.Update, storetest.Always, errors.New("down"))
	if err := env.manager.Revoke(t.Context(), "acme", "", env.create(keys.Spec{}).Record.ID); err == nil {
		t.Error("a revocation that the store did not make is reported as made")
	}
}

// TestRevokeAtATime reads when a key was revoked.
func TestRevokeAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		a, b := env.create(keys.Spec{}).Record.ID, env.create(keys.Spec{}).Record.ID
		time.Sleep(time.Hour) // on the test's own clock
		if err := env.manager.Revoke(t.Context(), "acme", "", a); err != nil {
			t.Fatal(err)
		}
		if _, err := env.manager.RevokeAll(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{a, b} {
			if at := env.records()[id].RevokedAt; !at.Equal(now()) {
				t.Errorf("%s was revoked at %v", id, at)
			}
		}
	})
}

// TestRevokeByASlowClock revokes a key that a node with a faster clock made.
func TestRevokeByASlowClock(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	rec := goodRecord(t, keys.KindKey)
	rec.CreatedAt = now().Add(time.Hour)
	env.insert(rec)
	if err := env.manager.Revoke(t.Context(), "acme", "", rec.ID); err != nil {
		t.Fatal(err)
	}
	after, err := env.manager.Get(t.Context(), "acme", "", rec.ID)
	if err != nil || !after.RevokedAt.Equal(rec.CreatedAt) {
		t.Errorf("revoked at %v, want %v, %v", after.RevokedAt, rec.CreatedAt, err)
	}
}

// TestRevokeUnderLoad checks a key from several goroutines while it is revoked:
// no check that starts after Revoke has returned may pass.
func TestRevokeUnderLoad(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		issued := env.create(keys.Spec{})
		text := issued.Text.Reveal()
		started, revoked := make(chan struct{}, 4), make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for first := true; ; first = false {
					runtime.Gosched() // for Revoke has to be let in as well
					var over bool
					select {
					case <-revoked:
						over = true
					default:
					}
					_, err := env.verify(text)
					if over {
						if err != keys.ErrRevoked {
							t.Errorf("after Revoke returned: %v", err)
						}
						return
					}
					if err != nil && err != keys.ErrRevoked {
						t.Errorf("meanwhile: %v", err)
					}
					if first {
						started <- struct{}{}
					}
				}
			})
		}
		for range 4 {
			<-started
		}
		if err := env.manager.Revoke(t.Context(), "acme", "", issued.Record.ID); err != nil {
			t.Error(err)
		}
		close(revoked)
		wg.Wait()
	}
}
