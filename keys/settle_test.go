package keys_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A settling is a store in which a cache is announced. It says when it is asked for the
// longest lease.
type settling struct {
	quiet
	asked func() // may be nil
	err   error  // DeadlineExceeded is returned at the deadline
}

func (s *settling) LongestLease(ctx context.Context) (time.Duration, error) {
	if s.asked != nil {
		s.asked()
	}
	if s.err == context.DeadlineExceeded {
		<-ctx.Done()
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.quiet.LongestLease(ctx)
}

// A settler is what TestWhatSettles has at hand.
type settler struct {
	*env
	m      *keys.Manager
	actor  keys.Actor
	key    keys.Issued
	client keys.Issued
	by     keys.Principal
}

// TestWhatSettles makes each call of a manager while a cache with a lease of a second
// is announced. Those that end or change something take 1.2 seconds, and ask for the
// lease after they have written. The others take no time.
func TestWhatSettles(t *testing.T) {
	t.Parallel()
	revoked := func(s *settler) string {
		if err := s.host.Revoke(s.t.Context(), "acme", "", s.key.Record.ID); err != nil {
			s.t.Fatal(err)
		}
		return s.key.Record.ID
	}
	// leave has the caller's credential ended when it has written.
	leave := func(s *settler) {
		s.after = func(string) {
			if err := s.host.Revoke(s.t.Context(), "acme", "", s.by.ID); err != nil {
				s.t.Error(err)
			}
		}
	}
	const settles, returns = 1200 * time.Millisecond, 0
	tests := []struct {
		name string
		do   func(ctx context.Context, s *settler) error
		want time.Duration
		err  error
	}{
		{"revoke", func(ctx context.Context, s *settler) error {
			return s.m.Revoke(ctx, "acme", "", s.key.Record.ID)
		}, settles, nil},
		{"revoke what was revoked before", func(ctx context.Context, s *settler) error {
			return s.m.Revoke(ctx, "acme", "", revoked(s))
		}, settles, nil},
		{"revoke all", func(ctx context.Context, s *settler) error {
			_, err := s.m.RevokeAll(ctx, "acme")
			return err
		}, settles, nil},
		{"revoke all of nobody", func(ctx context.Context, s *settler) error {
			_, err := s.m.RevokeAll(ctx, "nobody")
			return err
		}, settles, nil},
		{"descendants", func(ctx context.Context, s *settler) error {
			_, err := s.m.RevokeDescendants(ctx, "acme", "", s.key.Record.ID)
			return err
		}, settles, nil},
		{"descendants of what was revoked before", func(ctx context.Context, s *settler) error {
			_, err := s.m.RevokeDescendants(ctx, "acme", "", revoked(s))
			return err
		}, settles, nil},
		{"change", func(ctx context.Context, s *settler) error {
			_, err := s.m.Change(ctx, "acme", "", s.key.Record.ID, keys.Change{Scopes: &[]string{}})
			return err
		}, settles, nil},
		{"pause what is paused", func(ctx context.Context, s *settler) error {
			if _, err := s.host.Change(ctx, "acme", "", s.key.Record.ID, keys.Change{Disabled: new(true)}); err != nil {
				return err
			}
			_, err := s.m.Change(ctx, "acme", "", s.key.Record.ID, keys.Change{Disabled: new(true)})
			return err
		}, settles, nil},
		{"rotate", func(ctx context.Context, s *settler) error {
			_, err := s.m.Rotate(ctx, "acme", s.key.Record.ID, keys.Rotation{})
			return err
		}, settles, nil},
		{"rotate a secret", func(ctx context.Context, s *settler) error {
			_, err := s.m.RotateSecret(ctx, "acme", s.client.Record.ID, 0)
			return err
		}, settles, nil},
		{"rotate a secret, and lose the answer", func(ctx context.Context, s *settler) error {
			s.faults.Lose(storetest.Update, 1, errors.New("connection reset"))
			_, err := s.m.RotateSecret(ctx, "acme", s.client.Record.ID, 0)
			return err
		}, settles, nil},
		{"an actor revokes", func(ctx context.Context, s *settler) error {
			return s.actor.Revoke(ctx, "", s.key.Record.ID)
		}, settles, nil},
		{"an actor revokes descendants", func(ctx context.Context, s *settler) error {
			_, err := s.actor.RevokeDescendants(ctx, "", s.key.Record.ID)
			return err
		}, settles, nil},
		{"an actor changes", func(ctx context.Context, s *settler) error {
			_, err := s.actor.Change(ctx, "", s.key.Record.ID, keys.Change{Label: new("x")})
			return err
		}, settles, nil},
		{"an actor rotates", func(ctx context.Context, s *settler) error {
			_, err := s.actor.Rotate(ctx, s.key.Record.ID, keys.Rotation{})
			return err
		}, settles, nil},
		{"an actor rotates a secret", func(ctx context.Context, s *settler) error {
			_, err := s.actor.RotateSecret(ctx, s.client.Record.ID, 0)
			return err
		}, settles, nil},
		{"a change that is undone", func(ctx context.Context, s *settler) error {
			leave(s)
			_, err := s.actor.Change(ctx, "", s.key.Record.ID, keys.Change{Label: new("x")})
			return err
		}, settles, keys.ErrCallerEnded},
		{"a rotation that is undone", func(ctx context.Context, s *settler) error {
			s.after = func(string) { leave(s) } // the successor is written first
			_, err := s.actor.Rotate(ctx, s.key.Record.ID, keys.Rotation{})
			return err
		}, settles, keys.ErrCallerEnded},
		{"what was made and taken back", func(ctx context.Context, s *settler) error {
			leave(s)
			_, err := s.actor.Create(ctx, keys.Spec{})
			return err
		}, returns, keys.ErrCallerEnded},
		{"change nothing", func(ctx context.Context, s *settler) error {
			_, err := s.m.Change(ctx, "acme", "", s.key.Record.ID, keys.Change{})
			return err
		}, returns, nil},
		{"create", func(ctx context.Context, s *settler) error {
			_, err := s.m.Create(ctx, "acme", keys.Spec{})
			return err
		}, returns, nil},
		{"issue a token", func(ctx context.Context, s *settler) error {
			_, err := s.m.IssueToken(ctx, s.client.Record, scopes.Set{}, time.Hour)
			return err
		}, returns, nil},
		{"upgrade a digest", func(ctx context.Context, s *settler) error {
			peppers := []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}}
			_, verifier := s.on(&settling{quiet: quiet{watched{s.faults, s.env}, time.Second}}, &keys.Options{Peppers: peppers})
			_, err := verifier.Verify(ctx, s.key.Text.Reveal())
			return err
		}, returns, nil},
		{"sweep", func(ctx context.Context, s *settler) error {
			_, err := s.m.Sweep(ctx, time.Now())
			return err
		}, returns, nil},
		{"what is not there", func(ctx context.Context, s *settler) error {
			return s.m.Revoke(ctx, "acme", "", "no-such-key")
		}, returns, keys.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &settler{env: newEnv(t, nil)}
				s.key, s.client, s.by = s.create(admin), createClient(t, s.env, admin), caller(t, s.env, admin)
				writes := func() int { return s.faults.Calls(storetest.Update) + s.faults.Calls(storetest.Insert) }
				seen, before := -1, writes()
				db := &settling{quiet: quiet{watched{s.faults, s.env}, time.Second}, asked: func() { seen = writes() }}
				time.Sleep(time.Hour) // on the test's own clock: the credentials are from before
				begin := time.Now()
				s.m, _ = s.on(db, &keys.Options{Catalog: catalog, Hook: func(_ context.Context, e keys.Event) {
					if now := time.Now(); !e.Time.Equal(now) || now.Sub(begin) >= settles {
						t.Errorf("told %v after %v, of %v", e.Type, now.Sub(begin), e.Time)
					}
				}})
				s.actor = s.m.As(s.by)
				if err := tt.do(t.Context(), s); !errors.Is(err, tt.err) {
					t.Fatal(err)
				}
				if took := time.Since(begin).Truncate(100 * time.Millisecond); took != tt.want { // tries are spread
					t.Errorf("took %v, want %v", took, tt.want)
				}
				if tt.want == settles && seen != writes() {
					t.Errorf("the lease was read after %d of %d writes", seen-before, writes()-before)
				}
			})
		})
	}
}

// TestSettle calls Settle in every situation.
func TestSettle(t *testing.T) {
	t.Parallel()
	const second = time.Second
	tests := []struct {
		name  string
		lease time.Duration
		err   error // of the store
		gone  bool  // the caller
		took  time.Duration
		want  []error
	}{
		{"no cache", 0, nil, false, 0, nil},
		{"a short lease", keys.MinLease, nil, false, 60 * time.Millisecond, nil},
		{"the longest lease", keys.MaxLease, nil, false, 6 * second, nil},
		{"not committed", second, keys.ErrUncommitted, false, 0, []error{keys.ErrUncommitted}},
		{"a store that fails", second, errDown, false, 0, []error{keys.ErrUnsettled, keys.ErrUnavailable, errDown}},
		{"a store that hangs", second, context.DeadlineExceeded, false, keys.DefaultTimeout, []error{keys.ErrUnsettled, keys.ErrUnavailable}},
		{"a caller that is gone", second, nil, true, 0, []error{keys.ErrUnsettled, keys.ErrUnavailable, context.Canceled}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, nil)
				manager, _ := env.on(&settling{quiet: quiet{env.faults, tt.lease}, err: tt.err}, nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.gone {
					cancel()
				}
				begin := time.Now()
				err := manager.Settle(ctx)
				if took := time.Since(begin); took != tt.took || (err == nil) != (tt.want == nil) {
					t.Errorf("%v after %v", err, took)
				}
				for _, want := range tt.want {
					if !errors.Is(err, want) {
						t.Errorf("%v, want %v", err, want)
					}
				}
				if errors.Is(err, keys.ErrUncommitted) && errors.Is(err, keys.ErrUnsettled) {
					t.Errorf("%v is both", err)
				}
			})
		})
	}
}

// TestChangesInTransactions makes changes of which the store says that they are not
// committed: they return at once, and without an error.
func TestChangesInTransactions(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	key, client := env.create(admin).Record, createClient(t, env, admin).Record
	manager, _ := env.on(&settling{quiet: quiet{env.faults, time.Second}, err: keys.ErrUncommitted}, nil)
	_, change := manager.Change(t.Context(), "acme", "", key.ID, keys.Change{Label: new("x")})
	_, rotate := manager.Rotate(t.Context(), "acme", key.ID, keys.Rotation{Overlap: time.Hour})
	_, secret := manager.RotateSecret(t.Context(), "acme", client.ID, time.Hour)
	_, all := manager.RevokeAll(t.Context(), "acme")
	if err := errors.Join(change, rotate, secret, all, manager.Revoke(t.Context(), "acme", "", key.ID)); err != nil {
		t.Error(err)
	}
}

// TestOverlapsCountFromSettling rotates while a cache is announced: the old secret is
// good for the overlap after the call has returned, and Forever stays what it is.
func TestOverlapsCountFromSettling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ overlap, want time.Duration }{
			{0, -1200 * time.Millisecond},
			{time.Hour, time.Hour},
			{keys.Forever - 1, keys.Forever - 1 - 1200*time.Millisecond},
			{keys.Forever, keys.Forever - 1200*time.Millisecond},
		} {
			env := newEnv(t, nil)
			key, client := env.create(admin).Record, createClient(t, env, admin).Record
			manager, _ := env.on(&settling{quiet: quiet{env.faults, time.Second}}, nil)
			if _, err := manager.Rotate(t.Context(), "acme", key.ID, keys.Rotation{Overlap: tt.overlap}); err != nil {
				t.Fatal(err)
			}
			if key, err := manager.Find(t.Context(), key.ID); err != nil || tt.overlap < keys.Forever-1 && !key.ExpiresAt.Equal(now().Add(tt.want)) {
				t.Errorf("%v: the key ends %v after the call, %v", tt.overlap, key.ExpiresAt.Sub(now()), err)
			}
			if _, err := manager.RotateSecret(t.Context(), "acme", client.ID, tt.overlap); err != nil {
				t.Fatal(err)
			}
			client, err := manager.Find(t.Context(), client.ID)
			left := client.PreviousExpiresAt.Sub(now())
			if tt.overlap == 0 {
				left = tt.want // there is no previous one
			}
			if err != nil || (tt.want-left).Abs() > time.Millisecond {
				t.Errorf("%v: the secret ends %v after the call, %v", tt.overlap, left, err)
			}
		}
	})
}

// TestStructsWithCaches hands a manager a struct that embeds a cache and changes one
// of its answers. The manager settles, and asks the struct; and no cache is made over
// it.
func TestStructsWithCaches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(admin)
		cache, err := keys.NewCache(&settling{quiet: quiet{env.faults, time.Second}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		outer := denying{cache}
		manager, verifier := env.on(outer, nil)
		if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); !errors.Is(err, errDown) {
			t.Errorf("%v, want the answer of the struct", err)
		}
		begin := time.Now()
		if err := manager.Revoke(t.Context(), "nobody", "", key.Record.ID); !errors.Is(err, errDown) {
			t.Errorf("%v", err)
		}
		if _, err := manager.RevokeAll(t.Context(), "acme"); err != nil || time.Since(begin) < 1200*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		for s, want := range map[keys.Store]string{cache: "is a Cache already", outer: "is a Cache already", env.store: "no feed", nil: "needs a store"} {
			if _, err := keys.NewCache(s, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%T: %v", s, err)
			}
		}
	})
}

type denying struct{ *keys.Cache }

func (denying) Get(context.Context, string) (rec, parent keys.Record, err error) {
	return rec, parent, errDown
}
