package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// full returns a record with every field set that its kind has, but those of its
// end.
func full(kind keys.Kind, id string) keys.Record {
	r := record(kind, id)
	r.Previous, r.PreviousExpiresAt = record(kind, id+" before").Digest, now.Add(time.Hour)
	if kind == keys.KindToken {
		return r
	}
	if kind == keys.KindClient {
		r.TokenLifetime = time.Minute
	}
	r.Environment, r.Metadata, r.CreatedBy = "test", `{"a":1}`, "host:test"
	r.Replaces, r.ReplacedBy, r.DisabledAt = "before", "after", now.Add(time.Minute)
	var err error
	if r.Networks, err = keys.ParseNetworks("192.0.2.0/24 2001:db8::/32"); err != nil {
		panic(err)
	}
	return r
}

// TestUpdateIsNext calls Update with records of all kinds over records of all
// kinds, with other values in all fields, and compares what it does with
// keys.Next.
func TestUpdateIsNext(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	kinds := []keys.Kind{keys.KindKey, keys.KindClient, keys.KindToken}
	n := 0
	for _, of := range kinds {
		for _, to := range kinds {
			for _, plain := range []bool{false, true} {
				for version := int64(1); version <= 2; version++ {
					n++
					old := full(of, fmt.Sprint("record ", n))
					r := full(to, old.ID)
					if plain {
						r = record(to, old.ID)
					}
					r.Version = version
					r.Label, r.RateLimit, r.CreatedAt = "other", 61, now.Add(-time.Hour)
					r.ExpiresAt, r.RevokedAt = now.Add(2*time.Hour), now.Add(3*time.Hour)
					if to == keys.KindToken {
						r.Parent = "another"
					} else if !plain {
						r.Environment, r.CreatedBy, r.Replaces = "live", "host:another", "another"
						r.ReplacedBy, r.Metadata, r.DisabledAt = "yet another", "{}", time.Time{}
					}
					insert(t, s, old)
					want, err := keys.Next(old, r)
					if err != nil {
						want = old
					}
					if got := s.Update(t.Context(), r); !sameError(got, err) {
						t.Errorf("Update of a %s as a %s with version %d: %v, want %v", of, to, version, got, err)
					}
					same(t, fmt.Sprintf("a %s after an Update as a %s with version %d", of, to, version), get(t, s, old.ID), want)
				}
			}
		}
	}
}

// sameError reports whether two errors of Update say the same.
func sameError(a, b error) bool {
	for _, err := range []error{keys.ErrNotFound, keys.ErrConflict, keys.ErrInvalid} {
		if errors.Is(a, err) != errors.Is(b, err) {
			return false
		}
	}
	return (a == nil) == (b == nil)
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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
