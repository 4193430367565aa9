package pgstore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// TestFeedOfTransactions polls while transactions are open, and asks for the longest
// lease within one. For the rest of the feed see the kit.
func TestFeedOfTransactions(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	pool := connect(t, "search_path="+name)
	ctx := t.Context()
	if err := s.Announce(ctx, "one", 3*time.Second); err != nil {
		t.Fatal(err)
	}
	poll := func(after keys.Position, all bool, want ...string) keys.Position {
		t.Helper()
		c, err := s.Poll(ctx, "one", after)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Sort(c.IDs); c.All != all || !slices.Equal(c.IDs, want) {
			t.Errorf("after %q: %+v, want %v, all %t", after, c, want, all)
		}
		return c.Next
	}
	at := poll("", true)
	rec, other := record(keys.KindKey, "r"), record(keys.KindClient, "other")
	insert(t, s, rec, other)
	for _, bad := range []keys.Position{"other 1:1:", "x" + at} {
		poll(bad, true)
	}

	// A transaction that is open for a while is named once it is committed, and
	// others meanwhile are, too.
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "UPDATE records SET label = 'by hand' WHERE id = 'r'"); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(ctx, other); err != nil {
		t.Fatal(err)
	}
	at = poll(at, false, "other")
	at = poll(at, false)
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	at = poll(at, false, "r")

	// Too many are as many as all.
	execute(t, pool, "INSERT INTO changes (xid, id) SELECT pg_current_xact_id(), 'x' || n FROM generate_series(1, 10001) n")
	poll(at, true)

	// Within a transaction that has written, nothing is committed yet.
	tx, err = pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	inside := s.With(tx)
	if lease, err := inside.LongestLease(ctx); lease != 3*time.Second || err != nil {
		t.Errorf("in a transaction that has only read: %v, %v", lease, err)
	}
	if err := inside.Update(ctx, rec); err != nil {
		t.Fatal(err)
	}
	if _, err := inside.LongestLease(ctx); !errors.Is(err, keys.ErrUncommitted) {
		t.Errorf("in a transaction that has written: %v", err)
	}

	// It does not write for the host, even if the feed was lost.
	if _, err := tx.Exec(ctx, "DELETE FROM feed"); err != nil {
		t.Fatal(err)
	}
	if _, err := inside.LongestLease(ctx); !errors.Is(err, keys.ErrUncommitted) {
		t.Errorf("in a transaction that has written, without a feed: %v", err)
	}
	if n := value[int](t, tx, "SELECT count(*) FROM feed"); n != 0 {
		t.Error("LongestLease wrote in a transaction of the host's")
	}
}

// TestLostFeed removes what a crash, a failover or a restore removes.
func TestLostFeed(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	pool := connect(t, "search_path="+name)
	ctx := t.Context()
	if err := s.Announce(ctx, "one", time.Second); err != nil {
		t.Fatal(err)
	}
	first, err := s.Poll(ctx, "one", "")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, pool, "DELETE FROM feed")
	if lease, err := s.LongestLease(ctx); lease != keys.MaxLease || err != nil {
		t.Errorf("the longest lease is %v, %v", lease, err)
	}
	if c, err := s.Poll(ctx, "one", first.Next); err != nil || !c.All {
		t.Errorf("%+v, %v", c, err)
	}
	if lease, err := s.LongestLease(ctx); lease != keys.MaxLease || err != nil {
		t.Errorf("the longest lease is %v, %v", lease, err)
	}
	execute(t, pool, "UPDATE feed SET since = since - interval '7 seconds'")
	if lease, err := s.LongestLease(ctx); lease != time.Second || err != nil {
		t.Errorf("some time later it is %v, %v", lease, err)
	}
	if err := s.Announce(ctx, "one", time.Second); err != nil {
		t.Fatal(err)
	}
	if !value[bool](t, pool, "SELECT epoch = nonce FROM announcements, feed") {
		t.Error("the announcement is of another epoch, though it was renewed")
	}
	next, err := s.Poll(ctx, "one", first.Next)
	if err != nil {
		t.Fatal(err)
	}
	snapshot := string(next.Next[strings.LastIndexByte(string(next.Next), ' ')+1:])
	execute(t, pool, "UPDATE feed SET horizon = pg_snapshot_xmin($1::text::pg_snapshot)", snapshot)
	if c, err := s.Poll(ctx, "one", next.Next); err != nil || c.All {
		t.Errorf("with the feed that there is now, at the horizon: %+v, %v", c, err)
	}
	execute(t, pool, "SELECT pg_current_xact_id()") // a transaction that the position does not know
	execute(t, pool, "UPDATE feed SET horizon = pg_snapshot_xmax(pg_current_snapshot())")
	c, err := s.Poll(ctx, "one", next.Next)
	if err != nil || !c.All {
		t.Errorf("below the horizon: %+v, %v", c, err)
	}
}

// TestLostForLongEnough holds that announcements that may be lost count for longer than
// any lease, by a fifth, as clocks run at different speed.
func TestLostForLongEnough(t *testing.T) {
	t.Parallel()
	var args []any
	row := []any{false, false, int64(0), pgtype.Bool{Bool: true, Valid: true}}
	s, err := pgstore.New(telling{row: row, args: &args}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.LongestLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(args) != 1 || args[0] != (6*keys.MaxLease/5).Milliseconds() {
		t.Errorf("asked for a feed of %v, want one of %d ms", args, (6 * keys.MaxLease / 5).Milliseconds())
	}
}

// TestRestartedFeed restarts a server in good order, which keeps its feed. A cache
// begins anew all the same: it may be another server, made from a copy of the files.
func TestRestartedFeed(t *testing.T) {
	t.Parallel()
	server := start(t)
	pool := connectTo(t, server.DSN)
	s := openOn(t, pool, "claviger", nil)
	if err := s.Announce(t.Context(), "one", time.Second); err != nil {
		t.Fatal(err)
	}
	first, err := s.Poll(t.Context(), "one", "")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Poll(t.Context(), "one", first.Next); err != nil || c.All {
		t.Errorf("before: %+v, %v", c, err)
	}
	server.Stop()
	restart(t, server)
	pool.Reset() // drops the connections that the old server had
	if c, err := s.Poll(t.Context(), "one", first.Next); err != nil || !c.All {
		t.Errorf("afterwards: %+v, %v", c, err)
	}
}

// TestCache revokes keys in one process, and checks them in another that has a
// cache: none is accepted after the call has returned. A change in a transaction
// of the host's does not wait, and is settled after the commit.
func TestCache(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	cache, err := keys.NewCache(s, &keys.CacheOptions{Lease: 200 * time.Millisecond})
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
	here := manager(t, openIn(t, name, nil))
	there, err := keys.NewVerifier(cache, &keys.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	for cache.Stats().Age < 0 {
		time.Sleep(time.Millisecond) // until the cache is in use; the test's own clock is that of the server
	}
	for range 3 {
		issued := create(t, here, keys.Spec{})
		for range 100 {
			if _, err := there.Verify(ctx, issued.Text.Reveal()); err != nil {
				t.Fatal(err)
			}
		}
		if err := here.Revoke(ctx, issued.Record.Org, keys.KindKey, issued.Record.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := there.Verify(ctx, issued.Text.Reveal()); err != keys.ErrRevoked {
			t.Errorf("after the call returned: %v", err)
		}
	}
	if stats := cache.Stats(); stats.Hits < 100 {
		t.Errorf("%+v", stats)
	}

	issued := create(t, here, keys.Spec{})
	if _, err := there.Verify(ctx, issued.Text.Reveal()); err != nil {
		t.Fatal(err)
	}
	pool := connect(t)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	inside := manager(t, openOn(t, tx, name, &pgstore.Options{Schema: name}))
	if err := inside.Revoke(ctx, issued.Record.Org, keys.KindKey, issued.Record.ID); err != nil {
		t.Fatal(err)
	}
	if err := inside.Settle(ctx); !errors.Is(err, keys.ErrUncommitted) {
		t.Errorf("before the commit: %v", err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := here.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Verify(ctx, issued.Text.Reveal()); err != keys.ErrRevoked {
		t.Errorf("after the commit was settled: %v", err)
	}
}
