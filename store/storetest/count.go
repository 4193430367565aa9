package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A countStore is what the clauses of [keys.CountStore] are about.
type countStore interface {
	keys.Store
	keys.CountStore
}

var countClauses = []clause[keys.Store]{
	optional("keys.CountStore", countsLiving,
		"Count returns how many records of the organization and the kind are neither revoked nor expired at the time: those that are paused "+
			"count, those that expire just then do not, nor those that are to be revoked later. It need not count further than to the number most.",
		countTheLiving, roundTrip, deadStay),
	optional("keys.CountStore", "count-sees-writes",
		"Once an Insert, Update or Sweep has returned, Count counts what it did. A number that is kept apart from the records breaks this: "+
			"an organization can make more keys than its cap, or none any more.",
		countSeesWrites, countsLiving, revokedChange, clears, sweepFollows),
	optional("keys.CountStore", "count-isolates-organizations",
		"Count counts nothing of another organization, even if its name differs only in case, spaces or wildcards, and nothing of another kind.",
		countIsolates, countsLiving, "list-isolates-organizations"),
	optional("keys.CountStore", "count-validates",
		"Count returns the error of Query.Validate, of a Query with the same organization, kind and limit, if that is not nil. Nothing that "+
			"was asked for by mistake is a count of 0.",
		countValidates, countsLiving),
	optional("keys.CountStore", "count-context-ended",
		"Count"+endedDoc+". A count of nothing would let an organization pass its cap.",
		countEnded, countsLiving),
}

// counted fails unless Count returns n, or at least the most that it need count.
func (p *probe) counted(s countStore, org string, kind keys.Kind, now time.Time, n int, when string) {
	for _, most := range []int{1, max(1, n-1), n + 1, 1 << 30} {
		got, err := s.Count(p.ctx, org, kind, now, most)
		p.ok(err, "Count, %s,", when)
		if got < min(n, most) || got > n {
			p.failf("Count of the %ss of %s at %s, %s, gave %d, want %d; it need not go beyond %d", kind, quote(org), show(now), when, got, n, most)
		}
	}
}

func countTheLiving(p *probe, s countStore) {
	for _, kind := range kinds {
		org := p.clause + " with " + string(kind) // alone, since other kinds are for another clause
		p.counted(s, org, kind, now, 0, "of nothing")
		at, late := p.sparse(kind, "expires then "+string(kind)), p.full(kind, "expires just after "+string(kind))
		at.ExpiresAt, late.ExpiresAt = now, now.Add(time.Millisecond)
		revokedLater := p.full(kind, "revoked later "+string(kind))
		revokedLater.RevokedAt = expires
		ends := p.sparse(kind, "ended in 1970 "+string(kind))
		ends.ExpiresAt = epoch
		all := append(p.dead(kind), at, late, revokedLater, ends, p.full(kind, "full "+string(kind)), p.sparse(kind, "sparse "+string(kind)))
		for i := range all {
			all[i].Org = org
		}
		p.insert(s, all...)
		p.counted(s, org, kind, now, 3, "of nine records of which three live")
		p.counted(s, org, kind, now.In(time.FixedZone("east", 14*3600)), 3, "in another zone")
		p.counted(s, org, kind, now.Add(500*time.Microsecond), 3, "half a millisecond later")
		p.counted(s, org, kind, now.Add(time.Millisecond), 2, "a millisecond later")
		p.counted(s, org, kind, expires.AddDate(1, 0, 0), 1, "when all that expire are over")
	}
}

func countSeesWrites(p *probe, s countStore) {
	for _, kind := range kinds {
		org := p.clause + " with " + string(kind)
		r, another := p.full(kind, string(kind)), p.sparse(kind, "another "+string(kind))
		r.Org, another.Org = org, org
		p.counted(s, org, kind, now, 0, "before Insert")
		p.insert(s, r, another)
		p.counted(s, org, kind, now, 2, "after two Inserts")
		r.ExpiresAt = expired
		r = p.updated(s, r)
		p.counted(s, org, kind, now, 1, "after an Update that gave one an end that is past")
		r.ExpiresAt = time.Time{}
		r = p.updated(s, r)
		p.counted(s, org, kind, now, 2, "after an Update that took the end away")
		r = p.updated(s, changed(r))
		p.counted(s, org, kind, now, 2, "after an Update that paused one")
		r.RevokedAt = revoked
		r = p.updated(s, r)
		p.counted(s, org, kind, now, 1, "after an Update that revoked one")
		r = p.updated(s, changed(r))
		p.counted(s, org, kind, now, 1, "after another Update of the revoked one")
		_, err := s.Sweep(p.ctx, now, 1000)
		p.ok(err, "Sweep")
		p.counted(s, org, kind, now, 1, "after Sweep")
	}
}

func countIsolates(p *probe, s countStore) {
	orgs := append(append(hostile(), "acme"), alike("acme")...)
	for i, org := range orgs {
		r := p.full(kinds[i%len(kinds)], fmt.Sprint(i))
		r.Org = org
		p.insert(s, r)
	}
	for i, org := range orgs {
		for j, kind := range kinds {
			want := 0
			if i%len(kinds) == j {
				want = 1
			}
			p.counted(s, org, kind, now, want, "among other organizations and kinds")
		}
	}
}

func countValidates(p *probe, s countStore) {
	p.insert(s, p.keys("a")...)
	for what, change := range map[string]func(*keys.Query){
		"no organization":                   func(q *keys.Query) { q.Org = "" },
		"an organization with NUL":          func(q *keys.Query) { q.Org = "a\x00" },
		"an organization that is not UTF-8": func(q *keys.Query) { q.Org = "a\xff" },
		"an unknown kind":                   func(q *keys.Query) { q.Kind = "KEY" },
		"a limit of 0":                      func(q *keys.Query) { q.Limit = 0 },
	} {
		q := p.query()
		change(&q)
		_, err := s.Count(p.ctx, q.Org, q.Kind, now, q.Limit)
		p.refused(err, keys.ErrInvalid, "Count with %s", what)
	}
}

func countEnded(p *probe, s countStore) {
	p.insert(s, p.full(keys.KindKey, "a"))
	for _, org := range []string{p.clause, p.clause + " without records"} {
		p.ended("Count", func(ctx context.Context) error {
			_, err := s.Count(ctx, org, keys.KindKey, now, 10)
			return err
		})
	}
}
