package keys_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// An asked store notes what a cache asks its feed.
type asked struct {
	keys.Store
	announced, marks int
	age              time.Duration // what MarkIdle was asked for last
	polls            []keys.Position
	withdrawn        [][]string
	idle             []string // what MarkIdle returns until something is withdrawn
	poll             func(ctx context.Context) error
	withdraw         func(ctx context.Context) error
	announce         func() error
}

func (w *asked) Announce(context.Context, string, time.Duration) error {
	w.announced++
	if w.announce != nil {
		return w.announce()
	}
	return nil
}

func (w *asked) Withdraw(ctx context.Context, ids ...string) error {
	w.withdrawn = append(w.withdrawn, ids)
	if w.withdraw != nil {
		return w.withdraw(ctx)
	}
	return ctx.Err()
}

func (w *asked) MarkIdle(_ context.Context, age time.Duration) ([]string, error) {
	w.age = age
	if w.marks++; len(w.withdrawn) > 0 {
		return nil, nil
	}
	return w.idle, nil
}

func (w *asked) Poll(ctx context.Context, _ string, after keys.Position) (keys.Changes, error) {
	w.polls = append(w.polls, after)
	if w.poll != nil {
		if err := w.poll(ctx); err != nil {
			return keys.Changes{}, err
		}
	}
	return keys.Changes{Next: after + "x"}, nil
}

func (w *asked) LongestLease(context.Context) (time.Duration, error) { return 0, nil }

// runFor runs a cache over w for a time of the test's own clock.
func (w *asked) runFor(t *testing.T, d time.Duration, opts *keys.CacheOptions) (*keys.Cache, error) {
	t.Helper()
	cache, err := keys.NewCache(w, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return cache, cache.Run(ctx)
}

// TestRunPolls looks at what a cache asks for while it runs: changes four times in a
// lease, each time since the last answer; once a minute that its announcement goes on,
// and which others are idle. Those are withdrawn once.
func TestRunPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &asked{Store: newEnv(t, nil).store, idle: []string{"a", "b"}}
		if _, err := w.runFor(t, 5*time.Minute+10*time.Second, nil); err != nil {
			t.Error(err)
		}
		if n := len(w.polls); n < 1240 || n > 1242 || w.polls[0] != "" || w.polls[1] != "x" || w.polls[2] != "xx" {
			t.Errorf("%d polls, from %q on", n, w.polls[:3])
		}
		if w.announced != 6 || w.marks != 5 || w.age != 10*time.Minute {
			t.Errorf("announced %d times, sought %d times those of %v", w.announced, w.marks, w.age)
		}
		if len(w.withdrawn) != 2 || !slices.Equal(w.withdrawn[0], w.idle) || len(w.withdrawn[1]) != 1 {
			t.Errorf("withdrawn: %q", w.withdrawn)
		}
	})
}

// TestRunAfterASleep has the machine sleep, while its monotonic clock stands still, just
// after other caches were marked as idle. They are withdrawn only when they have had the
// time to see the mark.
func TestRunAfterASleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var slept, first time.Duration
		w := &asked{Store: newEnv(t, nil).store, idle: []string{"a", "b"}}
		w.poll = func(context.Context) error {
			if n := len(w.polls); n == 10 || n == 12 {
				slept += 61 * time.Second
			}
			return nil
		}
		w.withdraw = func(context.Context) error {
			if len(w.withdrawn) == 1 {
				first = time.Since(began)
			}
			return nil
		}
		cache, err := keys.NewCacheBy(w, nil, func() (mono, wall int64) {
			return int64(time.Since(began)), int64(time.Since(began) + slept)
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := cache.Run(ctx); err != nil {
			t.Error(err)
		}
		if w.marks < 2 || !slices.Equal(w.withdrawn[0], w.idle) || first < 6*time.Second {
			t.Errorf("sought %d times; withdrawn: %q, after %v", w.marks, w.withdrawn, first)
		}
	})
}

// TestRunWithoutAnswers runs a cache whose store does not answer for a while: each call
// is given up, and made again.
func TestRunWithoutAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := &asked{Store: newEnv(t, nil).store, poll: func(ctx context.Context) error {
			if time.Since(began) > 10*time.Second {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}}
		var told []error
		cache, err := w.runFor(t, 20*time.Second, &keys.CacheOptions{Timeout: time.Second, OnError: func(err error) { told = append(told, err) }})
		if n := len(told); err != nil || n < 8 || n > 11 || cache.Stats().Failed != uint64(n) {
			t.Errorf("%v, told %d times, %+v", err, n, cache.Stats())
		}
	})
}

// TestRunTellsWhatCannotBeTidied has the store refuse to hear a second time that the
// cache goes on: that is told, and the polls go on.
func TestRunTellsWhatCannotBeTidied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &asked{Store: newEnv(t, nil).store}
		w.announce = func() error {
			if w.announced > 1 {
				return errDown
			}
			return nil
		}
		var told []error
		cache, err := w.runFor(t, 70*time.Second, &keys.CacheOptions{OnError: func(err error) { told = append(told, err) }})
		if err != nil || len(told) != 1 || !errors.Is(told[0], errDown) || cache.Stats().Failed != 1 || len(w.polls) < 280 {
			t.Errorf("%v, told %v, %+v after %d polls", err, told, cache.Stats(), len(w.polls))
		}
	})
}

// TestRunsEndIsNoFailure ends a cache while its store is asked: nobody is told.
func TestRunsEndIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &asked{Store: newEnv(t, nil).store, poll: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		cache, err := w.runFor(t, 500*time.Millisecond, &keys.CacheOptions{OnError: func(err error) { t.Errorf("told %v", err) }})
		if err != nil || cache.Stats().Failed != 0 || len(w.withdrawn) != 1 {
			t.Errorf("%v, %+v, withdrawn %q", err, cache.Stats(), w.withdrawn)
		}
	})
}

// TestRunGoesOn has a store refuse everything for a while, and at the end: only what
// is left behind then is Run's error.
func TestRunGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		began := time.Now()
		fails := func() error {
			if since := time.Since(began); since < 10*time.Second || since >= 20*time.Second {
				return down
			}
			return nil
		}
		w := &asked{Store: newEnv(t, nil).store, announce: fails, withdraw: func(context.Context) error { return fails() }}
		if _, err := w.runFor(t, 20*time.Second, nil); err != down || len(w.polls) < 30 {
			t.Errorf("%v after %d polls", err, len(w.polls))
		}
	})
}

// TestUpdateForgets changes a record by way of the cache itself: this process uses the
// old one no more. Until then it does, but Get returns the record as it is.
func TestUpdateForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		cache := inUse(t, &quiet{Store: env.faults}, nil)
		_, verifier := env.on(cache, nil)
		key := env.create(admin)
		if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != nil {
			t.Fatal(err)
		}
		if err := env.host.Revoke(t.Context(), "acme", "", key.Record.ID); err != nil {
			t.Fatal(err)
		}
		rec, _, err := cache.Get(t.Context(), key.Record.ID)
		if err != nil || !rec.Revoked() {
			t.Errorf("Get reads the cache: %v", err)
		}
		if err := cache.Update(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != keys.ErrRevoked {
			t.Error(err)
		}
	})
}

// A mixedUp store answers with a record, or a parent, that nobody asked for.
type mixedUp struct {
	quiet
	asked       string
	rec, parent keys.Record
}

func (m *mixedUp) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if id == m.asked {
		return m.rec, m.parent, nil
	}
	return m.Store.Get(ctx, id)
}

// TestWrongAnswersAreNotKept has a store answer with the record of another key, and
// with another client as the parent of a token. Both are from before they were
// revoked. Nobody is accepted for that.
func TestWrongAnswersAreNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key, other := env.create(admin), createClient(t, env, admin)
		token, err := env.manager.IssueToken(t.Context(), createClient(t, env, admin).Record, catalog.Always(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		s := &mixedUp{quiet: quiet{Store: env.faults}}
		_, verifier := env.on(inUse(t, s, nil), nil)
		wanted := env.create(admin)
		s.asked, s.rec = wanted.Record.ID, key.Record
		if _, err := verifier.Verify(t.Context(), wanted.Text.Reveal()); !errors.Is(err, keys.ErrCorrupt) {
			t.Errorf("another key: %v", err)
		}
		s.asked, s.rec, s.parent = token.Record.ID, token.Record, other.Record
		if _, err := verifier.Verify(t.Context(), token.Text.Reveal()); !errors.Is(err, keys.ErrCorrupt) {
			t.Errorf("another parent: %v", err)
		}
		if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		reads := env.faults.Calls(storetest.Get)
		if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != keys.ErrRevoked {
			t.Errorf("the other key: %v", err)
		}
		if _, err := verifier.VerifyClient(t.Context(), other.Record.ID, other.Text.Reveal(), time.Now()); err != keys.ErrRevoked {
			t.Errorf("the other client: %v", err)
		}
		if n := env.faults.Calls(storetest.Get) - reads; n != 2 {
			t.Errorf("%d reads", n)
		}
	})
}

// TestReadsThatAreOvertaken has a poll name a record while it is read: what the store
// answers then may be older than the change, so it is not kept.
func TestReadsThatAreOvertaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(admin)
		s := &stepped{quiet: quiet{Store: env.faults}, step: make(chan struct{}), changed: []string{key.Record.ID}}
		_, verifier := env.on(inUse(t, s, nil), nil)
		check := func() {
			if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != nil {
				t.Error(err)
			}
		}
		var first sync.WaitGroup
		first.Go(check)
		time.Sleep(keys.DefaultLease / 4) // on the test's own clock: the time of a poll
		synctest.Wait()
		close(s.step)
		first.Wait()
		check()
		check()
		if s.reads != 2 {
			t.Errorf("%d reads; want two, of which the second is kept", s.reads)
		}
	})
}

// TestLeaseEnds has polls fail after a first one, whose answer takes a while. A key is
// checked just before the lease ends and when it has ended: then the store is read. The
// lease counts from when the poll began.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		const lag = 100 * time.Millisecond
		polls := 0
		w := &asked{Store: env.faults, poll: func(context.Context) error {
			if polls++; polls > 1 {
				return errors.New("down")
			}
			time.Sleep(lag) // on the test's own clock
			return nil
		}}
		cache := inUse(t, w, nil)
		time.Sleep(lag) // on the test's own clock
		synctest.Wait()
		_, verifier := env.on(cache, nil)
		key := env.create(admin)
		check := func(lapses uint64) {
			t.Helper()
			if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != nil {
				t.Fatal(err)
			}
			if got := cache.Stats(); got.Lapses != lapses {
				t.Errorf("%+v, want %d lapses", got, lapses)
			}
		}
		check(0)
		time.Sleep(keys.DefaultLease - lag - time.Nanosecond) // on the test's own clock
		check(0)
		time.Sleep(time.Nanosecond) // on the test's own clock
		check(1)
	})
}

// TestCachedReadsAreBounded checks a key while the store is silent: the check ends.
func TestCachedReadsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		_, verifier := env.on(inUse(t, &stepped{quiet: quiet{Store: env.faults}}, nil), nil)
		key := env.create(admin)
		began := time.Now()
		if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); !errors.Is(err, keys.ErrUnavailable) || time.Since(began) != keys.DefaultTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
