package redisstore_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/redis/go-redis/v9"
)

// TestLostAnnouncements holds since when announcements may have been lost: since the
// start of the server if that is all that happened, otherwise since it was noticed.
// After six seconds that no longer counts.
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
