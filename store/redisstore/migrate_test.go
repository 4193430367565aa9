package redisstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// TestEarlierData reads, lists, updates and sweeps 100,000 records that the release
// before format 1 wrote, nine tenths of them revoked keys, before and after
// Migrate.
func TestEarlierData(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := connect(t, private(t, "--appendonly", "no").Socket)
	s := open(t, c, redisstore.Options{Timeout: time.Minute})
	must(t, errors.Join(earlierInsert.Load(ctx, c).Err(), earlierUpdate.Load(ctx, c).Err()))

	total := rounds(100_000, 10_000, 2000)
	all := make(map[string]keys.Record)
	var live, sweepable int
	now := created.Add(time.Hour)
	pipe := c.Pipeline()
	old := earlier{pipe, redisstore.DefaultPrefix}
	for i := range total {
		r := record(keys.KindKey, fmt.Sprintf("key %07d", i))
		switch {
		case i%1000 == 1:
			r.Kind, r.TokenLifetime = keys.KindClient, time.Hour
		case i%100 == 2:
			r = record(keys.KindToken, r.ID)
			r.Parent = fmt.Sprintf("key %07d", i/1000*1000+1)
			r.ExpiresAt = created.Add(time.Duration(i) * time.Second)
		case i%10 == 3:
			r.ExpiresAt = time.Time{}
		case i%10 == 4:
			r.ExpiresAt = now // over at that moment
		default:
			r.Previous, r.PreviousExpiresAt = digest, now
		}
		old.insert(ctx, r)
		if r.Kind == keys.KindKey && i%10 != 3 && i%20 != 4 {
			r.RevokedAt = now
			old.update(ctx, r)
			r.Version++
		}
		if r.Kind == keys.KindKey && !r.Revoked() && !r.Expired(now) {
			live++
		}
		if r.Sweepable(now) {
			sweepable++
		}
		all[r.ID] = r
		if pipe.Len() > 2000 {
			_, err := pipe.Exec(ctx)
			must(t, err)
		}
	}
	_, err := pipe.Exec(ctx)
	must(t, err)

	// check walks over the keys, and compares each with what was written.
	check := func(when string, onlyLive bool) {
		t.Helper()
		seen := 0
		for q := (keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1000, Live: onlyLive}); ; {
			page, err := s.List(ctx, q)
			must(t, err)
			for _, r := range page {
				if seen++; r != all[r.ID] || r.ID <= q.After || onlyLive && r.Revoked() {
					t.Fatalf("%s: %+v, want %+v", when, r, all[r.ID])
				}
				q.After = r.ID
			}
			if len(page) < q.Limit {
				break
			}
		}
		want := 0
		for _, r := range all {
			if r.Kind == keys.KindKey && !(onlyLive && r.Revoked()) {
				want++
			}
		}
		if seen != want {
			t.Errorf("%s: %d keys, want %d", when, seen, want)
		}
	}
	check("before Migrate", false)
	check("before Migrate, live", true)
	token, parent, err := s.Get(ctx, "key 0000002")
	must(t, err)
	if token != all[token.ID] || parent != all[parent.ID] || parent.ID != "key 0000001" {
		t.Errorf("a token and its client: %+v, %+v", token, parent)
	}

	must(t, s.Migrate(ctx))
	check("after Migrate", false)
	check("after Migrate, live", true)
	checkLists(t, c, redisstore.DefaultPrefix, all)
	if n, err := s.Count(ctx, "acme", keys.KindKey, now, total); n != live || err != nil {
		t.Errorf("Count: %d, %v; want %d", n, err, live)
	}
	if orgs, err := s.Orgs(ctx, "", 10); err != nil || !cmp.Equal(orgs, []string{"acme"}) {
		t.Errorf("Orgs: %q, %v", orgs, err)
	}
	if n, err := s.Sweep(ctx, now, total); n != sweepable || err != nil {
		t.Errorf("Sweep: %d, %v; want %d", n, err, sweepable)
	}

	// A page of one among all the revoked ones reads the record that it returns.
	l := new(log)
	c.AddHook(l)
	page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1, Live: true})
	if err != nil || len(page) != 1 || page[0].ID != "key 0000003" {
		t.Errorf("a page of one: %v, %v", page, err)
	}
	if n := l.count("hgetall"); n != 1 {
		t.Errorf("a page of one read %d records", n)
	}
}

// TestEarlierRevoked looks for the one live key behind 1,000 that the earlier
// release revoked. Steps get longer, so there are few.
func TestEarlierRevoked(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, c, p := fresh(t)
	must(t, earlierInsert.Load(ctx, c).Err())
	pipe := c.Pipeline()
	old := earlier{pipe, p}
	for i := range 1000 {
		r := record(keys.KindKey, fmt.Sprintf("key %04d", i))
		r.RevokedAt = created
		old.insert(ctx, r)
	}
	_, err := pipe.Exec(ctx)
	must(t, err)
	must(t, s.Insert(ctx, record(keys.KindKey, "last")))
	l := new(log)
	c.AddHook(l)
	page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1, Live: true})
	if err != nil || len(page) != 1 || page[0].ID != "last" {
		t.Errorf("List: %v, %v", page, err)
	}
	if n := len(l.take()); n > 40 {
		t.Errorf("it took %d round trips", n)
	}
}

// checkLists compares the lists on the server with those that the records should
// have.
func checkLists(t *testing.T, c *redis.Client, prefix string, all map[string]keys.Record) {
	t.Helper()
	ctx := t.Context()
	want, got := make(map[string]map[string]float64), make(map[string]map[string]float64)
	put := func(key, id string, score float64) {
		if want[key] == nil {
			want[key] = make(map[string]float64)
		}
		want[key][id] = score
	}
	for id, r := range all {
		l := "i"
		if r.Revoked() {
			l = "x"
		} else if !r.ExpiresAt.IsZero() {
			put(redisstore.ListKey(prefix, "e", r.Kind, r.Org, id), id, float64(r.ExpiresAt.UnixMilli()))
		}
		put(redisstore.ListKey(prefix, l, r.Kind, r.Org, id), id, 0)
		put(redisstore.OrgsKey(prefix, id), r.Org, 0)
		if end := r.Ends(); r.Kind == keys.KindToken && !end.IsZero() {
			put(redisstore.DeathsKey(prefix, id), id, float64(end.UnixMilli()))
		}
	}
	names, err := c.Keys(ctx, prefix+":{*}:*").Result()
	must(t, err)
	for _, name := range names {
		if kind, err := c.Type(ctx, name).Result(); kind != "zset" || err != nil {
			continue
		}
		members, err := c.ZRangeWithScores(ctx, name, 0, -1).Result()
		must(t, err)
		got[name] = make(map[string]float64)
		for _, m := range members {
			got[name][m.Member.(string)] = m.Score
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the lists (-want +got):\n%.4000s", diff)
	}
}

// TestBesideEarlier has a process of the release before format 1 work on the same
// records as one of this release, while Migrate runs. Nothing that either wrote is
// lost, and Migrate leaves the lists right when the old process has ended.
func TestBesideEarlier(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, c, p := fresh(t)
	old := earlier{c, p}
	all := make(map[string]keys.Record)
	orgs := []string{"acme", "ac:me", "{acme}", "key:acme"}
	change := func(n int) {
		r := record(keys.KindKey, fmt.Sprint("it ", n))
		if n%3 == 0 {
			r = record(keys.KindToken, r.ID)
		}
		if n%5 == 0 {
			r.ExpiresAt = time.Time{}
		}
		r.Org = orgs[n%len(orgs)]
		step := func(byOld bool, does func() *redis.Cmd, do func() error) {
			t.Helper()
			if !byOld {
				must(t, do())
			} else if answer, err := does().Int(); answer != 1 || err != nil {
				t.Fatalf("%d: %d, %v", n, answer, err)
			}
		}
		step(n%2 == 0, func() *redis.Cmd { return old.insert(ctx, r) }, func() error { return s.Insert(ctx, r) })
		for i := range n % 4 {
			byOld := (n/4+i)%2 == 0
			switch (n + i) % 3 {
			case 0:
				r.RevokedAt = created
			case 1:
				r.Label += "."
			case 2:
				r.ExpiresAt = created.Add(time.Duration(n) * time.Hour)
			}
			step(byOld, func() *redis.Cmd { return old.update(ctx, r) }, func() error { return s.Update(ctx, r) })
			r.Version++
		}
		if n%9 == 0 && r.Sweepable(expires) {
			must(t, old.sweep(ctx, expires, r).Err())
			return
		}
		all[r.ID] = r
	}
	for n := range 100 {
		change(n)
	}
	done := make(chan error)
	go func() {
		for range 5 {
			if err := s.Migrate(ctx); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for n := 100; n < 400; n++ {
		change(n)
	}
	must(t, <-done)
	for _, r := range all {
		if got, _, err := s.Get(ctx, r.ID); got != r || err != nil {
			t.Errorf("%+v, %v; want %+v", got, err, r)
		}
	}
	for range 2 { // it can be called again
		must(t, s.Migrate(ctx))
		checkLists(t, c, p, all)
	}
}

// TestMigrateLeavesJunk checks that records that cannot be read stay where they
// are listed, so that List reports them.
func TestMigrateLeavesJunk(t *testing.T) {
	t.Parallel()
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s, c, p := fresh(t)
			r := record(keys.KindKey, "key")
			must(t, s.Insert(ctx, r))
			must(t, damage.do(ctx, c, redisstore.RecordKey(p, r.ID)))
			must(t, s.Migrate(ctx))
			_, _, err := s.Get(ctx, r.ID)
			wants(t, "Get", err, keys.ErrCorrupt)
			says, err := c.HMGet(ctx, redisstore.RecordKey(p, r.ID), "org", "kind").Result()
			if err == nil && says[0] != nil && says[1] != nil && (says[0] != "acme" || says[1] != "key") {
				return // it belongs elsewhere
			}
			_, err = s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
			wants(t, "List", err, keys.ErrCorrupt)
		})
	}
}

// TestMigrateLeavesOtherKeys has keys that look like those of lists at first sight.
func TestMigrateLeavesOtherKeys(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	other := p + ":{" + redisstore.Tags()[0] + "}:i:key"
	must(t, c.Set(t.Context(), other, "x", 0).Err())
	must(t, s.Migrate(t.Context()))
	if text, err := c.Get(t.Context(), other).Result(); text != "x" || err != nil {
		t.Errorf("the key has %q, %v", text, err)
	}
}
