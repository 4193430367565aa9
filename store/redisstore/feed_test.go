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

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/redis/go-redis/v9"
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
