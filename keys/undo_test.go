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
	"github.com/google/go-cmp/cmp"
)

// TestCleanUp ends the caller's context when something was written that must be taken
// back. It is taken back although the context has ended.
func TestCleanUp(t *testing.T) {
	t.Parallel()
	wide := []string{"keys:manage", "webhooks:manage"}
	for _, tt := range []struct {
		name   string
		writes int // how many are made before the caller goes
		do     func(ctx context.Context, h *hung) error
	}{
		{"create", 1, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Create(ctx, keys.Spec{Scopes: wide})
			return err
		}},
		{"change", 1, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Change(ctx, keys.KindKey, h.key.Record.ID, keys.Change{Label: new("x"), Scopes: new([]string{}), RateLimit: new(3)})
			return err
		}},
		{"rotate, of which half is done", 1, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Rotate(ctx, h.key.Record.ID, keys.Rotation{})
			return err
		}},
		{"rotate", 2, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Rotate(ctx, h.key.Record.ID, keys.Rotation{})
			return err
		}},
		{"rotate by the host", 1, func(ctx context.Context, h *hung) error {
			_, err := h.manager.Rotate(ctx, "acme", h.key.Record.ID, keys.Rotation{})
			return err
		}},
		{"rotate a secret", 1, func(ctx context.Context, h *hung) error {
			_, err := h.actor.RotateSecret(ctx, h.client.Record.ID, time.Hour)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHung(t, nil)
			before := h.records()
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			var count func(string)
			count = func(string) {
				if n++; n == tt.writes {
					cancel()
				} else {
					h.after = count
				}
			}
			h.after = count
			if err := tt.do(ctx, h); keys.Reason(err) != keys.ReasonCanceled || n != tt.writes {
				t.Errorf("after %d writes: %v", n, err)
			}
			h.unchanged(before, "")
		})
	}
}

// TestLostAnswers loses the answer to a write, and the caller goes away with it:
// the secret is good, so the write must be found, and the secret be returned.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, lost := range []error{errors.New("connection reset"), keys.ErrConflict} {
		h := newHung(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		h.faults.Lose(storetest.Update, 1, lost)
		h.after = func(string) { h.after = func(string) { cancel() } }
		next, err := h.manager.Rotate(ctx, "acme", h.key.Record.ID, keys.Rotation{})
		if err != nil {
			t.Fatalf("rotate, %v: %v", lost, err)
		}
		if _, err := h.verify(next.Text.Reveal()); err != nil {
			t.Errorf("the new key: %v", err)
		}
		if _, err := h.verify(h.key.Text.Reveal()); err != keys.ErrExpired {
			t.Errorf("the old key: %v", err)
		}
		if lost == keys.ErrConflict {
			continue // and TestRotateSecretThatWasDone
		}
		ctx, cancel = context.WithCancel(t.Context())
		h.faults.Lose(storetest.Update, 1, lost)
		h.after = func(string) { cancel() }
		issued, err := h.manager.RotateSecret(ctx, "acme", h.client.Record.ID, 0)
		if err != nil || issued.Record.Version != 2 {
			t.Fatalf("rotate a secret, %v: version %d, %v", lost, issued.Record.Version, err)
		}
		if _, err := h.verifier.VerifyClient(t.Context(), h.client.Record.ID, issued.Text.Reveal(), now()); err != nil {
			t.Errorf("the new secret: %v", err)
		}
	}
}

// TestLostAnswersAreTakenBack loses the answer to a write as a conflict, and ends
// the caller's credential: what was written is taken back.
func TestLostAnswersAreTakenBack(t *testing.T) {
	t.Parallel()
	h := newHung(t, nil)
	p := caller(t, h.env, admin)
	before := h.records()
	h.faults.Lose(storetest.Update, 1, keys.ErrConflict)
	h.after = func(string) {
		h.faults.Heal()
		if err := h.host.Revoke(t.Context(), "acme", "", p.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := h.manager.As(p).RotateSecret(t.Context(), h.client.Record.ID, 0); !errors.Is(err, keys.ErrCallerEnded) {
		t.Errorf("%v", err)
	}
	h.unchanged(before, p.ID)
}

// TestCleanUpIsBounded lets the store hang while something is to be taken back. The
// library gives that two seconds, however many calls it takes.
func TestCleanUpIsBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		writes  int
		methods []storetest.Method
		do      func(ctx context.Context, h *hung) error
	}{
		{"create", 1, []storetest.Method{storetest.Update}, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Create(ctx, keys.Spec{})
			return err
		}},
		{"change", 1, []storetest.Method{storetest.Get}, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Change(ctx, keys.KindKey, h.key.Record.ID, keys.Change{Label: new("x")})
			return err
		}},
		{"rotate, of which half is done", 1, []storetest.Method{storetest.Get, storetest.Update}, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Rotate(ctx, h.key.Record.ID, keys.Rotation{})
			return err
		}},
		{"rotate", 2, []storetest.Method{storetest.Get, storetest.Update}, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Rotate(ctx, h.key.Record.ID, keys.Rotation{})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHung(t, &keys.Options{Timeout: time.Hour})
				ctx, cancel := context.WithCancel(t.Context())
				n := 0
				var count func(string)
				count = func(string) {
					if n++; n < tt.writes {
						h.after = count
						return
					}
					for _, method := range tt.methods {
						h.faults.Block(method)
					}
					cancel()
				}
				h.after = count
				start := time.Now()
				err := tt.do(ctx, h)
				if took := time.Since(start); took != 2*time.Second {
					t.Errorf("it took %v", took)
				}
				// The error says both: why it was to be taken back, and that it was not.
				if !errors.Is(err, context.Canceled) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, keys.ErrUnavailable) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// TestUndoLeavesOthersAlone takes a change back after somebody else has changed the
// same record.
func TestUndoLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	lan, part := mustNetworks(t, "10.0.0.0/8"), mustNetworks(t, "10.1.0.0/16")
	target := keys.Spec{Label: "before", Scopes: []string{"keys:manage"}, RateLimit: 10, Metadata: "before", Lifetime: time.Hour}
	narrowed := target
	narrowed.Networks, narrowed.Scopes = part, nil
	for _, tt := range []struct {
		name          string
		target        keys.Spec
		mine, theirs  keys.Change
		want          func(before, theirs keys.Record) keys.Record // what is left
		alreadyPaused bool
	}{
		{
			name: "another field", target: target, mine: keys.Change{Scopes: new([]string{"webhooks:manage"}), RateLimit: new(500), Metadata: new("mine")},
			theirs: keys.Change{Label: new("theirs")},
			want:   func(before, theirs keys.Record) keys.Record { before.Label = "theirs"; return before },
		},
		{
			name: "the same fields, to less", target: target, mine: keys.Change{Label: new("mine"), Metadata: new("mine"), RateLimit: new(500), Lifetime: new(2 * time.Hour)},
			theirs: keys.Change{Label: new("theirs"), Metadata: new("theirs"), RateLimit: new(5), Lifetime: new(time.Minute)},
			want:   func(_, theirs keys.Record) keys.Record { return theirs },
		},
		{
			name: "the same fields, to more", target: target,
			mine:   keys.Change{Scopes: new([]string{"webhooks:manage"}), RateLimit: new(500), Lifetime: new(2 * time.Hour)},
			theirs: keys.Change{Scopes: new([]string{"webhooks:manage", "keys:manage"}), RateLimit: new(600), Lifetime: new(3 * time.Hour), Label: new("theirs")},
			want:   func(before, _ keys.Record) keys.Record { before.Label = "theirs"; return before },
		},
		{
			name: "scopes of which one is left", target: keys.Spec{Scopes: admin.Scopes},
			mine: keys.Change{Scopes: new([]string{})}, theirs: keys.Change{Scopes: new([]string{"keys:manage"})},
			want: func(_, theirs keys.Record) keys.Record { return theirs },
		},
		{
			name: "an end, where there was none", target: keys.Spec{}, mine: keys.Change{Lifetime: new(time.Hour)}, theirs: keys.Change{Lifetime: new(time.Minute)},
			want: func(_, theirs keys.Record) keys.Record { return theirs },
		},
		{
			name: "an end that was there", target: keys.Spec{}, mine: keys.Change{Lifetime: new(time.Hour)}, theirs: keys.Change{Label: new("theirs")},
			want: func(before, _ keys.Record) keys.Record { before.Label = "theirs"; return before },
		},
		{
			name: "wider networks", target: narrowed, mine: keys.Change{Networks: &lan}, theirs: keys.Change{Networks: new(keys.Networks)},
			want: func(before, _ keys.Record) keys.Record { return before },
		},
		{
			name: "narrower networks", target: keys.Spec{}, mine: keys.Change{Networks: &lan}, theirs: keys.Change{Networks: &part},
			want: func(_, theirs keys.Record) keys.Record { return theirs },
		},
		{
			name: "the default limit", target: keys.Spec{}, mine: keys.Change{RateLimit: new(0)}, theirs: keys.Change{RateLimit: new(700)},
			want: func(before, _ keys.Record) keys.Record { return before },
		},
		{
			name: "a pause", target: keys.Spec{}, mine: keys.Change{Disabled: new(true)}, theirs: keys.Change{Label: new("theirs")},
			want: func(before, _ keys.Record) keys.Record { before.Label = "theirs"; return before },
		},
		{
			name: "the end of a pause, and another pause", target: keys.Spec{}, mine: keys.Change{Disabled: new(false)}, theirs: keys.Change{Disabled: new(true)}, alreadyPaused: true,
			want: func(_, theirs keys.Record) keys.Record { return theirs },
		},
		{
			name: "the end of a pause", target: keys.Spec{}, mine: keys.Change{Disabled: new(false)}, theirs: keys.Change{Label: new("theirs")}, alreadyPaused: true,
			want: func(before, _ keys.Record) keys.Record { before.Label = "theirs"; return before },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, nil)
				p, id := caller(t, env, admin), env.create(tt.target).Record.ID
				if tt.alreadyPaused {
					if _, err := env.host.Change(t.Context(), "acme", "", id, keys.Change{Disabled: new(true)}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second) // on the test's own clock
				}
				before, theirs := env.records()[id], keys.Record{}
				env.types()
				env.after = func(string) {
					var err error
					if theirs, err = env.host.Change(t.Context(), "acme", "", id, tt.theirs); err != nil {
						t.Error(err)
					}
					if err := env.host.Revoke(t.Context(), "acme", "", p.ID); err != nil {
						t.Error(err)
					}
				}
				if _, err := env.manager.As(p).Change(t.Context(), keys.KindKey, id, tt.mine); !errors.Is(err, keys.ErrCallerEnded) || errors.Is(err, keys.ErrUnavailable) {
					t.Errorf("%v", err)
				}
				want, got := tt.want(before, theirs), env.records()[id]
				want.Version = got.Version
				if diff := cmp.Diff(want, got, cmpRecords); diff != "" {
					t.Error(diff)
				}
				if types := env.types(); !cmp.Equal(types, []keys.EventType{keys.Changed, keys.Changed}) {
					t.Errorf("events %v; want one for the change, and one for its end", types)
				}
			})
		})
	}
}

// TestUndoOfALimitWithoutAFigure takes back a change to a record that had no limit of
// its own, so that the default or the plan of its organization counted. Somebody else
// has changed the limit meanwhile. Theirs stays unless it gives more than before.
func TestUndoOfALimitWithoutAFigure(t *testing.T) {
	t.Parallel()
	plan := func(context.Context, string) (int, error) { return 5000, nil }
	for _, tt := range []struct {
		name   string
		opts   *keys.Options
		theirs int
		want   int
	}{
		{"below the default", nil, 400, 400},
		{"above the default", nil, 700, 0},
		{"with a plan", &keys.Options{Plan: plan}, 700, 700},
	} {
		env := newEnv(t, tt.opts)
		p := caller(t, env, admin)
		rec := goodRecord(t, keys.KindKey)
		rec.RateLimit, rec.Scopes = 0, scopes.MustParse("identity:read")
		env.insert(rec)
		env.after = func(string) {
			if _, err := env.host.Change(t.Context(), "acme", "", rec.ID, keys.Change{RateLimit: &tt.theirs}); err != nil {
				t.Error(err)
			}
			if err := env.host.Revoke(t.Context(), "acme", "", p.ID); err != nil {
				t.Error(err)
			}
		}
		if _, err := env.manager.As(p).Change(t.Context(), keys.KindKey, rec.ID, keys.Change{RateLimit: new(500)}); !errors.Is(err, keys.ErrCallerEnded) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := env.records()[rec.ID].RateLimit; got != tt.want {
			t.Errorf("%s: the limit is %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestUndoOfWhatWasRevoked takes a change back from a record that was revoked since,
// and leaves it revoked.
func TestUndoOfWhatWasRevoked(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	p, id := caller(t, env, admin), env.create(admin).Record.ID
	env.after = func(string) {
		if _, err := env.host.RevokeAll(t.Context(), "acme"); err != nil {
			t.Error(err)
		}
	}
	if _, err := env.manager.As(p).Change(t.Context(), keys.KindKey, id, keys.Change{Label: new("x")}); !errors.Is(err, keys.ErrCallerEnded) || errors.Is(err, keys.ErrConflict) {
		t.Errorf("%v", err)
	}
	if rec := env.records()[id]; rec.Label != "admin" || !rec.Revoked() {
		t.Errorf("label %q, revoked %t", rec.Label, rec.Revoked())
	}
}
