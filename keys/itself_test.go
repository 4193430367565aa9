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
)

// itself returns the caller that actorOf returns, and the kind of its lasting credential.
func itself(t *testing.T, env *env, token bool) (p keys.Principal, kind keys.Kind) {
	t.Helper()
	p = actorOf(t, env, token)
	if token {
		return p, keys.KindClient
	}
	return p, keys.KindKey
}

// TestActorsEndThemselves has callers make changes that end their own credentials.
func TestActorsEndThemselves(t *testing.T) {
	t.Parallel()
	for _, token := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			p, kind := itself(t, env, token)
			rec, err := env.manager.As(p).Change(t.Context(), kind, p.LastingID(), keys.Change{Disabled: new(true)})
			if err != nil || rec.DisabledAt.IsZero() || env.records()[rec.ID].DisabledAt.IsZero() {
				t.Errorf("token %t: a pause: %v, %v", token, rec, err)
			}
			if _, err := env.manager.As(p).Change(t.Context(), kind, p.LastingID(), keys.Change{Disabled: new(false)}); err != keys.ErrCallerEnded {
				t.Errorf("token %t: the end of the pause: %v", token, err)
			}
		})
	}
	for _, overlap := range []time.Duration{0, time.Minute, keys.Forever} {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			p := actorOf(t, env, false)
			next, err := env.manager.As(p).Rotate(t.Context(), p.ID, keys.Rotation{Overlap: overlap})
			if err != nil || !next.Record.ExpiresAt.Equal(p.ExpiresAt) {
				t.Fatalf("overlap %v: until %v, %v", overlap, next.Record.ExpiresAt, err)
			}
			if got, err := env.verify(next.Text.Reveal()); err != nil || got.CreatedBy != p.ID {
				t.Errorf("overlap %v: %+v, %v", overlap, got, err)
			}
		})
	}
	env := newEnv(t, nil)
	p, kind := itself(t, env, true)
	if _, err := env.manager.As(p).RotateSecret(t.Context(), p.LastingID(), 0); err != nil {
		t.Errorf("a token that rotates the secret of its client: %v", err)
	}
	if err := env.manager.As(p).Revoke(t.Context(), kind, p.LastingID()); err != nil {
		t.Errorf("a token that revokes its client: %v", err)
	}
}

// TestActorsThatEndWhileTheyEndThemselves has somebody else end a caller that ends
// itself just then: what it did is taken back.
func TestActorsThatEndWhileTheyEndThemselves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		token bool
		blow  func(env *env, p keys.Principal) error
		do    func(a keys.Actor, p keys.Principal) error
	}{
		{"rotated, and revoked", false, blows[0].do, rotateItself},
		{"rotated, and paused", false, blows[1].do, rotateItself},
		{"rotated, and expired", false, blows[3].do, rotateItself},
		{"paused, and revoked", false, blows[0].do, pauseItself},
		{"paused, and its token revoked", true, func(e *env, p keys.Principal) error {
			return e.host.Revoke(context.Background(), "acme", keys.KindToken, p.ID)
		}, pauseItself},
		{"paused, and its token swept", true, func(e *env, p keys.Principal) error {
			_, err := e.host.Sweep(context.Background(), time.Now().Add(24*time.Hour))
			return err
		}, pauseItself},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, &keys.Options{Timeout: 24 * time.Hour})
				p := actorOf(t, env, tt.token)
				n := len(env.records())
				var second func(string)
				second = func(write string) {
					if write == "insert" { // of the successor, which is not all
						env.after = second
						return
					}
					if err := tt.blow(env, p); err != nil {
						t.Error(err)
					}
				}
				env.after = second
				if err := tt.do(env.manager.As(p), p); !errors.Is(err, keys.ErrCallerEnded) || errors.Is(err, keys.ErrUnavailable) {
					t.Errorf("%v", err)
				}
				for id, rec := range env.records() {
					if id == p.LastingID() && (rec.ReplacedBy != "" || rec.Disabled() && tt.token || !rec.ExpiresAt.Equal(rec.CreatedAt.Add(time.Hour))) {
						t.Errorf("what it did to itself stays: %+v", rec)
					}
					if id != p.LastingID() && !rec.Revoked() {
						t.Errorf("what it made stays: %+v", rec)
					}
				}
				if len(env.records()) < n {
					t.Error("a record is gone")
				}
			})
		})
	}
}

func rotateItself(a keys.Actor, p keys.Principal) error {
	_, err := a.Rotate(context.Background(), p.ID, keys.Rotation{})
	return err
}

func pauseItself(a keys.Actor, p keys.Principal) error {
	kind := keys.KindKey
	if p.Client != "" {
		kind = keys.KindClient
	}
	_, err := a.Change(context.Background(), kind, p.LastingID(), keys.Change{Disabled: new(true)})
	return err
}

// TestOthersChangeWhoChangesItself has somebody change a caller that changes itself
// just then, in a way that takes nothing away: both stay.
func TestOthersChangeWhoChangesItself(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	p, kind := itself(t, env, false)
	env.after = func(string) {
		if _, err := env.host.Change(t.Context(), "acme", "", p.ID, keys.Change{Metadata: new("theirs")}); err != nil {
			t.Error(err)
		}
	}
	if _, err := env.manager.As(p).Change(t.Context(), kind, p.ID, keys.Change{Label: new("mine"), Scopes: &admin.Scopes}); err != nil {
		t.Errorf("%v", err)
	}
	if rec := env.records()[p.ID]; rec.Label != "mine" || rec.Metadata != "theirs" {
		t.Errorf("label %q, metadata %q", rec.Label, rec.Metadata)
	}
}

// TestActorsThatCannotBeLookedAt has the store fail after a caller has changed itself,
// at the first read that follows or at the second. The change is taken back.
func TestActorsThatCannotBeLookedAt(t *testing.T) {
	t.Parallel()
	for calls := 1; calls <= 2; calls++ { // which read fails
		env := newEnv(t, nil)
		p := actorOf(t, env, false)
		before := env.records()
		env.after = func(string) {
			n := 0
			env.faults.Corrupt(storetest.Get, storetest.Always, func(*keys.Record) {
				if n++; n == calls-1 {
					env.faults.Fail(storetest.Get, 1, errDown)
				}
			})
			if calls == 1 {
				env.faults.Fail(storetest.Get, 1, errDown)
			}
		}
		err := pauseItself(env.manager.As(p), p)
		if !errors.Is(err, errDown) || !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("call %d: %v", calls, err)
		}
		env.faults.Heal()
		env.unchanged(before, "")
	}
}

// TestNobodyWidensItself has somebody narrow a caller that is about to give itself the
// rights which it had. The rights before its change count, and not those that the change
// gives it.
func TestNobodyWidensItself(t *testing.T) {
	t.Parallel()
	wide := []string{"keys:manage", "webhooks:manage"}
	lan := mustNetworks(t, "10.0.0.0/8")
	for _, tt := range []struct {
		name   string
		change keys.Change // by the caller
		narrow keys.Change // by somebody else
	}{
		{"scopes", keys.Change{Scopes: &wide}, keys.Change{Scopes: new([]string{})}},
		{"a limit", keys.Change{RateLimit: new(600)}, keys.Change{RateLimit: new(1)}},
		{"networks", keys.Change{Networks: new(keys.Networks)}, keys.Change{Networks: &lan}},
		{"an end", keys.Change{Lifetime: new(time.Hour)}, keys.Change{Lifetime: new(time.Minute)}},
	} {
		for _, token := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				env := newEnv(t, nil)
				p, kind := itself(t, env, token)
				env.during = func(string) {
					if _, err := env.host.Change(t.Context(), "acme", "", p.LastingID(), tt.narrow); err != nil {
						t.Error(err)
					}
				}
				_, err := env.manager.As(p).Change(t.Context(), kind, p.LastingID(), tt.change)
				if !errors.Is(err, keys.ErrBeyond) || errors.Is(err, keys.ErrUnavailable) {
					t.Errorf("token %t: %v", token, err)
				}
				rec := env.records()[p.LastingID()]
				if rec.Scopes == scopes.MustParse("identity:read keys:manage webhooks:manage") && tt.name == "scopes" ||
					rec.RateLimit == 600 && tt.name == "a limit" || rec.Networks != lan && tt.name == "networks" ||
					rec.ExpiresAt.After(now().Add(time.Minute)) && tt.name == "an end" {
					t.Errorf("token %t: it has all again: %+v", token, rec)
				}
			})
		}
	}
}

// TestNarrowedWhileItRotatesItself has somebody narrow a key just after it has written its
// own rotation. The successor has more than the key has by then, so it is taken back.
func TestNarrowedWhileItRotatesItself(t *testing.T) {
	t.Parallel()
	lan := mustNetworks(t, "10.0.0.0/8")
	for name, narrow := range map[string]keys.Change{
		"scopes":   {Scopes: new([]string{})},
		"a limit":  {RateLimit: new(1)},
		"networks": {Networks: &lan},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t, nil)
			p := actorOf(t, env, false)
			var written func(string)
			written = func(write string) {
				if write == "insert" { // of the successor, which comes first
					env.after = written
					return
				}
				if _, err := env.host.Change(t.Context(), "acme", "", p.ID, narrow); err != nil {
					t.Error(err)
				}
			}
			env.after = written
			_, err := env.manager.As(p).Rotate(t.Context(), p.ID, keys.Rotation{Overlap: time.Minute})
			if !errors.Is(err, keys.ErrBeyond) || errors.Is(err, keys.ErrUnavailable) {
				t.Errorf("%v, want ErrBeyond", err)
			}
			for id, rec := range env.records() {
				if id == p.ID && (rec.ReplacedBy != "" || rec.Revoked()) || id != p.ID && rec.Replaces == p.ID && !rec.Revoked() {
					t.Errorf("the rotation stays: %+v", rec)
				}
			}
		})
	}
}

// TestShortenedCallers brings the end of a caller forward while it makes, changes
// or rotates something that is to live longer.
func TestShortenedCallers(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(a keys.Actor, id string) error{
		"create": func(a keys.Actor, _ string) error {
			_, err := a.Create(context.Background(), keys.Spec{})
			return err
		},
		"rotate": func(a keys.Actor, id string) error {
			_, err := a.Rotate(context.Background(), id, keys.Rotation{Overlap: keys.Forever})
			return err
		},
		"change": func(a keys.Actor, id string) error {
			_, err := a.Change(context.Background(), keys.KindKey, id, keys.Change{Lifetime: new(2 * time.Hour)})
			return err
		},
	} {
		env := newEnv(t, nil)
		p, id := actorOf(t, env, false), env.create(keys.Spec{Lifetime: time.Minute}).Record.ID
		before := env.records()
		env.after = func(string) {
			if _, err := env.host.Change(t.Context(), "acme", "", p.ID, keys.Change{Lifetime: new(time.Second)}); err != nil {
				t.Error(err)
			}
		}
		var e *keys.BeyondError
		if err := do(env.manager.As(p), id); !errors.As(err, &e) || e.Field != keys.FieldLifetime {
			t.Errorf("%s: %v", name, err)
		}
		env.unchanged(before, p.ID)
	}
}

// TestSessionsAreNotCredentials gives a session of the host the ID of a key.
func TestSessionsAreNotCredentials(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id := env.create(keys.Spec{}).Record.ID
	session := env.manager.As(keys.Principal{Org: "acme", ID: id, RateLimit: 600})
	if _, err := session.Change(t.Context(), keys.KindKey, id, keys.Change{Disabled: new(true)}); err != nil {
		t.Errorf("%v", err)
	}
}

// TestRotateKeepsToTheEnvironment has a key of one environment rotate those of
// another.
func TestRotateKeepsToTheEnvironment(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	tester, master := caller(t, env, keys.Spec{Environment: "test"}), caller(t, env, keys.Spec{})
	live, test := env.create(keys.Spec{}).Record.ID, env.create(keys.Spec{Environment: "test"}).Record.ID
	client := createClient(t, env, keys.Spec{Environment: "live"}).Record.ID
	none := goodRecord(t, keys.KindClient) // made before clients had one
	none.ID, none.RateLimit, none.Scopes = "cc_00000000000000ff", 1, scopes.Set{}
	env.insert(none)
	var e *keys.BeyondError
	if _, err := env.manager.As(tester).Rotate(t.Context(), live, keys.Rotation{}); !errors.As(err, &e) || e.Field != keys.FieldEnvironment {
		t.Errorf("a live key by one for tests: %v", err)
	}
	for _, id := range []string{client, none.ID} {
		if _, err := env.manager.As(tester).RotateSecret(t.Context(), id, 0); !errors.As(err, &e) || e.Field != keys.FieldEnvironment {
			t.Errorf("the client %s by a key for tests: %v", id, err)
		}
	}
	if _, err := env.manager.As(tester).Rotate(t.Context(), test, keys.Rotation{Overlap: keys.Forever}); err != nil {
		t.Errorf("a key for tests by another: %v", err)
	}
	for _, id := range []string{live, test} {
		if _, err := env.manager.As(master).Rotate(t.Context(), id, keys.Rotation{}); err != nil {
			t.Errorf("%s by a live key: %v", id, err)
		}
	}
}
