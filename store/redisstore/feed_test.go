package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// whole returns a store of which it is long known that no announcement was lost.
func whole(t testing.TB, c redis.UniversalClient, s *redisstore.Store, prefix string) *redisstore.Store {
	t.Helper()
	_, err := s.LongestLease(t.Context())
	must(t, err)
	must(t, c.HSet(t.Context(), redisstore.WholeKey(prefix), "since", 0).Err())
	return s
}

// A polled store has a record and a cache, which has polled.
type polled struct {
	*redisstore.Store
	c  *redis.Client
	r  keys.Record // as it is stored
	at keys.Position
}

const cacheID = "cache"

// startPolls announces a cache in a store, and changes a record twice.
func startPolls(t *testing.T, c *redis.Client, o redisstore.Options) *polled {
	t.Helper()
	s := whole(t, c, open(t, c, o), redisstore.DefaultPrefix)
	p := &polled{Store: s, c: c, r: record(keys.KindKey, "r")}
	must(t, s.Insert(t.Context(), p.r))
	must(t, s.Announce(t.Context(), cacheID, time.Second))
	p.poll(t, true)
	p.change(t)
	p.poll(t, false, p.r.ID)
	return p
}

func (p *polled) change(t *testing.T) {
	t.Helper()
	must(t, p.Update(t.Context(), p.r))
	p.r.Version++
}

// poll polls from the last position on.
func (p *polled) poll(t *testing.T, all bool, want ...string) {
	t.Helper()
	c, err := p.Poll(t.Context(), cacheID, p.at)
	must(t, err)
	if c.All != all || !slices.Equal(c.IDs, want) {
		t.Errorf("%t %q, want %t %q", c.All, c.IDs, all, want)
	}
	p.at = c.Next
}

// last returns the entry at the position in the shard of the record.
func (p *polled) last(t *testing.T) (key string, entry redis.XMessage) {
	t.Helper()
	key = redisstore.ChangesKey(redisstore.DefaultPrefix, p.r.ID)
	all, err := p.c.XRevRangeN(t.Context(), key, "+", "-", 1).Result()
	must(t, err)
	return key, all[0]
}

// TestLostChanges takes away what a cache goes by, each time in another way. All may
// have changed then, and afterwards changes are named again.
func TestLostChanges(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		do    func(t *testing.T, p *polled)
		again bool // the cache has to be announced again
	}{
		{"trimmed", func(t *testing.T, p *polled) {
			p.change(t)
			p.change(t)
			key, _ := p.last(t)
			must(t, p.c.XTrimMaxLen(t.Context(), key, 1).Err())
		}, false},
		{"trimmed to nothing", func(t *testing.T, p *polled) {
			p.change(t)
			key, _ := p.last(t)
			must(t, p.c.XTrimMaxLen(t.Context(), key, 0).Err())
		}, false},
		{"the position is gone, and others are there", func(t *testing.T, p *polled) {
			key, last := p.last(t)
			p.change(t)
			must(t, p.c.XDel(t.Context(), key, last.ID).Err())
		}, false},
		{"another change at the position", func(t *testing.T, p *polled) {
			key, last := p.last(t)
			must(t, p.c.Del(t.Context(), key).Err())
			must(t, p.c.XAdd(t.Context(), &redis.XAddArgs{Stream: key, ID: last.ID, Values: []string{"ANOTHERWORD22", "r"}}).Err())
			p.change(t)
		}, false},
		{"emptied", func(t *testing.T, p *polled) { must(t, p.c.FlushAll(t.Context()).Err()) }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			p := startPolls(t, connect(t, private(t).Socket), redisstore.Options{Timeout: 10 * time.Second})
			row.do(t, p)
			if row.again {
				_, err := p.Poll(ctx, cacheID, p.at)
				wants(t, "Poll", err, keys.ErrNotAnnounced)
				if lease, err := p.LongestLease(ctx); lease != keys.MaxLease || err != nil {
					t.Errorf("the longest lease is %v, %v", lease, err)
				}
				must(t, p.Announce(ctx, cacheID, time.Second))
				p.r.Version = 1
				must(t, p.Insert(ctx, p.r))
			}
			p.poll(t, true)
			p.change(t)
			p.poll(t, false, p.r.ID)
			p.poll(t, false)
		})
	}
}

// TestRestartedFeed restarts a server with all that it had, and with what it had
// before some of its changes. Then as many changes come again.
func TestRestartedFeed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		settings []string
	}{
		{"with all", nil},
		{"from an older file", []string{"--appendonly", "no"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			srv := private(t, row.settings...)
			p := startPolls(t, connect(t, srv.Socket), redisstore.Options{Timeout: 10 * time.Second})
			older := p.r.Version
			must(t, p.c.Save(ctx).Err()) // of no use if there is an append-only file
			for range 3 {
				p.change(t)
				p.poll(t, false, p.r.ID)
			}
			srv.Kill()
			must(t, srv.Start())
			recovers(t, "the server", func() error { return p.c.Ping(ctx).Err() })
			if row.settings != nil {
				p.r.Version = older
			}
			for range 3 {
				p.change(t)
			}
			if lease, err := p.LongestLease(ctx); lease != keys.MaxLease || err != nil {
				t.Errorf("the longest lease is %v, %v", lease, err)
			}
			p.poll(t, true)
			p.change(t)
			p.poll(t, false, p.r.ID)
		})
	}
}

// TestFeedFailsOver promotes a replica that has all, and then makes the old primary
// follow it and promotes that again, which has run all the time.
func TestFeedFailsOver(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pair := replicated(t)
	p := startPolls(t, pair.client, redisstore.Options{Timeout: 10 * time.Second})
	old := p.at
	must(t, p.c.Do(ctx, "WAIT", 1, 0).Err())
	recovers(t, "the replica", func() error {
		return pair.other.HGet(ctx, redisstore.AnnouncementsKey(redisstore.DefaultPrefix), cacheID).Err()
	})

	promoted := func(c *redis.Client) {
		t.Helper()
		must(t, c.Do(ctx, "REPLICAOF", "NO", "ONE").Err())
		p.Store, p.c = open(t, c, redisstore.Options{Timeout: 10 * time.Second}), c
		if lease, err := p.LongestLease(ctx); lease != keys.MaxLease || err != nil {
			t.Errorf("the longest lease is %v, %v", lease, err)
		}
		p.poll(t, true)
		p.change(t)
		p.poll(t, false, p.r.ID)
	}
	promoted(pair.other)
	via := through(t, "tcp", pair.replica.Socket)
	must(t, pair.client.Do(ctx, append([]any{"REPLICAOF"}, anys(strings.Split(via.addr, ":"))...)...).Err())
	if _, err := open(t, pair.client, redisstore.Options{}).Poll(ctx, cacheID, p.at); !errors.Is(err, redisstore.ErrNotPrimary) {
		t.Errorf("a poll of a replica: %v", err)
	}
	recovers(t, "the new replica", func() error {
		if n, err := pair.client.HGet(ctx, redisstore.RecordKey(redisstore.DefaultPrefix, p.r.ID), "version").Int64(); n != p.r.Version {
			return fmt.Errorf("version %d, %w", n, err)
		}
		return nil
	})
	promoted(pair.client)
	p.at = old // from when the server was primary before: the change there has come back
	p.poll(t, true)
}

func anys(list []string) (all []any) {
	for _, s := range list {
		all = append(all, s)
	}
	return all
}

// TestLostAnnouncements holds from when on it counts that announcements may have been
// lost: from the start of the server if that is all that happened, and else from when
// it was noticed. After six seconds it counts no more.
func TestLostAnnouncements(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := connect(t, private(t).Socket)
	key := redisstore.WholeKey(redisstore.DefaultPrefix)
	s := whole(t, c, open(t, c, redisstore.Options{}), redisstore.DefaultPrefix)
	must(t, s.Announce(ctx, cacheID, time.Second))
	past, err := c.HGet(ctx, key, "past").Result()
	must(t, err)
	clock := func() int64 {
		now, err := c.Time(ctx).Result()
		must(t, err)
		return now.UnixMilli()
	}
	started := clock()
	recovers(t, "time, of which the server counts seconds,", func() error {
		info, err := c.Info(ctx, "server").Result()
		if up := redisstore.ParseInfo(info)["uptime_in_seconds"]; err != nil || up == "0" || up == "1" || up == "2" {
			return fmt.Errorf("up for %s s, %w", up, err)
		}
		return nil
	})
	for _, row := range []struct {
		name  string
		past  string
		since int64 // as it was
		lease time.Duration
		from  string // when it counts from afterwards
	}{
		{"nothing happened", past, 0, time.Second, "as it was"},
		{"a moment ago", past, clock() - 4000, keys.MaxLease, "as it was"},
		{"seven seconds ago", past, clock() - 7000, time.Second, "as it was"},
		{"a clock that was set back", past, clock() + 3600_000, keys.MaxLease, "now"},
		{"a restart", strings.Repeat("0", 16) + past[16:], 0, keys.MaxLease, "the start"},
		{"a promotion", past[:16] + strings.Repeat("0", 16), 0, keys.MaxLease, "now"},
		{"nothing is known", "", 0, keys.MaxLease, "now"},
	} {
		must(t, c.Del(ctx, key).Err())
		if row.past != "" {
			must(t, c.HSet(ctx, key, "past", row.past, "since", row.since).Err())
		}
		if lease, err := s.LongestLease(ctx); lease != row.lease || err != nil {
			t.Errorf("%s: the longest lease is %v, %v; want %v", row.name, lease, err, row.lease)
		}
		now := clock()
		since, err := c.HGet(ctx, key, "since").Int64()
		must(t, err)
		from := map[string]int64{"as it was": row.since, "now": now, "the start": started}[row.from]
		if slack := int64(1500); since < from-slack || since > from+slack {
			t.Errorf("%s: it counts from %d, want %s, which is %d", row.name, since, row.from, from)
		}
	}
	must(t, c.HSet(ctx, redisstore.AnnouncementsKey(redisstore.DefaultPrefix), "junk", "junk").Err())
	must(t, c.HSet(ctx, key, "past", past, "since", 0).Err())
	if lease, err := s.LongestLease(ctx); lease != keys.MaxLease || err != nil {
		t.Errorf("with an announcement that cannot be read: %v, %v", lease, err)
	}
	if ids, err := s.MarkIdle(ctx, time.Hour); !slices.Equal(ids, []string{"junk"}) || err != nil {
		t.Errorf("MarkIdle of one that cannot be read: %q, %v", ids, err)
	}
}

// TestFeedWithoutInfo has a user who may not call INFO. Then there can be no cache,
// and nobody waits for one, unless others have announced it.
func TestFeedWithoutInfo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	srv := private(t)
	c := connect(t, srv.Socket)
	must(t, c.Do(ctx, "ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all", "-info").Err())
	o := settings(srv.Socket)
	o.Username, o.Password = "app", "any"
	app := redis.NewClient(o)
	t.Cleanup(func() { _ = app.Close() })
	s := open(t, app, redisstore.Options{})
	wants(t, "Announce", s.Announce(ctx, cacheID, time.Second), redisstore.ErrNotTold)
	_, err := s.Poll(ctx, cacheID, "")
	wants(t, "Poll", err, redisstore.ErrNotTold)
	if lease, err := s.LongestLease(ctx); lease != 0 || err != nil {
		t.Errorf("the longest lease: %v, %v", lease, err)
	}
	must(t, open(t, c, redisstore.Options{}).Announce(ctx, cacheID, time.Second))
	if lease, err := s.LongestLease(ctx); lease != keys.MaxLease || err != nil {
		t.Errorf("the longest lease beside a cache: %v, %v", lease, err)
	}
}

// TestChangesAreBounded changes one record more often than changes are kept, and
// sweeps tokens.
func TestChangesAreBounded(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := startPolls(t, connect(t, private(t, "--appendfsync", "no").Socket), redisstore.Options{Timeout: 10 * time.Second})
	p.change(t)
	old := p.at
	for range 2040 {
		p.change(t)
	}
	if c, err := p.Poll(ctx, cacheID, old); c.All || len(c.IDs) != 2041 || err != nil {
		t.Errorf("2041 changes later: all %t, %d IDs, %v", c.All, len(c.IDs), err)
	}
	for range 300 {
		p.change(t)
	}
	p.poll(t, true)
	key, _ := p.last(t)
	if n, err := p.c.XLen(ctx, key).Result(); n < 2048 || n > 2048+100 || err != nil {
		t.Errorf("%d changes are kept, %v", n, err)
	}
}

// TestReplicatedAnnouncements holds that announcements and marks wait for replicas, as
// records do.
func TestReplicatedAnnouncements(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pair := replicated(t)
	s := open(t, pair.client, redisstore.Options{Replicas: 1, Timeout: time.Second})
	recovers(t, "Announce", func() error { return s.Announce(ctx, cacheID, time.Second) })
	pair.link.stall()
	wants(t, "Announce", s.Announce(ctx, "another", time.Second), redisstore.ErrReplicas)
	for range 2 { // they are marked the first time
		_, err := s.MarkIdle(ctx, -time.Hour)
		wants(t, "MarkIdle", err, redisstore.ErrReplicas)
	}
	pair.link.heal()
	recovers(t, "MarkIdle", func() error {
		ids, err := s.MarkIdle(ctx, time.Hour)
		if err == nil && len(ids) != 2 {
			t.Fatalf("%q are marked", ids)
		}
		return err
	})
}

// TestCache revokes keys in one process, and checks them in another that has a
// cache: none is accepted after the call has returned.
func TestCache(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		connect func(t *testing.T) redis.UniversalClient
	}{
		{"server", func(t *testing.T) redis.UniversalClient { return connect(t, server(t).Socket) }},
		{"cluster", func(t *testing.T) redis.UniversalClient { _, c := clustered(t); return c }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			name := prefix()
			opts := redisstore.Options{Prefix: name, Timeout: 10 * time.Second}
			client := row.connect(t)
			cache, err := keys.NewCache(whole(t, client, open(t, client, opts), name), &keys.CacheOptions{Lease: 100 * time.Millisecond})
			must(t, err)
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() {
				if err := cache.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			defer running.Wait()
			defer stop()
			here, err := keys.NewManager(open(t, row.connect(t), opts), &keys.Options{Timeout: patience})
			must(t, err)
			there, err := keys.NewVerifier(cache, &keys.Options{Timeout: patience})
			must(t, err)
			recovers(t, "the cache", func() error {
				if cache.Stats().Age < 0 {
					return errors.New("it is not in use")
				}
				return nil
			})
			for range 5 {
				issued, err := here.Create(ctx, "acme", keys.Spec{})
				must(t, err)
				for range 100 {
					_, err := there.Verify(ctx, issued.Text.Reveal())
					must(t, err)
				}
				must(t, here.Revoke(ctx, "acme", keys.KindKey, issued.Record.ID))
				_, err = there.Verify(ctx, issued.Text.Reveal())
				wants(t, "after the call returned", err, keys.ErrRevoked)
			}
			if stats := cache.Stats(); stats.Hits < 100 {
				t.Errorf("%+v", stats)
			}
		})
	}
}
