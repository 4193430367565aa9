package pgstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// TestUpdateKeepsKind has an Update ask for another kind, and with it for a
// lifetime that only the other kind has. The record stays one that can be read.
func TestUpdateKeepsKind(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	want := record(keys.KindKey, "key")
	insert(t, s, want)
	other := want
	other.Kind, other.TokenLifetime = keys.KindClient, time.Hour
	if err := s.Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	want.Version++
	same(t, "the record", get(t, s, "key"), want)
}

// TestSweepPassesOver checks that a token which is being changed is left alone,
// and that nobody waits for it: it may come to live longer.
func TestSweepPassesOver(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	busy, dead := record(keys.KindToken, "busy"), record(keys.KindToken, "dead")
	busy.ExpiresAt, dead.ExpiresAt = now, now
	insert(t, s, busy, dead)
	tx, err := shared.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	busy.ExpiresAt = now.AddDate(100, 0, 0)
	if err := s.With(tx).Update(t.Context(), busy); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if n, err := s.Sweep(ctx, now.AddDate(1, 0, 0), 10); n != 1 || err != nil {
		t.Errorf("Sweep removed %d, %v, want 1", n, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	busy.Version++
	same(t, "the token that was changed", get(t, s, "busy"), busy)
	if n, err := s.Sweep(t.Context(), now.AddDate(1, 0, 0), 10); n != 0 || err != nil {
		t.Errorf("a second Sweep removed %d, %v, want 0", n, err)
	}
}
