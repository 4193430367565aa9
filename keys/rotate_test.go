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

func TestRotate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name              string
		lifetime, overlap time.Duration
		oldEnds           time.Duration // after the rotation; 0: never
		oldGood           bool
	}{
		{"forever", 0, keys.Forever, 0, true},
		{"forever, with an end", time.Hour, keys.Forever, time.Hour, true},
		{"an overlap", 0, time.Minute, time.Minute, true},
		{"an overlap beyond the end", time.Hour, 2 * time.Hour, time.Hour, true},
		{"at once", 0, 0, -1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, nil)
				old := env.create(keys.Spec{Label: "CI", Scopes: []string{"keys:manage"}, Environment: "test", RateLimit: 7, Lifetime: tt.lifetime})
				start := now()
				env.types()
				next, err := env.manager.Rotate(t.Context(), "acme", old.Record.ID, keys.Rotation{Overlap: tt.overlap})
				if err != nil {
					t.Fatal(err)
				}
				want := old.Record
				want.ID, want.Digest, want.Replaces = next.Record.ID, next.Record.Digest, old.Record.ID
				if diff := cmp.Diff(want, next.Record, cmpRecords); diff != "" || next.Record.ID == old.Record.ID {
					t.Errorf("the successor differs in more than its ID:\n%s", diff)
				}
				if next.Record.ID[:9] != "vck_test_" {
					t.Errorf("the successor is %q", next.Record.ID)
				}
				if got := env.types(); !slices.Equal(got, []keys.EventType{keys.Created, keys.Rotated}) {
					t.Errorf("events %v", got)
				}
				if _, err := env.verify(next.Text.Reveal()); err != nil {
					t.Errorf("the new key: %v", err)
				}
				if _, err := env.verify(old.Text.Reveal()); (err == nil) != tt.oldGood {
					t.Errorf("the old key: %v", err)
				}
				rec, err := env.manager.Get(t.Context(), "acme", "", old.Record.ID)
				if err != nil {
					t.Fatal(err)
				}
				if rec.ReplacedBy != next.Record.ID {
					t.Errorf("the old key names %q as its successor", rec.ReplacedBy)
				}
				switch {
				case tt.oldEnds == 0 && !rec.ExpiresAt.IsZero(), tt.oldEnds > 0 && !rec.ExpiresAt.Equal(start.Add(tt.oldEnds)):
					t.Errorf("the old key ends at %v", rec.ExpiresAt)
				}
			})
		})
	}
}

func TestRotateRefuses(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	revoked := env.create(keys.Spec{}).Record.ID
	if err := env.manager.Revoke(t.Context(), "acme", "", revoked); err != nil {
		t.Fatal(err)
	}
	over := env.create(keys.Spec{}).Record.ID
	if _, err := env.manager.Rotate(t.Context(), "acme", over, keys.Rotation{}); err != nil {
		t.Fatal(err)
	}
	paused := env.create(keys.Spec{}).Record.ID
	if _, err := env.manager.Change(t.Context(), "acme", keys.KindKey, paused, keys.Change{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	clientRec, tokenRec, _, _ := pair(t, env)
	inserts := env.faults.Calls(storetest.Insert)
	for name, tt := range map[string]struct {
		id      string
		overlap time.Duration
		want    error
	}{
		"a revoked key":      {revoked, keys.Forever, keys.ErrRevoked},
		"an expired key":     {over, keys.Forever, keys.ErrExpired},
		"a paused key":       {paused, keys.Forever, keys.ErrPaused},
		"a client":           {clientRec.ID, keys.Forever, keys.ErrNotFound},
		"a token":            {tokenRec.ID, keys.Forever, keys.ErrNotFound},
		"an unknown key":     {"vck_live_x", keys.Forever, keys.ErrNotFound},
		"a negative overlap": {over, -1, keys.ErrInvalid},
	} {
		if issued, err := env.manager.Rotate(t.Context(), "acme", tt.id, keys.Rotation{Overlap: tt.overlap}); !errors.Is(err, tt.want) || issued.Text.Len() != 0 {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if n := env.faults.Calls(storetest.Insert); n != inserts {
		t.Error("a refused rotation made a key")
	}
}

// TestRotateLosesToRevoke revokes the old key between the insertion of its
// successor and the end of the rotation: the successor must not survive.
func TestRotateLosesToRevoke(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	old := env.create(keys.Spec{}).Record
	env.after = func(string) {
		if err := env.host.Revoke(t.Context(), "acme", "", old.ID); err != nil {
			t.Error(err)
		}
	}
	issued, err := env.manager.Rotate(t.Context(), "acme", old.ID, keys.Rotation{Overlap: keys.Forever})
	if !errors.Is(err, keys.ErrRevoked) || issued.Text.Len() != 0 {
		t.Errorf("%v, %v; want ErrRevoked", issued.Record, err)
	}
	for rec, err := range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey}) {
		if err != nil || !rec.Revoked() {
			t.Errorf("%v is alive, %v", rec, err)
		}
	}
	if n := len(env.records()); n != 2 {
		t.Errorf("%d keys; want the old one and its successor", n)
	}
}

// TestRotateThatCannotFinish loses the store between the two writes.
func TestRotateThatCannotFinish(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	old := env.create(keys.Spec{})
	cause := errors.New("down")
	env.faults.Fail(storetest.Update, 1, cause)
	if _, err := env.manager.Rotate(t.Context(), "acme", old.Record.ID, keys.Rotation{}); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if _, err := env.verify(old.Text.Reveal()); err != nil {
		t.Errorf("the old key suffers: %v", err)
	}
	for rec := range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey}) {
		if rec.ID != old.Record.ID && !rec.Revoked() {
			t.Errorf("the successor %v is alive", rec)
		}
	}
}

// TestRotateWhenTheStoreFails loses the store before the first write.
func TestRotateWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	old := env.create(keys.Spec{})
	cause := errors.New("down")
	for _, method := range []storetest.Method{storetest.Get, storetest.Insert} {
		env.faults.Fail(method, 1, cause)
		issued, err := env.manager.Rotate(t.Context(), "acme", old.Record.ID, keys.Rotation{})
		if !errors.Is(err, cause) || errors.Is(err, keys.ErrNotFound) || issued.Text.Len() != 0 {
			t.Errorf("%v: %v", method, err)
		}
	}
	rec, err := env.manager.Get(t.Context(), "acme", "", old.Record.ID)
	if diff := cmp.Diff(old.Record, rec, cmpRecords); err != nil || diff != "" {
		t.Errorf("the old key suffers: %v\n%s", err, diff)
	}
}

// TestRotateLosesToAnother has another process rotate the key just before a rotation
// writes the end of the key, and lets that write fail. The successor that the failed
// rotation has made is taken back, and that of the other process stays.
func TestRotateLosesToAnother(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	old := env.create(keys.Spec{}).Record.ID
	var other keys.Issued
	down := errors.New("down")
	env.during = func(string) { // the successor is inserted
		env.during = func(string) { // the old key is about to be written
			var err error
			if other, err = env.host.Rotate(t.Context(), "acme", old, keys.Rotation{Overlap: keys.Forever}); err != nil {
				t.Error(err)
			}
			env.faults.Fail(storetest.Update, 1, down)
		}
	}
	if _, err := env.manager.Rotate(t.Context(), "acme", old, keys.Rotation{Overlap: keys.Forever}); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	records := env.records()
	if len(records) != 3 || records[old].ReplacedBy != other.Record.ID {
		t.Fatalf("%v", records)
	}
	for id, rec := range records {
		if rec.Revoked() != (id != old && id != other.Record.ID) {
			t.Errorf("%s: revoked %v", id, rec.Revoked())
		}
	}
}

// TestRotateItselfThoughTheAnswerIsLost rotates the caller's own key, whose store does
// that and says that it failed.
func TestRotateItselfThoughTheAnswerIsLost(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	p := caller(t, env, admin)
	env.faults.Lose(storetest.Update, 1, errors.New("connection reset"))
	issued, err := env.manager.As(p).Rotate(t.Context(), p.ID, keys.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.verify(issued.Text.Reveal()); err != nil {
		t.Error(err)
	}
}

// TestRotationsQueue rotates a key twice at once: the second one makes nothing before
// the first one is done.
func TestRotationsQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id := env.create(keys.Spec{}).Record.ID
		before := env.faults.Calls(storetest.Insert)
		release := env.faults.Block(storetest.Insert)
		done := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := env.manager.Rotate(t.Context(), "acme", id, keys.Rotation{Overlap: keys.Forever})
				done <- err
			}()
		}
		synctest.Wait()
		if n := env.faults.Calls(storetest.Insert) - before; n != 1 {
			t.Errorf("%d keys are being made", n)
		}
		release()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	})
}
