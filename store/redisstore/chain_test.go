package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// TestTrailBetween puts an entry between two positions: it is read as one that is not
// of the store.
func TestTrailBetween(t *testing.T) {
	t.Parallel()
	s, c, prefix := fresh(t)
	e := keys.Entry{Org: "acme", Time: created, Action: keys.ActionCreated, ID: "key"}
	must(t, s.AddEntry(t.Context(), e))
	chain := redisstore.ChainKey(prefix, e.ID, e.Org)
	all, err := c.XRange(t.Context(), chain, "-", "+").Result()
	must(t, err)
	must(t, c.XAdd(t.Context(), &redis.XAddArgs{Stream: chain, ID: "1-5", Values: all[0].Values}).Err())
	name := redisstore.ShardOf(e.ID)
	entries, err := s.Entries(t.Context(), e.Org, name, 0, 10)
	must(t, err)
	want := keys.Entry{Org: e.Org, Chain: name, Seq: 1}
	if len(entries) != 2 || entries[0].ID != e.ID || entries[1] != want {
		t.Errorf("%+v, want the entry and %+v", entries, want)
	}
}

// TestTrailOfAnotherPast has a server lose a trail, and get another one of the same
// length, as after a failover. A store that remembers the old end follows the new one.
func TestTrailOfAnotherPast(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	e := keys.Entry{Org: "acme", Time: created, Action: keys.ActionCreated, ID: "key"}
	must(t, s.AddEntry(t.Context(), e))
	must(t, c.Del(t.Context(), redisstore.ChainKey(p, e.ID, e.Org), p+":{"+redisstore.ShardOf(e.ID)+"}:h:acme").Err())
	another := e
	another.Actor = "host:another"
	must(t, open(t, c, redisstore.Options{Prefix: p, Timeout: 10 * time.Second}).AddEntry(t.Context(), another))
	must(t, s.AddEntry(t.Context(), e))
	if ends, err := trailed(t, s).VerifyTrail(t.Context(), e.Org); err != nil || ends[0].Seq != 2 {
		t.Errorf("the chain ends at %v, %v; want 2", ends, err)
	}
}

// TestCutLooksAgain has an entry be replaced between the moment at which a cut reads it
// and that at which it would be removed.
func TestCutLooksAgain(t *testing.T) {
	t.Parallel()
	straight, raw, p := fresh(t)
	e := keys.Entry{Org: "acme", Time: created, Action: keys.ActionCreated, ID: "key"}
	must(t, straight.AddEntry(t.Context(), e))
	chain := redisstore.ChainKey(p, e.ID, e.Org)
	c := connect(t, server(t).Socket)
	c.AddHook(&intruder{do: func() {
		must(t, raw.Del(t.Context(), chain).Err())
		must(t, raw.XAdd(t.Context(), &redis.XAddArgs{Stream: chain, ID: "1-0", Values: []string{"e", "another"}}).Err())
	}})
	s := open(t, c, redisstore.Options{Prefix: p, Timeout: 10 * time.Second})
	wants(t, "CutEntries", s.CutEntries(t.Context(), e.Org, redisstore.ShardOf(e.ID), 1), keys.ErrNotFound)
	if n, err := raw.XLen(t.Context(), chain).Result(); n != 1 || err != nil {
		t.Errorf("%d entries are left, %v; want 1", n, err)
	}
}

// TestEndsAreBounded has a store write to the trails of very many organizations.
func TestEndsAreBounded(t *testing.T) {
	t.Parallel()
	if n := redisstore.EndsAfter(10_000); n > 4096 {
		t.Errorf("the ends of %d chains are remembered, want at most 4,096", n)
	}
}
