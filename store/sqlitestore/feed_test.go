package sqlitestore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// TestPositions polls after positions that have the form of one. For the rest of the
// feed see the kit.
func TestPositions(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	ctx := t.Context()
	if err := s.Announce(ctx, "one", time.Second); err != nil {
		t.Fatal(err)
	}
	first, err := s.Poll(ctx, "one", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []keys.Position{"other 0", "other 1", first.Next + "9", "-", "other"} {
		if c, err := s.Poll(ctx, "one", bad); err != nil || !c.All {
			t.Errorf("after %q, where %q is known: %+v, %v", bad, first.Next, c, err)
		}
	}
	r := record(t, keys.KindKey, "key_1")
	insert(t, s, r)
	if err := s.Update(ctx, r); err != nil {
		t.Fatal(err)
	}
	second, err := s.Poll(ctx, "one", first.Next)
	if err != nil || second.All || len(second.IDs) != 1 {
		t.Errorf("after one change: %+v, %v", second, err)
	}
	if c, err := s.Poll(ctx, "one", second.Next); err != nil || c.All || len(c.IDs) != 0 {
		t.Errorf("after no more changes: %+v, %v", c, err)
	}
}

// TestMarkedSince holds that an announcement is marked once.
func TestMarkedSince(t *testing.T) {
	t.Parallel()
	path := file(t)
	s, db := open(t, path), database(t, hostDSN(path))
	execute(t, db, "INSERT INTO claviger_announcements (id, lease, announced_at, marked_at) VALUES ('old', 1, 1, NULL), ('marked', 1, 1, 2)")
	if ids, err := s.MarkIdle(t.Context(), time.Hour); err != nil || len(ids) != 2 {
		t.Errorf("%q, %v", ids, err)
	}
	var marked, since int64
	err := db.QueryRowContext(t.Context(), "SELECT count(marked_at), min(marked_at) FROM claviger_announcements").Scan(&marked, &since)
	if err != nil || marked != 2 || since != 2 {
		t.Errorf("%d are marked, the first since %d, %v; want 2 since 2", marked, since, err)
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
	here, err1 := keys.NewManager(a, &keys.Options{Timeout: patience})
	there, err2 := keys.NewVerifier(cache, &keys.Options{Timeout: patience})
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
