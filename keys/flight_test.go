package keys_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// slowStore is a quiet store whose answers wait until they are let go.
type slowStore struct {
	quiet
	gate  chan struct{}
	reads int
	panic bool
}

func (s *slowStore) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	s.reads++
	rec, parent, err = s.quiet.Get(ctx, id)
	<-s.gate
	if s.panic {
		panic("the store is broken")
	}
	return rec, parent, err
}

// inUse returns a cache over s that is in use, within a bubble.
func inUse(t *testing.T, s keys.Store, opts *keys.CacheOptions) *keys.Cache {
	t.Helper()
	cache, err := keys.NewCache(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- cache.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return cache
}

// TestMissesAreShared checks one key a hundred times at once: the store is read
// once.
func TestMissesAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(admin)
		s := &slowStore{quiet: quiet{Store: env.faults}, gate: make(chan struct{})}
		cache := inUse(t, s, nil)
		_, verifier := env.on(cache, nil)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(s.gate)
		all.Wait()
		if got := cache.Stats(); s.reads != 1 || got.Reads != 1 || got.Misses != 100 || got.Records != 1 {
			t.Errorf("%d reads, and %+v", s.reads, got)
		}
	})
}

// TestStoresThatPanic lets a store panic in a read that others wait for: they fail,
// and the next check reads anew.
func TestStoresThatPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(admin)
		s := &slowStore{quiet: quiet{Store: env.faults}, gate: make(chan struct{}), panic: true}
		_, verifier := env.on(inUse(t, s, nil), nil)
		var all sync.WaitGroup
		var panics, refused atomic.Int64
		for range 3 {
			all.Go(func() {
				defer func() {
					if recover() != nil {
						panics.Add(1)
					}
				}()
				if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); errors.Is(err, keys.ErrUnavailable) {
					refused.Add(1)
				}
			})
			synctest.Wait()
		}
		close(s.gate)
		all.Wait()
		if panics.Load() != 1 || refused.Load() != 2 {
			t.Errorf("%d panics and %d refusals", panics.Load(), refused.Load())
		}
		s.panic = false
		if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != nil {
			t.Error(err)
		}
	})
}

// TestOldReadsAreNotJoined checks a key while a read of it takes longer than the
// lease: all that come later wait for one more read. Meanwhile the key is revoked, and
// only the first check accepts it.
func TestOldReadsAreNotJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(admin)
		s := &slowStore{quiet: quiet{Store: env.faults}, gate: make(chan struct{})}
		_, verifier := env.on(inUse(t, s, &keys.CacheOptions{Timeout: time.Minute}), nil)
		var all sync.WaitGroup
		check := func(want error) func() {
			return func() {
				if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != want {
					t.Error(err)
				}
			}
		}
		all.Go(check(nil))
		time.Sleep(keys.DefaultLease) // on the test's own clock
		if err := env.host.Revoke(t.Context(), "acme", "", key.Record.ID); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			all.Go(check(keys.ErrRevoked))
		}
		synctest.Wait()
		close(s.gate)
		all.Wait()
		if s.reads != 2 {
			t.Errorf("%d reads", s.reads)
		}
	})
}

// TestReadsInALapseWaitForNobody checks a key twice while the cache is not in use, and
// lets the store answer both reads only when both have come.
func TestReadsInALapseWaitForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(admin)
		s := &slowStore{quiet: quiet{Store: env.faults}, gate: make(chan struct{})}
		cache, err := keys.NewCache(s, nil) // and nobody runs it
		if err != nil {
			t.Fatal(err)
		}
		_, verifier := env.on(cache, nil)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if s.reads != 2 {
			t.Errorf("%d reads are under way", s.reads)
		}
		close(s.gate)
		all.Wait()
	})
}

// A stepped store answers a read each time that a test lets it.
type stepped struct {
	quiet
	step    chan struct{}
	reads   int
	changed []string // what each poll names
}

func (s *stepped) Poll(context.Context, string, keys.Position) (keys.Changes, error) {
	return keys.Changes{IDs: s.changed, Next: "1"}, nil
}

func (s *stepped) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	s.reads++
	select {
	case <-s.step:
	case <-ctx.Done():
		return rec, parent, ctx.Err()
	}
	return s.Store.Get(ctx, id)
}

// TestLaterReadsAreJoined checks a key while a read of it takes longer than the lease,
// and once more while the next read is under way: that is the last one. The key changes
// all the time, so that no record is kept.
func TestLaterReadsAreJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(admin)
		s := &stepped{quiet: quiet{Store: env.faults}, step: make(chan struct{}), changed: []string{key.Record.ID}}
		_, verifier := env.on(inUse(t, s, &keys.CacheOptions{Timeout: time.Minute}), nil)
		var all sync.WaitGroup
		check := func() {
			if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != nil {
				t.Error(err)
			}
		}
		all.Go(check)
		time.Sleep(keys.DefaultLease) // on the test's own clock
		all.Go(check)
		synctest.Wait()
		s.step <- struct{}{}
		synctest.Wait() // until the second read has begun
		all.Go(check)
		synctest.Wait()
		close(s.step)
		all.Wait()
		if s.reads != 2 {
			t.Errorf("%d reads", s.reads)
		}
	})
}

// TestCallersOfReadsHangUp ends the contexts of the check that began a read, and of one
// that waits for it. The latter is answered at once. The read goes on, and others that
// wait for it get the record.
func TestCallersOfReadsHangUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(admin)
		s := &stepped{quiet: quiet{Store: env.faults}, step: make(chan struct{})}
		_, verifier := env.on(inUse(t, s, nil), nil)
		ctx, hangUp := context.WithCancel(t.Context())
		check := func(ctx context.Context) chan error {
			done := make(chan error, 1)
			go func() {
				_, err := verifier.Verify(ctx, key.Text.Reveal())
				done <- err
			}()
			synctest.Wait()
			return done
		}
		check(ctx) // begins the read
		left, stayed := check(ctx), check(t.Context())
		hangUp()
		synctest.Wait()
		select {
		case err := <-left:
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		default:
			t.Error("who hung up waits for the store")
		}
		close(s.step)
		if err := <-stayed; err != nil || s.reads != 1 {
			t.Errorf("%v after %d reads", err, s.reads)
		}
	})
}

// TestWhatIsNotThereIsReadAnew checks a key that is not there twice at once: the second
// check reads by itself, since the key may have been made after the first read.
func TestWhatIsNotThereIsReadAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		text := newEnv(t, nil).create(admin).Text.Reveal() // of another host
		s := &stepped{quiet: quiet{Store: env.faults}, step: make(chan struct{})}
		_, verifier := env.on(inUse(t, s, nil), nil)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if _, err := verifier.Verify(t.Context(), text); err != keys.ErrUnknown {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		close(s.step)
		all.Wait()
		if s.reads != 2 {
			t.Errorf("%d reads", s.reads)
		}
	})
}

// A renouncing store loses an announcement when a test wants it.
type renouncing struct {
	stepped
	loses atomic.Bool
}

func (s *renouncing) Poll(ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
	if s.loses.CompareAndSwap(true, false) {
		return keys.Changes{}, keys.ErrNotAnnounced
	}
	return s.stepped.Poll(ctx, id, after)
}

// TestReadsOfEarlierAnnouncementsAreNotJoined has a cache announce itself anew while a key
// is read: nobody has waited for that cache in between, so the next check reads by itself.
func TestReadsOfEarlierAnnouncementsAreNotJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(admin)
		s := &renouncing{stepped: stepped{quiet: quiet{Store: env.faults}, step: make(chan struct{})}}
		_, verifier := env.on(inUse(t, s, &keys.CacheOptions{Lease: keys.MaxLease, Timeout: time.Minute}), nil)
		var all sync.WaitGroup
		check := func() {
			if _, err := verifier.Verify(t.Context(), key.Text.Reveal()); err != nil {
				t.Error(err)
			}
		}
		all.Go(check)
		synctest.Wait()
		s.loses.Store(true)
		time.Sleep(keys.MaxLease * 3 / 5) // on the test's own clock: less than a lease, and more than two pauses
		all.Go(check)
		synctest.Wait()
		close(s.step)
		all.Wait()
		if s.reads != 2 {
			t.Errorf("%d reads", s.reads)
		}
	})
}
