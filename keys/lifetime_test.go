package keys_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestChangeOfLifetimesRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		live, over, replaced, revoked := env.create(keys.Spec{}), env.create(keys.Spec{Lifetime: time.Second}), env.create(keys.Spec{}), env.create(keys.Spec{})
		if _, err := env.manager.Rotate(t.Context(), "acme", replaced.Record.ID, keys.Rotation{Overlap: keys.Forever}); err != nil {
			t.Fatal(err)
		}
		if err := env.manager.Revoke(t.Context(), "acme", "", revoked.Record.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // on the test's own clock
		for _, tt := range []struct {
			name     string
			key      keys.Issued
			lifetime time.Duration
			want     error
		}{
			{"nothing", live, 0, keys.ErrInvalid},
			{"less than nothing", live, -time.Second, keys.ErrInvalid},
			{"half a millisecond", live, time.Microsecond, keys.ErrInvalid},
			{"an expired key", over, time.Hour, keys.ErrExpired},
			{"a replaced key", replaced, time.Hour, keys.ErrReplaced},
			{"a revoked key", revoked, time.Hour, keys.ErrRevoked},
		} {
			if rec, err := env.manager.Change(t.Context(), "acme", "", tt.key.Record.ID, keys.Change{Lifetime: &tt.lifetime}); !errors.Is(err, tt.want) || rec != (keys.Record{}) {
				t.Errorf("%s: %v, %v", tt.name, rec, err)
			}
		}
		for name, key := range map[string]keys.Issued{"expired": over, "replaced": replaced} {
			if _, err := env.manager.Change(t.Context(), "acme", "", key.Record.ID, keys.Change{Label: new("x")}); err != nil {
				t.Errorf("the label of a key that is %s: %v", name, err)
			}
		}
	})
}

func TestRotateLifetimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		old, lifetime time.Duration
		want          time.Duration // 0 for never
		err           error
	}{
		{"one of its own", time.Hour, time.Minute, time.Minute, nil},
		{"a longer one", time.Hour, 3 * time.Hour, 3 * time.Hour, nil},
		{"forever", time.Hour, keys.Forever, 0, nil},
		{"that of the old key", time.Hour, 0, time.Hour, nil},
		{"that of an old key without an end", 0, 0, 0, nil},
		{"less than nothing", 0, -time.Second, 0, keys.ErrInvalid},
		{"half a millisecond", 0, time.Microsecond, 0, keys.ErrInvalid},
	} {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			old := env.create(keys.Spec{Lifetime: tt.old}).Record.ID
			time.Sleep(time.Minute) // on the test's own clock
			next, err := env.manager.Rotate(t.Context(), "acme", old, keys.Rotation{Lifetime: tt.lifetime})
			if !errors.Is(err, tt.err) {
				t.Errorf("%s: %v", tt.name, err)
			}
			var want time.Time
			if tt.want > 0 {
				want = now().Add(tt.want)
			}
			if !next.Record.ExpiresAt.Equal(want) {
				t.Errorf("%s: until %v, want %v", tt.name, next.Record.ExpiresAt, want)
			}
		})
	}
	env := newEnv(t, nil)
	if rec := env.create(keys.Spec{Lifetime: keys.Forever}).Record; !rec.ExpiresAt.IsZero() {
		t.Errorf("a new key that lives forever ends at %v", rec.ExpiresAt)
	}
}

// TestRotateAgain rotates keys that were rotated before, as somebody does who did
// not get the answer. What the first rotation did to the end of the old key is no
// measure for a successor.
func TestRotateAgain(t *testing.T) {
	t.Parallel()
	for _, lifetime := range []time.Duration{0, 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			old := env.create(keys.Spec{Lifetime: lifetime})
			for i := range 3 {
				next, err := env.manager.Rotate(t.Context(), "acme", old.Record.ID, keys.Rotation{Overlap: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				if rec := next.Record; rec.ExpiresAt.IsZero() != (lifetime == 0) || lifetime != 0 && !rec.ExpiresAt.Equal(now().Add(lifetime)) {
					t.Errorf("successor %d lives until %v", i+1, rec.ExpiresAt)
				}
				if by := env.records()[old.Record.ID].ReplacedBy; by != next.Record.ID {
					t.Errorf("after rotation %d the old key names %q", i+1, by)
				}
				// The successor is replaced, too, and at once.
				if _, err := env.manager.Rotate(t.Context(), "acme", next.Record.ID, keys.Rotation{}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	env := newEnv(t, nil)
	rec := goodRecord(t, keys.KindKey)
	rec.ReplacedBy = "vck_live_gone"
	env.insert(rec)
	reads := 0
	env.faults.Corrupt(storetest.Get, storetest.Always, func(*keys.Record) {
		if reads++; reads == 1 {
			env.faults.Fail(storetest.Get, 1, errDown)
		}
	})
	if _, err := env.manager.Rotate(t.Context(), "acme", rec.ID, keys.Rotation{}); !errors.Is(err, errDown) || len(env.records()) != 1 {
		t.Errorf("a key whose successor cannot be read: %v", err)
	}
	env.faults.Heal()
	if _, err := env.manager.Rotate(t.Context(), "acme", rec.ID, keys.Rotation{}); err != nil {
		t.Errorf("a key whose successor is not there: %v", err)
	}
}
