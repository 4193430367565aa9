package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// TestFlushed empties the server. Absence denies, and says so: all that it knew
// is gone.
func TestFlushed(t *testing.T) {
	t.Parallel()
	c := connect(t, private(t).Socket)
	sv := serve(t, open(t, c, redisstore.Options{}))
	_, text := sv.issue(t)
	must(t, sv.verify(t.Context(), text))
	must(t, c.FlushAll(t.Context()).Err())
	wants(t, "a key after FLUSHALL", sv.verify(t.Context(), text), keys.ErrUnknown)
	_, text = sv.issue(t)
	must(t, sv.verify(t.Context(), text))
}

// TestOutOfMemory fills a server that does not evict. What is there goes on
// being checked and can be revoked; nothing new is made; and sweeping helps.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := connect(t, private(t).Socket)
	s := open(t, c, redisstore.Options{})
	sv := serve(t, s)
	id, text := sv.issue(t)
	_, another := sv.issue(t)
	client, err := sv.Create(ctx, "acme", keys.Spec{Kind: keys.KindClient})
	must(t, err)
	token, err := sv.IssueToken(ctx, client.Record, client.Record.Scopes, time.Hour)
	must(t, err)
	for i := range 200 {
		r := record(keys.KindToken, fmt.Sprint("old ", i))
		r.ExpiresAt = created
		must(t, s.Insert(ctx, r))
	}
	must(t, c.ConfigSet(ctx, "maxmemory", "1").Err()) // a byte

	for _, f := range []func() error{
		func() error { _, err := sv.Create(ctx, "acme", keys.Spec{}); return err },
		func() error { return s.Insert(ctx, record(keys.KindToken, "new")) },
		func() error { _, err := s.Take(ctx, acme, daily(1), time.Time{}, 1); return err },
	} {
		if err := f(); !redis.HasErrorPrefix(err, "OOM") {
			t.Errorf("a write without memory: %v", err)
		}
	}
	_, _, err = s.Get(ctx, "new")
	wants(t, "Get of what was not made", err, keys.ErrNotFound)
	if d, err := sv.limiter.Take(ctx, "acme", daily(1), 1); err != nil || !d.Fallback || sv.failures.Load() != 1 {
		t.Errorf("the limiter: %+v, %v, %d failures", d, err, sv.failures.Load())
	}
	must(t, sv.verify(ctx, text))
	must(t, sv.verify(ctx, token.Text.Reveal()))
	for name, call := range calls(ctx, s) {
		switch name {
		case "Insert", "Take", "NoteUses", "Announce", "Migrate": // they add something
			continue
		}
		if err := call(); redis.HasErrorPrefix(err, "OOM") {
			t.Errorf("%s: %v", name, err)
		}
	}
	found, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
	if len(found) != 2 || err != nil {
		t.Errorf("List: %d, %v", len(found), err)
	}
	must(t, sv.Revoke(ctx, "acme", keys.KindKey, id))
	wants(t, "a revoked key", sv.verify(ctx, text), keys.ErrRevoked)
	if n, err := sv.RevokeAll(ctx, "acme"); n != 2 || err != nil {
		t.Errorf("RevokeAll: %d, %v", n, err)
	}
	wants(t, "another revoked key", sv.verify(ctx, another), keys.ErrRevoked)
	must(t, sv.Revoke(ctx, "acme", keys.KindClient, client.Record.ID))
	wants(t, "a token of a revoked client", sv.verify(ctx, token.Text.Reveal()), keys.ErrRevoked)
	label := "other"
	if _, err := sv.Change(ctx, "acme", keys.KindClient, client.Record.ID, keys.Change{Label: &label}); !errors.Is(err, keys.ErrRevoked) {
		t.Errorf("a change of a revoked client: %v", err)
	}
	if n, err := sv.Sweep(ctx, created.Add(time.Hour)); n != 200 || err != nil {
		t.Errorf("Sweep: %d, %v", n, err)
	}
	must(t, c.ConfigSet(ctx, "maxmemory", "0").Err())
	must(t, s.Insert(ctx, record(keys.KindToken, "new")))
}

// TestReadOnly makes a server the replica of one that is not there.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := connect(t, private(t).Socket)
	s := open(t, c, redisstore.Options{})
	sv := serve(t, s)
	id, text := sv.issue(t)
	must(t, c.HSet(ctx, redisstore.AnnouncementsKey(redisstore.DefaultPrefix), "marked", "1000 1 marked").Err())
	must(t, c.Do(ctx, "REPLICAOF", "127.0.0.1", "1").Err())

	if _, err := sv.Create(ctx, "acme", keys.Spec{}); !redis.IsReadOnlyError(err) {
		t.Errorf("Create: %v", err)
	}
	if err := sv.Revoke(ctx, "acme", keys.KindKey, id); !redis.IsReadOnlyError(err) {
		t.Errorf("Revoke: %v", err)
	}
	if d, err := sv.limiter.Take(ctx, "acme", daily(1), 1); err != nil || !d.Fallback || sv.failures.Load() != 1 {
		t.Errorf("the limiter: %+v, %v, %d failures", d, err, sv.failures.Load())
	}
	err := sv.verify(ctx, text)
	wants(t, "a key meanwhile", err, keys.ErrUnavailable)
	wants(t, "a key meanwhile", err, redisstore.ErrNotPrimary)
	wants(t, "Check", s.Check(ctx), redisstore.ErrNotPrimary)
	wants(t, "CheckLimits", s.CheckLimits(ctx), redisstore.ErrNotPrimary)
	wants(t, "Announce of a cache that is marked", s.Announce(ctx, "marked", time.Second), redisstore.ErrNotPrimary)

	must(t, c.Do(ctx, "REPLICAOF", "NO", "ONE").Err())
	recovers(t, "Revoke", func() error { return sv.Revoke(ctx, "acme", keys.KindKey, id) })
	wants(t, "a revoked key", sv.verify(ctx, text), keys.ErrRevoked)
	must(t, s.Check(ctx))
}

// behind returns a service whose client goes through a proxy and tries reads
// again so many times, and one that goes straight to the same server.
func behind(t testing.TB, srv *servers.Server, retries int, o redisstore.Options) (*proxy, *redisstore.Store, *service, *service) {
	t.Helper()
	p := through(t, "unix", srv.Socket)
	set := settings(p.addr)
	set.MaxRetries = retries
	set.ReadTimeout = -1 // so that nothing but the store's own bound ends a call
	c := redis.NewClient(set)
	t.Cleanup(func() { _ = c.Close() })
	o.Prefix = prefix()
	s := open(t, c, o)
	o.Timeout = 10 * time.Second
	return p, s, serve(t, s), serve(t, open(t, connect(t, srv.Socket), o))
}

// TestStalled holds up all replies until calls time out, and lets them through
// when nobody waits for them any more.
func TestStalled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p, s, sv, straight := behind(t, server(t), 3, redisstore.Options{Timeout: 100 * time.Millisecond})
	id, text := straight.issue(t)
	deadID, dead := straight.issue(t)
	must(t, straight.Revoke(ctx, "acme", keys.KindKey, deadID))
	recovers(t, "verification", func() error { return sv.verify(ctx, text) })

	// The server does what it is told meanwhile: this must be a conflict to it.
	stale := record(keys.KindKey, id)
	stale.Version = 99

	p.stall()
	all := calls(ctx, s)
	all["Verify"] = func() error { return sv.verify(ctx, text) }
	all["Verify of a revoked"] = func() error { return sv.verify(ctx, dead) }
	all["Revoke"] = func() error { return sv.Revoke(ctx, "acme", keys.KindKey, id) }
	all["Update"] = func() error { return s.Update(ctx, stale) }
	all["Get with a distant end"] = func() error {
		ctx, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		_, _, err := s.Get(ctx, id)
		return err
	}
	for name, call := range all {
		err := call()
		if !late(err) {
			t.Errorf("%s: %v, want a timeout", name, err)
		}
		for _, verdict := range []error{keys.ErrNotFound, keys.ErrUnknown, keys.ErrMismatch, keys.ErrRevoked, keys.ErrExists, keys.ErrConflict, keys.ErrCorrupt} {
			if errors.Is(err, verdict) {
				t.Errorf("%s, without an answer: %v", name, err)
			}
		}
	}
	wants(t, "Verify", sv.verify(ctx, text), keys.ErrUnavailable)
	failures := sv.failures.Load()
	if d, err := sv.limiter.Take(ctx, "acme", daily(1), 1); err != nil || !d.Allowed || !d.Fallback || sv.failures.Load() != failures+1 {
		t.Errorf("the limiter: %+v, %v, %d failures", d, err, sv.failures.Load())
	}

	// The replies come now. Nobody may take them for replies to other calls.
	p.heal()
	for range 20 {
		recovers(t, "verification", func() error { return sv.verify(ctx, text) })
		if err := sv.verify(ctx, dead); !errors.Is(err, keys.ErrRevoked) && !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("a revoked key: %v", err)
		}
	}
	recovers(t, "the limiter", func() error {
		if d, err := sv.limiter.Take(ctx, "other", daily(9), 1); err != nil || d.Fallback {
			return errors.Join(err, errors.New("it decides by itself"))
		}
		return nil
	})
}

// calls are those of all methods that ask the server.
func calls(ctx context.Context, s *redisstore.Store) map[string]func() error {
	r := record(keys.KindKey, "it")
	return map[string]func() error{
		"Insert":      func() error { return s.Insert(ctx, record(keys.KindKey, "new")) },
		"Get":         func() error { _, _, err := s.Get(ctx, r.ID); return err },
		"Update":      func() error { return s.Update(ctx, r) },
		"List":        func() error { _, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1}); return err },
		"Count":       func() error { _, err := s.Count(ctx, "acme", keys.KindKey, created, 1); return err },
		"Orgs":        func() error { _, err := s.Orgs(ctx, "", 1); return err },
		"Sweep":       func() error { _, err := s.Sweep(ctx, created, 1); return err },
		"NoteUses":    func() error { return s.NoteUses(ctx, map[string]time.Time{r.ID: created}) },
		"LastUses":    func() error { _, err := s.LastUses(ctx, []string{r.ID}); return err },
		"Take":        func() error { _, err := s.Take(ctx, acme, daily(1), time.Time{}, 1); return err },
		"Migrate":     func() error { return s.Migrate(ctx) },
		"Announce":    func() error { return s.Announce(ctx, "cache", time.Second) },
		"Withdraw":    func() error { return s.Withdraw(ctx, "nobody") },
		"MarkIdle":    func() error { _, err := s.MarkIdle(ctx, time.Hour); return err },
		"Lease":       func() error { _, err := s.LongestLease(ctx); return err },
		"Poll":        func() error { _, err := s.Poll(ctx, "cache", ""); return err },
		"Check":       func() error { return s.Check(ctx) },
		"CheckLimits": func() error { return s.CheckLimits(ctx) },
	}
}

// late reports whether a call failed because its time was over.
func late(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// TestCutMidReply cuts connections after each number of bytes of a reply.
func TestCutMidReply(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p, s, sv, straight := behind(t, server(t), -1, redisstore.Options{Timeout: 10 * time.Second})
	_, text := straight.issue(t)
	deadID, dead := straight.issue(t)
	must(t, straight.Revoke(ctx, "acme", keys.KindKey, deadID))
	client, err := straight.Create(ctx, "acme", keys.Spec{Kind: keys.KindClient})
	must(t, err)
	token, err := straight.IssueToken(ctx, client.Record, client.Record.Scopes, time.Hour)
	must(t, err)
	must(t, straight.Revoke(ctx, "acme", keys.KindClient, client.Record.ID))

	cut := 0
	for n := 0; n < 500; n += 7 {
		for _, row := range []struct {
			name, text string
			want       error
		}{
			{"a live key", text, nil},
			{"a revoked key", dead, keys.ErrRevoked},
			{"a token of a revoked client", token.Text.Reveal(), keys.ErrRevoked},
		} {
			recovers(t, "the connection", func() error { _, _, err := s.Get(ctx, deadID); return err })
			p.cutAfter(n)
			err := sv.verify(ctx, row.text)
			p.heal()
			if errors.Is(err, keys.ErrUnavailable) {
				cut++
			} else if !errors.Is(err, row.want) || row.want == nil && err != nil {
				t.Fatalf("%s, cut after %d bytes: %v", row.name, n, err)
			}
		}
	}
	if cut == 0 {
		t.Error("no call noticed")
	}
}

// TestLostReplies cuts the connection before the reply to a write that the
// server has carried out. Clients try again by default; the store must not.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	srv := server(t)
	p := through(t, "unix", srv.Socket)
	name := prefix()
	s := open(t, connect(t, p.addr), redisstore.Options{Prefix: name, Timeout: 10 * time.Second})
	straight := open(t, connect(t, srv.Socket), redisstore.Options{Prefix: name, Timeout: 10 * time.Second})
	lost := func(what string, f func() error) {
		t.Helper()
		recovers(t, "the connection", func() error { _, err := s.LastUses(ctx, []string{"x"}); return err })
		recovers(t, "the connection", func() error {
			stale := record(keys.KindKey, "warm")
			stale.Version = 99
			if err := s.Update(ctx, stale); !errors.Is(err, keys.ErrConflict) {
				return errors.Join(err, errors.New("no conflict"))
			}
			return nil
		})
		p.cutOnce()
		err := f()
		p.heal()
		if err == nil || errors.Is(err, keys.ErrExists) || errors.Is(err, keys.ErrConflict) || errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%s whose reply was lost: %v", what, err)
		}
	}
	// Servers know all scripts before replies are lost.
	for _, st := range []*redisstore.Store{straight, s} {
		r := record(keys.KindKey, "warm")
		if err := st.Insert(ctx, r); err != nil && !errors.Is(err, keys.ErrExists) {
			t.Fatal(err)
		}
		r.Version = 99
		wants(t, "Update", st.Update(ctx, r), keys.ErrConflict)
		_, err := st.Take(ctx, ratelimit.Bucket{Space: "org", Name: "warm"}, daily(9), time.Time{}, 1)
		must(t, err)
	}

	// Reads are sent again, as the client's settings say: so writes would be, if
	// they did not say otherwise.
	recovers(t, "the connection", func() error { _, _, err := s.Get(ctx, "warm"); return err })
	p.cutOnce()
	if _, _, err := s.Get(ctx, "warm"); err != nil {
		t.Errorf("Get whose reply was lost: %v", err)
	}
	lost("Take", func() error { _, err := s.Take(ctx, acme, daily(9), time.Time{}, 2); return err })
	if d, err := straight.Take(ctx, acme, daily(9), time.Time{}, 1); err != nil || d.Remaining != 6 {
		t.Errorf("after a lost Take of 2, and one of 1, of 9: %d remain, %v", d.Remaining, err)
	}
	r := record(keys.KindKey, "key")
	lost("Insert", func() error { return s.Insert(ctx, r) })
	wants(t, "Insert after a lost one", straight.Insert(ctx, r), keys.ErrExists)
	lost("Update", func() error { return s.Update(ctx, r) })
	if got, _, err := straight.Get(ctx, r.ID); err != nil || got.Version != 2 {
		t.Errorf("after a lost Update: version %d, %v", got.Version, err)
	}
}

// TestTwoClients revokes in one process and checks in another.
func TestTwoClients(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	name := prefix()
	var services [2]*service
	for i := range services {
		services[i] = serve(t, open(t, connect(t, server(t).Socket), redisstore.Options{Prefix: name, Timeout: 10 * time.Second}))
	}
	for range 50 {
		id, text := services[0].issue(t)
		must(t, services[1].verify(ctx, text))
		must(t, services[0].Revoke(ctx, "acme", keys.KindKey, id))
		wants(t, "a key that another process revoked", services[1].verify(ctx, text), keys.ErrRevoked)
	}
}
