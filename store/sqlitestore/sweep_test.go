package sqlitestore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// withDead returns a store with so many dead tokens, and a function that returns
// how many of them are left.
func withDead(t *testing.T, count int) (s *sqlitestore.Store, left func() int) {
	t.Helper()
	path := file(t)
	s = open(t, path)
	r := record(t, keys.KindToken, "")
	r.ExpiresAt = start
	db := database(t, hostDSN(path))
	fill(t, db, s, count, r)
	return s, func() (n int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM claviger_records WHERE kind = 'token'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// TestSweepLetsOthersWrite writes while a sweep goes on. Between two of its
// twenty steps there is a write.
func TestSweepLetsOthersWrite(t *testing.T) {
	t.Parallel()
	const dead = 1000
	s, left := withDead(t, dead)
	seen := make(map[int]bool)
	swept := make(chan error)
	for i, done := 0, false; !done; i++ {
		insert(t, s, record(t, keys.KindKey, fmt.Sprintf("key_%d", i)))
		if i == 0 {
			go func() {
				n, err := s.Sweep(t.Context(), never, dead)
				if n != dead {
					err = errors.Join(err, fmt.Errorf("swept %d", n))
				}
				swept <- err
			}()
		}
		if n := left(); n > 0 && n < dead {
			seen[n] = true
		}
		select {
		case err := <-swept:
			if err != nil {
				t.Error(err)
			}
			done = true
		default:
		}
	}
	if len(seen) < 5 {
		t.Errorf("others could write after %d steps, want at least 5 of 19", len(seen))
	}
}

// TestSweepEndsWithItsContext ends the context of a sweep after its first steps.
func TestSweepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	const dead = 2000
	s, left := withDead(t, dead)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type result struct {
		n   int
		err error
	}
	done := make(chan result)
	go func() {
		n, err := s.Sweep(ctx, never, dead)
		done <- result{n, err}
	}()
	for left() == dead {
	}
	cancel()
	r := <-done
	// The step during which it ended may be done or not.
	if rest := left(); !errors.Is(r.err, context.Canceled) || rest == 0 || rest > dead-r.n {
		t.Errorf("swept %d, %v; %d are left of %d", r.n, r.err, left(), dead)
	}
}
