package redisstore_test

import (
	"context"
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

// TestLongList reads more records than one step does, in one page and in many.
func TestLongList(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := connect(t, private(t, "--appendonly", "no").Socket)
	s := open(t, c, redisstore.Options{Timeout: 10 * time.Second})
	const total = 1300
	var live int
	for i := range total {
		r := record(keys.KindClient, fmt.Sprintf("client %04d", i))
		if i%3 == 0 {
			r.RevokedAt = created
		} else {
			live++
		}
		must(t, s.Insert(ctx, r))
	}
	for _, onlyLive := range []bool{false, true} {
		for _, limit := range []int{total + 1, 1000, 999, 256, 99} {
			q, seen := keys.Query{Org: "acme", Kind: keys.KindClient, Limit: limit, Live: onlyLive}, 0
			for number := 0; ; {
				page, err := s.List(ctx, q)
				must(t, err)
				for _, r := range page {
					if onlyLive && number%3 == 0 {
						number++
					}
					if want := fmt.Sprintf("client %04d", number); r.ID != want || onlyLive && r.Revoked() {
						t.Fatalf("in pages of %d, %q is where %q should be", limit, r.ID, want)
					}
					number++
				}
				seen += len(page)
				if len(page) < limit {
					break
				}
				q.After = page[len(page)-1].ID
			}
			if want := map[bool]int{false: total, true: live}[onlyLive]; seen != want {
				t.Errorf("in pages of %d, live %t: %d of %d", limit, onlyLive, seen, want)
			}
		}
	}
}

// TestListOfTwoShards lists IDs of which nearly all are in two shards, so that these
// have more of a page than their shares.
func TestListOfTwoShards(t *testing.T) {
	t.Parallel()
	s, _, p := fresh(t)
	var ids []string
	shard := func(id string) string { return redisstore.DeathsKey(p, id) }
	for i := 0; len(ids) < 80; i++ {
		id := fmt.Sprint("key ", i)
		if shard(id) == shard("key 0") || shard(id) == shard("key 1") || len(ids) < 20 {
			ids = append(ids, id)
			must(t, s.Insert(t.Context(), record(keys.KindKey, id)))
		}
	}
	slices.Sort(ids)
	for limit := 1; limit < 90; limit++ {
		var got []string
		for q := (keys.Query{Org: "acme", Kind: keys.KindKey, Limit: limit}); ; {
			page, err := s.List(t.Context(), q)
			must(t, err)
			for _, r := range page {
				got = append(got, r.ID)
			}
			if len(page) < limit {
				break
			}
			q.After = page[limit-1].ID
		}
		if !slices.Equal(got, ids) {
			t.Fatalf("in pages of %d: %q, want %q", limit, got, ids)
		}
	}
}

// A meddler does something just before the first transaction runs.
type meddler struct {
	log
	once sync.Once
	do   func()
}

func (m *meddler) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if strings.EqualFold(cmds[0].Name(), "multi") {
			m.once.Do(m.do)
		}
		return next(ctx, cmds)
	}
}

// TestListIsOfOneMoment has records come, go and change between the moment at which
// List learns of their IDs and that at which it reads them. The page must be as
// it was before all of that, or after it.
func TestListIsOfOneMoment(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		after string // cursor
		limit int
		live  bool
		do    func(ctx context.Context, s *redisstore.Store, b keys.Record) error
		want  string
	}{
		{"one comes", "", 10, false, insertC, "a1 b1 c1 d1"},
		{"one comes before the last", "", 3, false, insertC, "a1 b1 c1"},
		{"one comes after the last", "", 2, false, insertC, "a1 b1"},
		{"one comes before the cursor", "c5", 10, false, insertC, "d1"},
		{"one is revoked", "", 10, false, revoke, "a1 b2 d1"},
		{"one is revoked, live ones", "", 10, true, revoke, "a1 d1"},
		{"one is revoked, two live ones", "", 2, true, revoke, "a1 d1"},
		{"one is swept", "", 10, false, func(ctx context.Context, s *redisstore.Store, b keys.Record) error {
			_, err := s.Sweep(ctx, b.ExpiresAt.Add(1), 1)
			return err
		}, "a1 d1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			straight, _, p := fresh(t)
			for _, id := range []string{"a", "b", "d"} {
				r := record(keys.KindToken, id)
				if id == "b" {
					r.ExpiresAt = created.Add(time.Hour)
				}
				must(t, straight.Insert(ctx, r))
			}
			b, _, err := straight.Get(ctx, "b")
			must(t, err)
			c := connect(t, server(t).Socket)
			c.AddHook(&meddler{do: func() { must(t, row.do(ctx, straight, b)) }})
			s := open(t, c, redisstore.Options{Prefix: p, Timeout: 10 * time.Second})
			page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindToken, After: row.after, Limit: row.limit, Live: row.live})
			must(t, err)
			var got []string
			for _, r := range page {
				got = append(got, fmt.Sprint(r.ID, r.Version))
			}
			if strings.Join(got, " ") != row.want {
				t.Errorf("%q, want %s", got, row.want)
			}
		})
	}
}

func insertC(ctx context.Context, s *redisstore.Store, _ keys.Record) error {
	return s.Insert(ctx, record(keys.KindToken, "c"))
}

func revoke(ctx context.Context, s *redisstore.Store, b keys.Record) error {
	b.RevokedAt = created
	return s.Update(ctx, b)
}
