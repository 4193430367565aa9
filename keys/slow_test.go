package keys_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/claviger-auth/claviger/keys"
)

// imported adds a key with a slow digest, and returns its text.
func imported(t *testing.T, env *env, id string) string {
	t.Helper()
	if _, err := env.manager.ImportDigest(t.Context(), "acme", "vck_"+id, mustDigest(t, argonKnown), keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	return "vck_" + id + ".password1234567890"
}

// TestSlowChecksWait shows that a check of an imported digest ends with its context
// while others hold all the places or the turn, and that a fast one waits for none.
func TestSlowChecksWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &keys.Options{Format: foreign})
		text := imported(t, env, "a")
		release := env.verifier.HoldSlowHashes()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 { // one waits for a place, and one for its turn
			wg.Go(func() {
				if _, err := env.verifier.Verify(ctx, text); !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.Canceled) {
					t.Errorf("while others hold the places: %v", err)
				}
			})
			synctest.Wait()
		}
		if _, err := env.verify(env.create(keys.Spec{}).Text.Reveal()); err != nil {
			t.Errorf("a fast hash has to wait too: %v", err)
		}
		cancel()
		wg.Wait()
		release()
		if _, err := env.verify(text); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if n := env.verifier.SlowChecks(); n != 0 {
			t.Errorf("%d checks are left", n)
		}
	})
}

// TestSlowChecksPassTheirTurnOn gives a check up that has its turn and waits for a place.
// The one behind it goes on.
func TestSlowChecksPassTheirTurnOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &keys.Options{Format: foreign})
		text := imported(t, env, "a")
		release := env.verifier.HoldSlowHashes()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := env.verifier.Verify(ctx, text); !errors.Is(err, context.Canceled) {
				t.Errorf("the one that is given up: %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if _, err := env.verify(text); err != nil {
				t.Errorf("the one behind it: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		release()
		all.Wait()
	})
}

// TestSlowChecksAreBounded has as many checks wait as may: one more fails at once,
// and those that wait go on.
func TestSlowChecksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perID, all = 8, 128
		env := newEnv(t, &keys.Options{Format: foreign})
		var texts []string
		for i := range all/perID + 1 {
			texts = append(texts, imported(t, env, fmt.Sprint("id", i)))
		}
		refused := func(name, text string) {
			t.Helper()
			if _, err := env.verify(text); !errors.Is(err, keys.ErrUnavailable) || keys.Reason(err) != keys.ReasonUnavailable {
				t.Errorf("%s: %v", name, err)
			}
		}
		release := env.verifier.HoldSlowHashes()
		var wg sync.WaitGroup
		for _, text := range texts[:all/perID] {
			for range perID {
				wg.Go(func() {
					if _, err := env.verify(text); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
			refused("one too many of a credential", text)
		}
		if n := env.verifier.SlowChecks(); n != all {
			t.Errorf("%d checks wait, want %d", n, all)
		}
		refused("one too many", texts[all/perID])
		if _, err := env.verify(env.create(keys.Spec{}).Text.Reveal()); err != nil {
			t.Errorf("a fast hash is refused too: %v", err)
		}
		release()
		wg.Wait()
		for _, text := range texts {
			if _, err := env.verify(text); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		}
		if n := env.verifier.SlowChecks(); n != 0 {
			t.Errorf("%d checks are left", n)
		}
	})
}

// TestSlowChecksAreFair checks one credential while many guess at another. Its turn
// does not come after all guesses.
func TestSlowChecksAreFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &keys.Options{Format: foreign})
		guessed, victim := imported(t, env, "guessed"), imported(t, env, "victim")
		leave := env.verifier.HoldSlowTurn("vck_guessed") // as a check does that runs
		release := env.verifier.HoldSlowHashes()
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		check := func(name, text string) {
			wg.Go(func() {
				_, err := env.verify(text)
				mu.Lock()
				defer mu.Unlock()
				if order = append(order, name); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			synctest.Wait()
		}
		for range 7 {
			check("guess", guessed)
		}
		check("victim", victim)
		release()
		synctest.Wait()
		mu.Lock()
		if !slices.Equal(order, []string{"victim"}) {
			t.Errorf("while somebody has the turn of the other credential: %v", order)
		}
		mu.Unlock()
		leave()
		wg.Wait()
		if len(order) != 8 || env.verifier.SlowChecks() != 0 {
			t.Errorf("%d checks were made, %d are left", len(order), env.verifier.SlowChecks())
		}
	})
}
