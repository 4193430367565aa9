package redisstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// An intruder does something just before the first script runs.
type intruder struct {
	log
	once sync.Once
	do   func()
}

func (i *intruder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			i.once.Do(i.do)
		}
		return next(ctx, cmd)
	}
}

// TestSweepLooksAgain has an ID swept, and used again, between the moment at
// which a Sweep finds it and that at which it removes it.
func TestSweepLooksAgain(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		org     string
		expires time.Time
	}{
		{"by another organization", "other", created},
		{"by a live token", "acme", expires},
		{"by a token that is not over yet, but just", "acme", created.Add(time.Millisecond)},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			straight, raw, p := fresh(t)
			old, again := record(keys.KindToken, "token"), record(keys.KindToken, "token")
			old.ExpiresAt, again.Org, again.ExpiresAt = created, row.org, row.expires
			must(t, straight.Insert(ctx, old))

			c := connect(t, server(t).Socket)
			c.AddHook(&intruder{do: func() {
				if n, err := straight.Sweep(ctx, created.Add(1), 1); n != 1 || err != nil {
					t.Errorf("Sweep in between: %d, %v", n, err)
				}
				must(t, straight.Insert(ctx, again))
			}})
			s := open(t, c, redisstore.Options{Prefix: p, Timeout: 10 * time.Second})
			n, err := s.Sweep(ctx, created.Add(1), 1)
			must(t, err)
			page, err := straight.List(ctx, keys.Query{Org: row.org, Kind: keys.KindToken, Limit: 10})
			must(t, err)
			if n+len(page) != 1 {
				t.Errorf("Sweep removed %d, and the list has %d", n, len(page))
			}
			if left, err := raw.Keys(ctx, p+":{*}:[^c]*").Result(); err != nil || len(page) == 0 && len(left) != 0 {
				t.Errorf("the token is gone, and left %q, %v", left, err)
			}
			if row.expires.After(created) && n != 0 {
				t.Error("Sweep removed a live token")
			}
		})
	}
}

// TestSweepsShare has several processes sweep many tokens of all shards at once.
func TestSweepsShare(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, _, _ := fresh(t)
	const total = 700
	for i := range total {
		r := record(keys.KindToken, fmt.Sprint("token ", i))
		r.ExpiresAt = created
		must(t, s.Insert(ctx, r))
	}
	var removed atomic.Int64
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for {
				n, err := s.Sweep(ctx, expires, 50)
				if err != nil {
					t.Error(err)
				}
				if removed.Add(int64(n)); n == 0 {
					return
				}
			}
		})
	}
	all.Wait()
	if removed.Load() != total {
		t.Errorf("three sweepers removed %d of %d", removed.Load(), total)
	}
	page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindToken, Limit: total})
	if len(page) != 0 || err != nil {
		t.Errorf("%d are left, %v", len(page), err)
	}
}

// TestSweepGoesOn has another process remove all that a Sweep found, before it
// removes it. There are more, so it goes on.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	straight, _, p := fresh(t)
	const total = 40
	for i := range total {
		r := record(keys.KindToken, fmt.Sprint("token ", i))
		r.ExpiresAt = created
		must(t, straight.Insert(ctx, r))
	}
	c := connect(t, server(t).Socket)
	c.AddHook(&intruder{do: func() {
		if n, err := straight.Sweep(ctx, expires, 10); n != 10 || err != nil {
			t.Errorf("Sweep in between: %d, %v", n, err)
		}
	}})
	s := open(t, c, redisstore.Options{Prefix: p, Timeout: 10 * time.Second})
	if n, err := s.Sweep(ctx, expires, 10); n != 10 || err != nil {
		t.Errorf("Sweep of 10 among %d: %d, %v", total-10, n, err)
	}
}

// TestSweepFollowsUpdates checks that Sweep goes by when tokens are over now, and
// not by when they were to be over at first.
func TestSweepFollowsUpdates(t *testing.T) {
	t.Parallel()
	early, late := created.Add(time.Hour), created.Add(48*time.Hour)
	for _, row := range []struct {
		name   string
		kind   keys.Kind
		first  time.Time // expiry
		change func(r *keys.Record)
		gone   time.Time // Sweeps before and at this time leave it; zero: all do
	}{
		{"revoked before it expires", keys.KindToken, late, func(r *keys.Record) { r.RevokedAt = early }, early},
		{"revoked after it expired", keys.KindToken, early, func(r *keys.Record) { r.RevokedAt = late }, early},
		{"expires later", keys.KindToken, early, func(r *keys.Record) { r.ExpiresAt = late }, late},
		{"expires sooner", keys.KindToken, late, func(r *keys.Record) { r.ExpiresAt = early }, early},
		{"another label", keys.KindToken, early, func(r *keys.Record) { r.Label = "another" }, early},
		{"does not expire any more", keys.KindToken, early, func(r *keys.Record) { r.ExpiresAt = time.Time{} }, time.Time{}},
		{"a key that is revoked", keys.KindKey, late, func(r *keys.Record) { r.RevokedAt = early }, time.Time{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s, c, p := fresh(t)
			r := record(row.kind, "it")
			r.ExpiresAt = row.first
			must(t, s.Insert(ctx, r))
			row.change(&r)
			must(t, s.Update(ctx, r))
			at, want := row.gone, 1
			if at.IsZero() {
				at, want = late.Add(time.Hour), 0
			}
			listed := func(when string, want int) {
				t.Helper()
				if n, err := c.ZCard(ctx, redisstore.DeathsKey(p, r.ID)).Result(); int(n) != want || err != nil {
					t.Errorf("%s the list of deaths has %d, %v; want %d", when, n, err, want)
				}
			}
			listed("before Sweep", want)
			if n, err := s.Sweep(ctx, at, 10); n != 0 || err != nil {
				t.Errorf("Sweep at the end: %d, %v", n, err)
			}
			if _, _, err := s.Get(ctx, r.ID); err != nil {
				t.Error(err)
			}
			if n, err := s.Sweep(ctx, at.Add(1), 1); n != want || err != nil {
				t.Errorf("Sweep after the end: %d, %v; want %d", n, err, want)
			}
			listed("after Sweep", 0)
		})
	}
}
