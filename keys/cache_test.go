package keys_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
)

// quiet is a store with a feed in which nothing ever changes.
type quiet struct {
	keys.Store
	lease time.Duration
}

func (q *quiet) Announce(_ context.Context, _ string, lease time.Duration) error {
	q.lease = lease
	return nil
}

func (q *quiet) Withdraw(context.Context, ...string) error { q.lease = 0; return nil }

func (q *quiet) MarkIdle(context.Context, time.Duration) ([]string, error) { return nil, nil }

func (q *quiet) Poll(context.Context, string, keys.Position) (keys.Changes, error) {
	return keys.Changes{Next: "1"}, nil
}

func (q *quiet) LongestLease(context.Context) (time.Duration, error) { return q.lease, nil }

// TestChecksUseTheCache checks a key, a token and a client again and again: each is
// read once. What writes reads the store.
func TestChecksUseTheCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		cache, err := keys.NewCache(&quiet{Store: env.faults}, nil)
		if err != nil {
			t.Fatal(err)
		}
		manager, verifier := env.on(cache, nil)
		key, client := env.create(admin), createClient(t, env, admin)
		token, err := env.manager.IssueToken(t.Context(), client.Record, scopes.Set{}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- cache.Run(ctx) }()
		synctest.Wait()
		before := env.faults.Calls(storetest.Get)
		for range 10 {
			_, err1 := verifier.Verify(t.Context(), key.Text.Reveal())
			_, err2 := verifier.Verify(t.Context(), token.Text.Reveal())
			_, err3 := verifier.VerifyClient(t.Context(), client.Record.ID, client.Text.Reveal(), time.Now())
			if err1 != nil || err2 != nil || err3 != nil {
				t.Fatal(err1, err2, err3)
			}
		}
		if n := env.faults.Calls(storetest.Get) - before; n != 2 {
			t.Errorf("%d reads; want one of the key, and one of the token with its client", n)
		}
		if got := cache.Stats(); got.Hits != 28 || got.Misses != 2 {
			t.Errorf("%+v", got)
		}
		p, err := verifier.Verify(t.Context(), key.Text.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if err := env.host.Revoke(t.Context(), "acme", "", key.Record.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := manager.Recheck(t.Context(), p); err != keys.ErrCallerEnded {
			t.Errorf("Recheck reads the cache: %v", err)
		}
		if _, err := manager.Change(t.Context(), "acme", "", key.Record.ID, keys.Change{Label: new("x")}); err != keys.ErrRevoked {
			t.Errorf("Change reads the cache: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestNothingIsDoneBeforeAnOverlapIsKnown fails before a rotation begins: the error
// says that nothing was written.
func TestNothingIsDoneBeforeAnOverlapIsKnown(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	key, client := env.create(keys.Spec{}).Record, createClient(t, env, keys.Spec{}).Record
	manager, _ := env.on(&mute{quiet{Store: env.faults}}, nil)
	before := env.records()
	_, rotate := manager.Rotate(t.Context(), "acme", key.ID, keys.Rotation{Overlap: time.Hour})
	_, secret := manager.RotateSecret(t.Context(), "acme", client.ID, time.Hour)
	for name, err := range map[string]error{"rotate": rotate, "rotate a secret": secret} {
		if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrUnsettled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	env.unchanged(before, "")
}

// TestRotationsWaitForTheLongestLease rotates without an overlap while the store does not
// say how long to wait. The secret is returned when no cache can have the old one any
// more, or with an error as soon as the caller has gone.
func TestRotationsWaitForTheLongestLease(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]func(ctx context.Context, m *keys.Manager, key, client keys.Record, p keys.Principal) (keys.Issued, error){
		"a key": func(ctx context.Context, m *keys.Manager, key, _ keys.Record, _ keys.Principal) (keys.Issued, error) {
			return m.Rotate(ctx, "acme", key.ID, keys.Rotation{})
		},
		"a client": func(ctx context.Context, m *keys.Manager, _, client keys.Record, _ keys.Principal) (keys.Issued, error) {
			return m.RotateSecret(ctx, "acme", client.ID, 0)
		},
		"a key, as somebody": func(ctx context.Context, m *keys.Manager, key, _ keys.Record, p keys.Principal) (keys.Issued, error) {
			return m.As(p).Rotate(ctx, key.ID, keys.Rotation{})
		},
		"a client, as somebody": func(ctx context.Context, m *keys.Manager, _, client keys.Record, p keys.Principal) (keys.Issued, error) {
			return m.As(p).RotateSecret(ctx, client.ID, 0)
		},
	} {
		for _, gone := range []time.Duration{0, time.Second} { // 0 is never
			t.Run(fmt.Sprint(name, " ", gone), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					env := newEnv(t, nil)
					key, client := env.create(admin).Record, createClient(t, env, admin).Record
					caller, err := env.verify(env.create(admin).Text.Reveal())
					if err != nil {
						t.Fatal(err)
					}
					manager, _ := env.on(&mute{quiet{Store: env.faults}}, nil)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					want := 6 * time.Second
					if gone > 0 {
						want = gone
						time.AfterFunc(gone, cancel)
					}
					begin := time.Now()
					issued, err := rotate(ctx, manager, key, client, caller)
					if took := time.Since(begin); took != want || issued.Text.Len() == 0 {
						t.Errorf("%v after %v, want %v", issued.Record.ID, took, want)
					}
					if errors.Is(err, keys.ErrUnsettled) != (gone > 0) || err != nil && gone == 0 {
						t.Error(err)
					}
				})
			})
		}
	}
}

// mute is a quiet store that does not say who has announced what.
type mute struct{ quiet }

func (*mute) LongestLease(context.Context) (time.Duration, error) { return 0, errDown }

func TestNewCache(t *testing.T) {
	t.Parallel()
	s := &quiet{Store: newEnv(t, nil).store}
	for _, tt := range []struct {
		name string
		opts *keys.CacheOptions
		ok   bool
	}{
		{"nil", nil, true},
		{"zero", &keys.CacheOptions{}, true},
		{"the shortest lease", &keys.CacheOptions{Lease: keys.MinLease}, true},
		{"the longest lease", &keys.CacheOptions{Lease: keys.MaxLease}, true},
		{"too short a lease", &keys.CacheOptions{Lease: keys.MinLease - time.Millisecond}, false},
		{"too long a lease", &keys.CacheOptions{Lease: keys.MaxLease + time.Millisecond}, false},
		{"not whole milliseconds", &keys.CacheOptions{Lease: time.Second + 1}, false},
		{"a negative lease", &keys.CacheOptions{Lease: -time.Second}, false},
		{"a negative bound", &keys.CacheOptions{MaxRecords: -1}, false},
		{"a negative timeout", &keys.CacheOptions{Timeout: -1}, false},
	} {
		if cache, err := keys.NewCache(s, tt.opts); (err == nil) != tt.ok || (cache != nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestCacheIsBounded checks many more keys than a cache may hold. A bound below 64
// counts as 64.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	for asked, most := range map[int]int{1: 64, 128: 128} {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			cache := inUse(t, &quiet{Store: env.faults}, &keys.CacheOptions{MaxRecords: asked})
			_, verifier := env.on(cache, nil)
			for range 1000 {
				if _, err := verifier.Verify(t.Context(), env.create(keys.Spec{}).Text.Reveal()); err != nil {
					t.Fatal(err)
				}
			}
			if n := cache.Stats().Records; n < most/2 || n > most {
				t.Errorf("%d records are held, of at most %d", n, most)
			}
		})
	}
}

// TestRunOnce runs a cache while it runs, and again when it has stopped.
func TestRunOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		s := &quiet{Store: env.faults}
		cache, err := keys.NewCache(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- cache.Run(ctx) }()
			synctest.Wait()
			if err := cache.Run(ctx); err == nil {
				t.Error("a cache runs twice")
			}
			if s.lease != keys.DefaultLease || cache.Stats().Age != 0 {
				t.Errorf("announced %v, %+v", s.lease, cache.Stats())
			}
			cancel()
			if err := <-done; err != nil || s.lease != 0 || cache.Stats().Age != -1 {
				t.Errorf("%v, announced %v, %+v", err, s.lease, cache.Stats())
			}
		}
	})
}

// forgetful is a quiet store that knows of no announcement.
type forgetful struct {
	quiet
	polls int
}

func (s *forgetful) Poll(context.Context, string, keys.Position) (keys.Changes, error) {
	s.polls++
	return keys.Changes{}, keys.ErrNotAnnounced
}

// TestRunIsPatient runs a cache over a store that forgets announcements at once: it
// is asked no more often than one that does not.
func TestRunIsPatient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &forgetful{quiet: quiet{Store: newEnv(t, nil).store}}
		cache, err := keys.NewCache(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := cache.Run(ctx); err != nil {
			t.Error(err)
		}
		if failed := cache.Stats().Failed; s.polls < 30 || s.polls > 41 || failed < 30 || s.lease != 0 {
			t.Errorf("%d polls, %d failures, announced %v", s.polls, failed, s.lease)
		}
	})
}

// shaky is a quiet store whose polls fail while it is down.
type shaky struct {
	quiet
	down atomic.Bool
}

func (s *shaky) Poll(ctx context.Context, id string, at keys.Position) (keys.Changes, error) {
	if s.down.Load() {
		return keys.Changes{}, errDown
	}
	return s.quiet.Poll(ctx, id, at)
}

// TestRecordsOutlastALapse takes the feed of changes down for longer than the lease.
// Checks read the store meanwhile, and the cache has all its records afterwards.
func TestRecordsOutlastALapse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		s := &shaky{quiet: quiet{Store: env.faults}}
		_, verifier := env.on(inUse(t, s, nil), nil)
		key, other := env.create(keys.Spec{}), env.create(keys.Spec{})
		for _, step := range []struct {
			name string
			down bool
			key  keys.Issued
			want int
		}{{"at first", false, key, 1}, {"in the lapse", true, other, 5}, {"afterwards", false, key, 0}} {
			s.down.Store(step.down)
			time.Sleep(3 * time.Second) // on the test's own clock
			before := env.faults.Calls(storetest.Get)
			for range 5 {
				if _, err := verifier.Verify(t.Context(), step.key.Text.Reveal()); err != nil {
					t.Error(err)
				}
			}
			if n := env.faults.Calls(storetest.Get) - before; n != step.want {
				t.Errorf("%s: %d reads, want %d", step.name, n, step.want)
			}
		}
	})
}

// TestUpgradesReachTheCache checks a key whose digest is outdated, until the cache has
// the new one. After that the store is not asked any more.
func TestUpgradesReachTheCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		pepper := keys.Pepper{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}
		_, verifier := env.on(inUse(t, &quiet{Store: env.faults}, nil), &keys.Options{Peppers: []keys.Pepper{pepper}})
		key := env.create(keys.Spec{})
		verify := func(times int) (calls int) {
			before := env.faults.Calls(storetest.Get) + env.faults.Calls(storetest.Update)
			for range times {
				if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != nil {
					t.Error(err)
				}
			}
			return env.faults.Calls(storetest.Get) + env.faults.Calls(storetest.Update) - before
		}
		if n := verify(2); n < 2 {
			t.Errorf("%d calls of the store: no digest was moved", n)
		}
		if n := verify(3); n != 0 {
			t.Errorf("%d calls of the store, want none", n)
		}
	})
}
