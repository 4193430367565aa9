package redisstore_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// TestListsFollow makes changes at random, and compares the lists on the server,
// and what Count and Orgs say, with the records.
func TestListsFollow(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	checkListsFollow(t, s, func(all map[string]keys.Record) { checkLists(t, c, p, all) })
}

// checkListsFollow is TestListsFollow for one store. It calls look with all records
// now and then.
func checkListsFollow(t *testing.T, s *redisstore.Store, look func(all map[string]keys.Record)) {
	t.Helper()
	ctx := t.Context()
	random := rand.New(rand.NewPCG(1, 2))
	all := make(map[string]keys.Record)
	orgs := []string{"a", "b", "b ", "c:d", "\u00e9"}
	times := []time.Time{{}, created, created.Add(time.Millisecond), created.Add(time.Hour), expires}
	check := func() {
		t.Helper()
		look(all)
		for _, org := range orgs {
			for _, now := range times[1:] {
				want := 0
				for _, r := range all {
					if r.Org == org && !r.Revoked() && !r.Expired(now) {
						want++
					}
				}
				for _, most := range []int{want + 1, max(want, 1), math.MaxInt} {
					if n, err := s.Count(ctx, org, keys.KindToken, now, most); n != want || err != nil {
						t.Fatalf("Count of %q at %v, up to %d: %d, %v; want %d", org, now, most, n, err, want)
					}
				}
				if want > 1 {
					if n, err := s.Count(ctx, org, keys.KindToken, now, want-1); n != want-1 || err != nil {
						t.Fatalf("Count of %q, up to %d: %d, %v", org, want-1, n, err)
					}
				}
			}
			for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient} {
				if n, err := s.Count(ctx, org, kind, created, 10); n != 0 || err != nil {
					t.Fatalf("Count of %ss of %q: %d, %v", kind, org, n, err)
				}
			}
		}
		var want []string
		for _, r := range all {
			want = append(want, r.Org)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		for i := range len(want) + 1 {
			after := ""
			if i > 0 {
				after = want[i-1]
			}
			for _, limit := range []int{1, 2, 10, math.MaxInt} {
				got, err := s.Orgs(ctx, after, limit)
				must(t, err)
				if diff := cmp.Diff(want[i:i+min(limit, len(want)-i)], got); diff != "" && len(got)+len(want[i:]) > 0 {
					t.Fatalf("Orgs after %q, up to %d:\n%s", after, limit, diff)
				}
			}
		}
	}
	check()
	ids := make([]string, 12)
	for i := range ids {
		ids[i] = fmt.Sprint("token ", i)
	}
	pick := func() time.Time { return times[random.IntN(len(times))] }
	for step := range rounds(6000, 600, 180) {
		id := ids[random.IntN(len(ids))]
		r, there := all[id]
		switch {
		case !there:
			r = record(keys.KindToken, id)
			r.Org, r.ExpiresAt, r.RevokedAt = orgs[random.IntN(len(orgs))], pick(), pick()
			must(t, s.Insert(ctx, r))
			all[id] = r
		case random.IntN(4) == 0:
			before := pick()
			want := 0
			for id, r := range all {
				if r.Sweepable(before) {
					want++
					delete(all, id)
				}
			}
			if n, err := s.Sweep(ctx, before, len(ids)); n != want || err != nil {
				t.Fatalf("Sweep before %v: %d, %v; want %d", before, n, err, want)
			}
		default:
			r.ExpiresAt = pick()
			if at := pick(); !at.IsZero() && (!r.Revoked() || at.Before(r.RevokedAt)) {
				r.RevokedAt = at
			}
			must(t, s.Update(ctx, r))
			r.Version++
			all[id] = r
		}
		if step%20 == 0 {
			check()
		}
	}
	for _, r := range all {
		r.ExpiresAt = created
		must(t, s.Update(ctx, r))
	}
	if n, err := s.Sweep(ctx, expires.Add(time.Hour), 100); n != len(all) || err != nil {
		t.Fatalf("Sweep of all: %d, %v; want %d", n, err, len(all))
	}
	clear(all)
	check()
}

// TestOrgsStay checks that an organization goes with its last token only if it
// has no other record in that shard.
func TestOrgsStay(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		kind   keys.Kind
		change func(r *keys.Record)
	}{
		{"a key", keys.KindKey, func(*keys.Record) {}},
		{"a client", keys.KindClient, func(*keys.Record) {}},
		{"a token", keys.KindToken, func(*keys.Record) {}},
		{"a revoked key", keys.KindKey, func(r *keys.Record) { r.RevokedAt = created }},
		{"a revoked client", keys.KindClient, func(r *keys.Record) { r.RevokedAt = created }},
		{"a token that was revoked late", keys.KindToken, func(r *keys.Record) { r.RevokedAt = expires.Add(-time.Hour) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, _, p := fresh(t)
			ctx := t.Context()
			dead := record(keys.KindToken, "dead")
			dead.ExpiresAt = created
			must(t, s.Insert(ctx, dead))
			stays := record(row.kind, "0")
			for i := 0; redisstore.DeathsKey(p, stays.ID) != redisstore.DeathsKey(p, dead.ID); i++ {
				stays.ID = fmt.Sprint(i)
			}
			row.change(&stays)
			must(t, s.Insert(ctx, stays))
			if n, err := s.Sweep(ctx, created.Add(1), 10); n != 1 || err != nil {
				t.Fatalf("Sweep: %d, %v", n, err)
			}
			if orgs, err := s.Orgs(ctx, "", 10); err != nil || !cmp.Equal(orgs, []string{"acme"}) {
				t.Errorf("Orgs: %q, %v", orgs, err)
			}
		})
	}
}

// TestCountWithStaleEnds counts beside an end whose record is gone: an earlier
// release swept the token. That must not hide a live one in another shard.
func TestCountWithStaleEnds(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	ctx := t.Context()
	live, gone := record(keys.KindToken, "0"), "1"
	must(t, s.Insert(ctx, live))
	for i := 2; redisstore.DeathsKey(p, gone) == redisstore.DeathsKey(p, live.ID); i++ {
		gone = fmt.Sprint(i)
	}
	must(t, c.ZAdd(ctx, redisstore.ListKey(p, "e", keys.KindToken, "acme", gone), redis.Z{Score: 1, Member: gone}).Err())
	if n, err := s.Count(ctx, "acme", keys.KindToken, created, 9); n != 1 || err != nil {
		t.Errorf("Count: %d, %v", n, err)
	}
}

func TestCountAndOrgsRefuse(t *testing.T) {
	t.Parallel()
	s, _, _ := fresh(t)
	_, err := s.Count(t.Context(), "", keys.KindKey, created, 1)
	wants(t, "Count without an organization", err, keys.ErrInvalid)
	_, err = s.Count(t.Context(), "acme", "", created, 1)
	wants(t, "Count without a kind", err, keys.ErrInvalid)
	for _, most := range []int{0, -1} {
		_, err = s.Count(t.Context(), "acme", keys.KindKey, created, most)
		wants(t, fmt.Sprint("Count up to ", most), err, keys.ErrInvalid)
	}
	_, err = s.Orgs(t.Context(), "", 0)
	wants(t, "Orgs up to 0", err, keys.ErrInvalid)
}
