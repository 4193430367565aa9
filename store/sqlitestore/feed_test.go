package sqlitestore_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// TestFeed goes through what a cache does, over two handles on one file.
func TestFeed(t *testing.T) {
	t.Parallel()
	path := file(t)
	a, b := open(t, path), open(t, path)
	ctx := t.Context()
	if lease, err := b.LongestLease(ctx); lease != 0 || err != nil {
		t.Errorf("before anything: %v, %v", lease, err)
	}
	if _, err := a.Poll(ctx, "one", ""); !errors.Is(err, keys.ErrNotAnnounced) {
		t.Errorf("a poll without an announcement: %v", err)
	}
	if err := errors.Join(a.Announce(ctx, "one", time.Second), b.Announce(ctx, "two", 3*time.Second)); err != nil {
		t.Fatal(err)
	}
	if lease, err := a.LongestLease(ctx); lease != 3*time.Second || err != nil {
		t.Errorf("the longest lease is %v, %v", lease, err)
	}
	poll := func(after keys.Position, all bool, want ...string) keys.Position {
		t.Helper()
		c, err := a.Poll(ctx, "one", after)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Sort(c.IDs); c.All != all || !slices.Equal(c.IDs, want) {
			t.Errorf("after %q: %+v, want %v, all %t", after, c, want, all)
		}
		return c.Next
	}
	at := poll("", true)
	rec := record(t, keys.KindKey, "r")
	if err := b.Insert(ctx, rec); err != nil {
		t.Fatal(err)
	}
	at = poll(at, false)
	if err := b.Update(ctx, rec); err != nil {
		t.Fatal(err)
	}
	before := at
	at = poll(at, false, "r")
	poll(before, false, "r")
	poll(at, false)
	for _, bad := range []keys.Position{"junk", "other 1", at + "0", "-", "other"} {
		poll(bad, true)
	}

	// A mark stays, whatever the cache says, and ends its polls.
	if ids, err := b.MarkIdle(ctx, time.Hour); len(ids) != 0 || err != nil {
		t.Errorf("idle for an hour: %v, %v", ids, err)
	}
	if ids, err := b.MarkIdle(ctx, -time.Hour); len(ids) != 2 || err != nil {
		t.Errorf("idle: %v, %v", ids, err)
	}
	if err := a.Announce(ctx, "one", time.Second); !errors.Is(err, keys.ErrNotAnnounced) {
		t.Errorf("an announcement that is marked: %v", err)
	}
	if _, err := a.Poll(ctx, "one", at); !errors.Is(err, keys.ErrNotAnnounced) {
		t.Errorf("a poll of one that is marked: %v", err)
	}
	if lease, err := a.LongestLease(ctx); lease != 3*time.Second || err != nil {
		t.Errorf("the longest lease of the marked ones is %v, %v", lease, err)
	}
	if err := a.Withdraw(ctx, "one", "two", "three"); err != nil {
		t.Error(err)
	}
	if lease, err := b.LongestLease(ctx); lease != 0 || err != nil {
		t.Errorf("afterwards: %v, %v", lease, err)
	}
}

// TestTrimmedFeed asks from a position whose successors are gone.
func TestTrimmedFeed(t *testing.T) {
	t.Parallel()
	path := file(t)
	s, db := open(t, path), database(t, hostDSN(path))
	ctx := t.Context()
	if err := s.Announce(ctx, "one", time.Second); err != nil {
		t.Fatal(err)
	}
	first, err := s.Poll(ctx, "one", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO claviger_changes (seq, id) VALUES (2, 'b'), (3, 'c')"); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Poll(ctx, "one", first.Next); err != nil || !c.All {
		t.Errorf("change 1 is gone: %+v, %v", c, err)
	}
}

// TestCache revokes keys in one process, and checks them in another that has a
// cache: none is accepted after the call has returned.
func TestCache(t *testing.T) {
	t.Parallel()
	path := file(t)
	a, b := open(t, path), open(t, path)
	cache, err := keys.NewCache(b, &keys.CacheOptions{Lease: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := cache.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer stop()
	here, err1 := keys.NewManager(a, nil)
	there, err2 := keys.NewVerifier(cache, nil)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for cache.Stats().Age < 0 {
		time.Sleep(time.Millisecond) // until the cache is in use; the test's own clock is that of the machine
	}
	for range 5 {
		issued, err := here.Create(ctx, "acme", keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, err := there.Verify(ctx, issued.Text.Reveal()); err != nil {
				t.Fatal(err)
			}
		}
		if err := here.Revoke(ctx, "acme", keys.KindKey, issued.Record.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := there.Verify(ctx, issued.Text.Reveal()); err != keys.ErrRevoked {
			t.Errorf("after the call returned: %v", err)
		}
	}
	if s := cache.Stats(); s.Hits < 100 {
		t.Errorf("%+v", s)
	}
}
