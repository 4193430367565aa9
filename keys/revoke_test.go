package keys_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
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
	for range 50 {
		issued := env.create(keys.Spec{})
		text := issued.Text.Reveal()
		started, revoked := make(chan struct{}, 4), make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for first := true; ; first = false {
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

func TestRevokeAll(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	var texts []string
	for range 120 {
		texts = append(texts, env.create(keys.Spec{}).Text.Reveal())
	}
	_, _, _, tokenText := pair(t, env)
	texts = append(texts, tokenText)
	other, err := env.manager.Create(t.Context(), "globex", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 121 || err != nil {
		t.Errorf("revoked %d, %v; want 120 keys and a client", n, err)
	}
	for _, text := range texts {
		if _, err := env.verify(text); err != keys.ErrRevoked {
			t.Fatalf("a credential goes on: %v", err)
		}
	}
	if _, err := env.verify(other.Text.Reveal()); err != nil {
		t.Errorf("another organization's key: %v", err)
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	env.create(keys.Spec{})
	cause := errors.New("down")
	for _, method := range []storetest.Method{storetest.Update, storetest.List} {
		env.faults.Fail(method, 1, cause)
		if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 0 || !errors.Is(err, cause) {
			t.Errorf("a store that fails: %d, %v", n, err)
		}
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 1 || err != nil {
		t.Errorf("after that: %d, %v", n, err)
	}
}
