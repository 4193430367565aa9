package keys_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// label changes the label of a credential of acme.
func label(env *env, ctx context.Context, id string) error {
	_, err := env.manager.Change(ctx, "acme", "", id, keys.Change{Label: new("x")})
	return err
}

// noLines checks that the manager remembers no record once nobody changes one.
func noLines(t *testing.T, env *env) {
	t.Helper()
	if lines := env.manager.Lines(); lines != 0 {
		t.Errorf("%d lines are left", lines)
	}
}

// TestChangesQueue makes many changes to one record at once: in one process none is
// in the way of another, so each takes one read and one write.
func TestChangesQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 30
		env := newEnv(t, nil)
		id := env.create(keys.Spec{}).Record.ID
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				var err error
				if err = label(env, t.Context(), id); i%3 == 0 {
					_, err = env.manager.Rotate(t.Context(), "acme", id, keys.Rotation{Overlap: keys.Forever})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if updates := env.faults.Calls(storetest.Update); updates != n+n/3 {
			t.Errorf("%d writes for %d changes", updates, n+n/3)
		}
		noLines(t, env)
	})
}

// TestEndingsGoFirst revokes a key while a change is being written and others wait:
// the revocation waits for none of them, and they come after it.
func TestEndingsGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id := env.create(keys.Spec{}).Record.ID
		release := env.faults.Block(storetest.Update)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := label(env, t.Context(), id); err != nil && !errors.Is(err, keys.ErrRevoked) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				if err := label(env, t.Context(), id); err != keys.ErrRevoked {
					t.Errorf("a change that waited: %v", err)
				}
			})
		}
		synctest.Wait()
		if n := env.faults.Calls(storetest.Update); n != 1 {
			t.Errorf("%d changes are written at once", n)
		}
		wg.Go(func() {
			if err := env.manager.Revoke(t.Context(), "acme", "", id); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if n := env.faults.Calls(storetest.Update); n != 2 {
			t.Errorf("the revocation waits; %d writes", n)
		}
		wg.Go(func() { // comes while the credential is being ended
			if err := label(env, t.Context(), id); err != keys.ErrRevoked {
				t.Errorf("a change that came later: %v", err)
			}
		})
		synctest.Wait()
		if n := env.faults.Calls(storetest.Update); n != 2 {
			t.Errorf("a change does not wait for the revocation; %d writes", n)
		}
		release()
		wg.Wait()
		noLines(t, env)
	})
}

// TestChangesAfterAnEnding has a change wait for a revocation alone: it goes on as
// soon as that is done.
func TestChangesAfterAnEnding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id := env.create(keys.Spec{}).Record.ID
		release := env.faults.Block(storetest.Update)
		var wg sync.WaitGroup
		for range 2 { // of which the first to be done does not let others begin
			wg.Go(func() {
				if err := env.manager.Revoke(t.Context(), "acme", "", id); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		wg.Go(func() {
			if err := label(env, t.Context(), id); err != keys.ErrRevoked || time.Since(start) > 200*time.Millisecond {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
		})
		synctest.Wait()
		if n := env.faults.Calls(storetest.Update); n != 2 {
			t.Errorf("%d writes; the change does not wait", n)
		}
		release()
		wg.Wait()
		noLines(t, env)
	})
}

// TestTurnsAreBounded has changes wait for one that hangs.
func TestTurnsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &keys.Options{Timeout: time.Hour})
		id, other := env.create(keys.Spec{}).Record.ID, env.create(keys.Spec{}).Record.ID
		release := env.faults.Block(storetest.Update)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := label(env, t.Context(), id); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		start := time.Now()
		if _, err := env.manager.Change(t.Context(), "globex", "", id, keys.Change{Label: new("x")}); !errors.Is(err, keys.ErrNotFound) || time.Since(start) != 0 {
			t.Errorf("another organization waits for %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := label(env, ctx, id); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Millisecond {
			t.Errorf("a caller whose time is over waits for %v: %v", time.Since(start), err)
		}
		wg.Go(func() {
			if err := label(env, t.Context(), other); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if n := env.faults.Calls(storetest.Update); n != 2 {
			t.Errorf("%d writes; want one of each record", n)
		}
		time.Sleep(250 * time.Millisecond) // on the test's own clock
		synctest.Wait()
		if n := env.faults.Calls(storetest.Update); n != 3 {
			t.Errorf("%d writes; who waited for a turn is to go on without", n)
		}
		release()
		wg.Wait()
		noLines(t, env)
	})
}

// TestTurnsThatComeTooLate gives changes their turn at the moment at which they go on
// without: whichever they notice first, the next change finds the line free.
func TestTurnsThatComeTooLate(t *testing.T) {
	t.Parallel()
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, &keys.Options{Timeout: time.Hour})
			id := env.create(keys.Spec{}).Record.ID
			release := env.faults.Block(storetest.Update)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if err := label(env, t.Context(), id); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
			time.Sleep(250 * time.Millisecond) // on the test's own clock
			release()
			wg.Wait()
			noLines(t, env)
		})
	}
}

// TestConflictsEnd counts the tries against a store where another process always
// comes first, and how long they take.
func TestConflictsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id := env.create(keys.Spec{}).Record.ID
		p := caller(t, env, admin)
		before := env.faults.Calls(storetest.Update)
		env.after = func(string) { // once the change is written
			env.faults.Fail(storetest.Update, storetest.Always, keys.ErrConflict)
			if err := env.host.Revoke(t.Context(), "acme", "", p.ID); err != nil {
				t.Error(err)
			}
		}
		if _, err := env.manager.As(p).Change(t.Context(), "", id, keys.Change{Label: new("x")}); !errors.Is(err, keys.ErrConflict) {
			t.Errorf("a change that is taken back: %v", err)
		}
		if tries := env.faults.Calls(storetest.Update) - before - 1; tries != 64 {
			t.Errorf("a change is taken back in %d tries; want as many as of a revocation", tries)
		}
		for _, op := range []struct {
			name  string
			do    func(ctx context.Context) error
			tries int
			most  time.Duration
		}{
			{"change", func(ctx context.Context) error { return label(env, ctx, id) }, 32, time.Second},
			{"rotate", func(ctx context.Context) error {
				_, err := env.manager.Rotate(ctx, "acme", id, keys.Rotation{})
				return err
			}, 32, 8 * time.Second}, // each try takes back a key, which conflicts too
			{"revoke", func(ctx context.Context) error { return env.manager.Revoke(ctx, "acme", "", id) }, 64, 260 * time.Millisecond},
		} {
			start, before := time.Now(), env.faults.Calls(storetest.Update)
			if op.name == "rotate" {
				before = env.faults.Calls(storetest.Insert)
			}
			if err := op.do(t.Context()); !errors.Is(err, keys.ErrConflict) {
				t.Errorf("%s: %v", op.name, err)
			}
			tries := env.faults.Calls(storetest.Update) - before
			if op.name == "rotate" {
				tries = env.faults.Calls(storetest.Insert) - before
			}
			if took := time.Since(start); tries != op.tries || took > op.most || took == 0 {
				t.Errorf("%s: %d tries took %v", op.name, tries, took)
			}
			ctx, cancel := context.WithCancel(t.Context())
			env.after = func(string) { cancel() }
			if err := op.do(ctx); keys.Reason(err) != keys.ReasonCanceled || !errors.Is(err, keys.ErrUnavailable) {
				t.Errorf("%s for a caller who has gone: %v", op.name, err)
			}
		}
	})
}
