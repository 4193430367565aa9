package keys_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		overlap time.Duration
	}{{"an overlap", time.Minute}, {"at once", 0}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, nil)
				first := createClient(t, env, keys.Spec{Label: "CI", RateLimit: 7})
				id := first.Record.ID
				good := func(name string, issued keys.Issued, want bool) {
					t.Helper()
					if _, err := env.verifier.VerifyClient(t.Context(), id, issued.Text.Reveal(), time.Now()); (err == nil) != want {
						t.Errorf("%s: %v", name, err)
					}
				}
				env.types()
				second, err := env.manager.RotateSecret(t.Context(), "acme", id, tt.overlap)
				if err != nil {
					t.Fatal(err)
				}
				if got := env.types(); !slices.Equal(got, []keys.EventType{keys.Rotated}) {
					t.Errorf("events %v", got)
				}
				want := first.Record
				want.Digest, want.Version = second.Record.Digest, 2
				if tt.overlap > 0 {
					want.Previous, want.PreviousExpiresAt = first.Record.Digest, now().Add(tt.overlap)
				}
				stored, err := env.manager.Get(t.Context(), "acme", "", id)
				if diff := cmp.Diff(want, stored, cmpRecords); err != nil || diff != "" {
					t.Errorf("%v\n%s", err, diff)
				}
				if diff := cmp.Diff(stored, second.Record, cmpRecords); diff != "" {
					t.Error(diff)
				}
				good("the second secret", second, true)
				good("the first secret", first, tt.overlap > 0)

				// There are never more than two.
				third, err := env.manager.RotateSecret(t.Context(), "acme", id, tt.overlap)
				if err != nil {
					t.Fatal(err)
				}
				good("the third secret", third, true)
				good("the second secret beside it", second, tt.overlap > 0)
				good("the first secret beside two", first, false)
				time.Sleep(time.Minute) // on the test's own clock
				good("the third secret at the end", third, true)
				good("the second secret at the end", second, false)
			})
		})
	}
}

// TestRotateSecretEndsAnOverlap ends the second secret and the first, which had
// some time left, at once.
func TestRotateSecretEndsAnOverlap(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	secrets := []keys.Issued{createClient(t, env, keys.Spec{})}
	id := secrets[0].Record.ID
	for _, overlap := range []time.Duration{time.Hour, 0} {
		issued, err := env.manager.RotateSecret(t.Context(), "acme", id, overlap)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, issued)
	}
	for i, want := range []error{keys.ErrMismatch, keys.ErrMismatch, nil} {
		if _, err := env.verifier.VerifyClient(t.Context(), id, secrets[i].Text.Reveal(), now()); err != want {
			t.Errorf("secret %d: %v, want %v", i+1, err, want)
		}
	}
	if rec := secrets[2].Record; !rec.Previous.IsZero() || !rec.PreviousExpiresAt.IsZero() {
		t.Errorf("the record still has a previous secret, until %v", rec.PreviousExpiresAt)
	}
}

func TestRotateSecretRefuses(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	live := createClient(t, env, keys.Spec{})
	revoked := createClient(t, env, keys.Spec{}).Record.ID
	if err := env.manager.Revoke(t.Context(), "acme", "", revoked); err != nil {
		t.Fatal(err)
	}
	over := goodRecord(t, keys.KindClient)
	over.ID, over.ExpiresAt = "cc_0000000000000000", over.CreatedAt
	env.insert(over)
	paused := goodRecord(t, keys.KindClient)
	paused.ID, paused.DisabledAt = "cc_0000000000000001", paused.CreatedAt
	env.insert(paused)
	key := env.create(keys.Spec{}).Record.ID
	updates := env.faults.Calls(storetest.Update)
	for name, tt := range map[string]struct {
		org, id string
		overlap time.Duration
		want    error
	}{
		"a revoked client":      {"acme", revoked, 0, keys.ErrRevoked},
		"an expired client":     {"acme", over.ID, 0, keys.ErrExpired},
		"a paused client":       {"acme", paused.ID, 0, keys.ErrPaused},
		"a key":                 {"acme", key, 0, keys.ErrNotFound},
		"an unknown client":     {"acme", "cc_x", 0, keys.ErrNotFound},
		"a client of another's": {"globex", live.Record.ID, 0, keys.ErrNotFound},
		"a negative overlap":    {"acme", live.Record.ID, -1, keys.ErrInvalid},
	} {
		issued, err := env.manager.RotateSecret(t.Context(), tt.org, tt.id, tt.overlap)
		if !errors.Is(err, tt.want) || issued.Text.Len() != 0 {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if n := env.faults.Calls(storetest.Update); n != updates {
		t.Error("a refused rotation wrote")
	}
	cause := errors.New("down")
	env.faults.Fail(storetest.Update, 1, cause)
	if issued, err := env.manager.RotateSecret(t.Context(), "acme", live.Record.ID, 0); !errors.Is(err, cause) || issued.Text.Len() != 0 {
		t.Errorf("a store that fails: %v", err)
	}
	if _, err := env.verifier.VerifyClient(t.Context(), live.Record.ID, live.Text.Reveal(), now()); err != nil {
		t.Errorf("the old secret suffers: %v", err)
	}
}

// TestRotateSecretThatWasDone has the store do what it reports as a conflict,
// as a store can that tries again after a lost answer. The second try must not
// take the new secret for the old one.
func TestRotateSecretThatWasDone(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	first := createClient(t, env, keys.Spec{})
	id := first.Record.ID
	env.faults.Lose(storetest.Update, 1, keys.ErrConflict)
	second, err := env.manager.RotateSecret(t.Context(), "acme", id, time.Hour)
	if err != nil || second.Record.Version != 2 || second.Record.Previous != first.Record.Digest {
		t.Fatalf("version %d, %v", second.Record.Version, err)
	}
	for name, issued := range map[string]keys.Issued{"old": first, "new": second} {
		if _, err := env.verifier.VerifyClient(t.Context(), id, issued.Text.Reveal(), now()); err != nil {
			t.Errorf("the %s secret: %v", name, err)
		}
	}
}
