package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// A log is a hook that notes round trips.
type log struct {
	mu    sync.Mutex
	trips []string
	calls map[string]int // of each command
}

func (l *log) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (l *log) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		l.note(cmd.Name())
		return next(ctx, cmd)
	}
}

func (l *log) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		var names []string
		l.mu.Lock()
		for _, cmd := range cmds {
			if name := strings.ToLower(cmd.Name()); !slices.Contains(names, name) {
				names = append(names, name)
			}
			if l.calls == nil {
				l.calls = make(map[string]int)
			}
			l.calls[cmd.Name()]++
		}
		l.mu.Unlock()
		l.note(strings.Join(names, "+"))
		return next(ctx, cmds)
	}
}

func (l *log) note(trip string) {
	if strings.HasPrefix(trip, "hello") || strings.HasPrefix(trip, "client") { // what a connection begins with
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trips = append(l.trips, trip)
}

// count returns how often pipelines had a command.
func (l *log) count(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[name]
}

// take returns the trips so far, and forgets them.
func (l *log) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	trips := l.trips
	l.trips = nil
	return trips
}

// TestRoundTrips counts what each method costs, once servers know the scripts.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	srv := private(t)
	token, client := record(keys.KindToken, "token"), record(keys.KindClient, "client")
	token.Parent = client.ID
	var c *redis.Client
	var l *log
	var s *redisstore.Store
	rows := []struct {
		name string
		do   func() error
		want []string
	}{
		{"Insert", func() error { return s.Insert(ctx, client) }, []string{"evalsha"}},
		{"Insert of a token", func() error { return s.Insert(ctx, token) }, []string{"evalsha"}},
		{"Get", func() error { _, _, err := s.Get(ctx, client.ID); return err }, []string{"evalsha"}},
		{"Get of junk", func() error { _, _, _ = s.Get(ctx, "\x00"); return nil }, nil},
		{"Get of what is no text", func() error { _, _, _ = s.Get(ctx, "\xff"); return nil }, nil},
		{"Get of a token", func() error { _, _, err := s.Get(ctx, token.ID); return err }, []string{"evalsha"}},
		{"Update", func() error { return s.Update(ctx, client) }, []string{"evalsha"}},
		{"Update as another kind", func() error {
			r := client
			r.Version, r.Kind = 2, keys.KindKey
			return s.Update(ctx, r)
		}, []string{"evalsha", "evalsha"}},
		{"Update of an old version", func() error {
			if err := s.Update(ctx, client); !errors.Is(err, keys.ErrConflict) {
				return fmt.Errorf("%w, want a conflict", err)
			}
			return nil
		}, []string{"evalsha"}},
		{"Update that revokes", func() error {
			r := client
			r.Version, r.RevokedAt = 3, created
			return s.Update(ctx, r)
		}, []string{"evalsha"}},
		{"Count", func() error { _, err := s.Count(ctx, "acme", keys.KindKey, created, 10); return err }, []string{"hdel+zcard+zcount"}},
		{"Orgs", func() error { _, err := s.Orgs(ctx, "", 10); return err }, []string{"hdel+zrangebylex"}},
		{"List", func() error {
			_, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 100})
			return err
		}, []string{"hdel+zrangebylex"}},
		{"List of tokens", func() error {
			_, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindToken, Limit: 100})
			return err
		}, []string{"hdel+zrangebylex", "multi+zlexcount+hgetall+exec"}},
		{"List of a full page", func() error {
			_, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindToken, Limit: 1})
			return err
		}, []string{"hdel+zrangebylex", "multi+zlexcount+hgetall+exec"}},
		{"NoteUses", func() error { return s.NoteUses(ctx, map[string]time.Time{token.ID: created}) }, []string{"evalsha"}},
		{"LastUses of junk", func() error { _, err := s.LastUses(ctx, []string{"", "\xff"}); return err }, nil},
		{"NoteUses of junk", func() error { return s.NoteUses(ctx, map[string]time.Time{"\x00": created}) }, nil},
		{"LastUses", func() error { _, err := s.LastUses(ctx, []string{"a", "b"}); return err }, []string{"hdel+hget"}},
		{"Take", func() error { _, err := s.Take(ctx, acme, daily(9), time.Time{}, 1); return err }, []string{"evalsha"}},
		{"Take of nothing", func() error { _, _ = s.Take(ctx, acme, daily(9), time.Time{}, 0); return nil }, nil},
		{"Announce", func() error { return s.Announce(ctx, "cache", time.Second) }, []string{"evalsha"}},
		{"Poll", func() error { _, err := s.Poll(ctx, "cache", ""); return err }, []string{"evalsha"}},
		{"LongestLease", func() error { _, err := s.LongestLease(ctx); return err }, []string{"evalsha"}},
		{"MarkIdle of none", func() error { _, err := s.MarkIdle(ctx, time.Hour); return err }, []string{"evalsha"}},
		{"MarkIdle", func() error { _, err := s.MarkIdle(ctx, -time.Hour); return err }, []string{"evalsha", "hdel+hgetall"}},
		{"Withdraw", func() error { return s.Withdraw(ctx, "cache") }, []string{"hdel"}},
		{"Withdraw of nobody", func() error { return s.Withdraw(ctx) }, nil},
		{"Sweep", func() error { _, err := s.Sweep(ctx, expires.Add(time.Hour), 1); return err }, []string{"hdel+zrangebyscore", "hget", "evalsha"}},
	}
	for _, warm := range []bool{false, true} {
		c, l = connect(t, srv.Socket), new(log)
		must(t, c.FlushAll(ctx).Err())
		c.AddHook(l)
		s = open(t, c, redisstore.Options{Timeout: 10 * time.Second})
		for _, row := range rows {
			must(t, row.do())
			got := l.take()
			if warm {
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Errorf("%s:\n%s", row.name, diff)
				}
			}
		}
	}

	// A server that has forgotten the scripts is told them.
	must(t, c.ScriptFlush(ctx).Err())
	l.take()
	if d, err := s.Take(ctx, acme, daily(9), time.Time{}, 1); err != nil || d.Remaining != 7 {
		t.Errorf("after SCRIPT FLUSH: %+v, %v", d, err)
	}
	if diff := cmp.Diff([]string{"evalsha", "eval"}, l.take()); diff != "" {
		t.Errorf("after SCRIPT FLUSH:\n%s", diff)
	}
}
