package storetest

import (
	"fmt"
	"math"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var sweepClauses = []clause[keys.Store]{
	rule(sweeps,
		"Sweep removes tokens that were expired or revoked before the given time, and returns how many it removed. "+
			"Without it, tables of tokens grow forever.",
		sweepRemoves, deadStay, longestKept, listsNothing, seesUpdates),
	rule(sweepsDead,
		"Sweep leaves tokens alone that are alive, that never expire, or that end at the given time or later. "+
			"Fields that are not set do not count as times long past.",
		sweepOnlyDead, sweeps, getsParent),
	rule("sweep-goes-by-instants",
		"The given time is an instant, in whatever location, and may have microseconds; ends are instants, those of 1970 "+
			"too. Sweep removes what ended before it to the millisecond, and nothing else. Local time, whole seconds and rounding "+
			"break this.",
		sweepGoesByInstants, sweepsDead, "times-are-kept"),
	rule(sweepFollows,
		"Sweep goes by the times that the last Update of a token stored, and not by those it was inserted with: it leaves a token "+
			"whose end was moved later or cleared, and removes one whose end was moved earlier, or that was revoked. "+
			"A list of ends that Update does not keep breaks this.",
		sweepFollowsUpdates, sweepsDead, clears, revokedChange),
	rule("sweep-keeps-tombstones",
		"Sweep keeps keys and clients, however dead, and their IDs stay used. A key that was forgotten could be issued again.",
		sweepKeepsTombstones, sweeps, afterDeath, revokes, increments),
	rule("sweep-keeps-the-limit",
		"Sweep removes no more tokens than the limit, and as many if so many are dead; so a host can "+
			"bound what one call costs, and call again until fewer come.",
		sweepKeepsLimit, sweeps, listsDead),
	rule("sweep-validates",
		"Sweep with a limit below 1 fails with an error that wraps ErrInvalid, and removes nothing. It does not mean all.",
		sweepValidates, sweeps),
}

// now is the time that sweeps are given: the dead records of [probe.dead] died
// before it, and the others live longer.
var now = expired.Add(time.Hour)

// swept calls Sweep and fails unless it removed as many as it should.
func (p *probe) swept(s keys.Store, before time.Time, limit, want int) {
	n, err := s.Sweep(p.ctx, before, limit)
	p.ok(err, "Sweep")
	if n != want {
		p.failf("Sweep with limit %d said that it removed %d, want %d", limit, n, want)
	}
}

func sweepRemoves(p *probe, s keys.Store) {
	dead := p.dead(keys.KindToken)
	late := p.full(keys.KindToken, "expired a millisecond before")
	late.ExpiresAt = now.Add(-time.Millisecond)
	sparse := p.sparse(keys.KindToken, "sparse, and expired")
	sparse.ExpiresAt = expired
	both := p.full(keys.KindToken, "expired, and to be revoked later")
	both.ExpiresAt, both.RevokedAt = expired, now.Add(time.Hour)
	dead = append(dead, late, sparse, both)
	for _, text := range hostile() {
		r := p.full(keys.KindToken, "")
		r.ID, r.Parent, r.Label, r.ExpiresAt = text, text, text, expired
		dead = append(dead, r)
	}
	longest := p.longest(keys.KindToken, "longest")
	longest.Org, longest.ExpiresAt, longest.RevokedAt = p.clause, expired, expired
	dead = append(dead, longest)
	p.insert(s, dead...)
	for _, r := range dead {
		p.get(s, r.ID)
	}
	p.swept(s, now, 1000, len(dead))
	for _, r := range dead {
		p.absent(s, r.ID)
	}
	page := p.list(s, keys.Query{Org: p.clause, Kind: keys.KindToken, Limit: 1000})
	p.ids(page, "List after Sweep removed all")
	p.swept(s, now, 1000, 0)
}

func sweepOnlyDead(p *probe, s keys.Store) {
	var alive []keys.Record
	add := func(name string, expires, revoked time.Time) {
		r := p.full(keys.KindToken, name)
		r.ExpiresAt, r.RevokedAt = expires, revoked
		alive = append(alive, r)
	}
	never := time.Time{}
	add("alive", expires, never)
	add("never expires", never, never)
	add("expires now", now, never)
	add("expires a millisecond later", now.Add(time.Millisecond), never)
	add("revoked now", expires, now)
	add("revoked later", never, now.Add(time.Hour))
	alive = append(alive, p.sparse(keys.KindToken, "sparse"))
	rotated := p.full(keys.KindToken, "with an old digest that is over")
	rotated.PreviousExpiresAt = expired
	alive = append(alive, rotated)
	p.insert(s, alive...)
	for _, before := range []time.Time{now, created, time.UnixMilli(0), {}} {
		n, err := s.Sweep(p.ctx, before, 1000)
		p.ok(err, "Sweep")
		for _, r := range alive {
			p.same(p.get(s, r.ID), r, "a live token after Sweep of those before "+show(before))
		}
		if n != 0 {
			p.failf("Sweep of those before %s said that it removed %d, and removed none", show(before), n)
		}
	}
	for _, client := range p.dead(keys.KindClient) {
		token := p.full(keys.KindToken, "of "+client.ID)
		token.Parent = client.ID
		p.insert(s, client, token)
		_, err := s.Sweep(p.ctx, now, 1000)
		p.ok(err, "Sweep")
		p.same(p.get(s, token.ID), token, "a live token of a dead client after Sweep")
	}
}

func sweepGoesByInstants(p *probe, s keys.Store) {
	const ms = time.Millisecond
	noon := time.Date(2024, time.March, 31, 2, 30, 0, 0, time.UTC)
	zones := []*time.Location{time.UTC, time.FixedZone("east", 14*3600), time.FixedZone("west", -12*3600), time.Local}
	for i, ends := range []time.Time{epoch, time.UnixMilli(1), time.UnixMilli(1000), noon, noon.Add(ms), noon.Add(999 * ms)} {
		for j, zone := range zones {
			r := p.full(keys.KindToken, fmt.Sprintf("%d-%d", i, j))
			r.ExpiresAt = ends
			if j%2 == 1 {
				r.ExpiresAt, r.RevokedAt = time.Time{}, ends
			}
			p.insert(s, r)
			for _, before := range []time.Time{ends.Add(-ms), ends.Add(-time.Microsecond), ends} {
				n, err := s.Sweep(p.ctx, before.In(zone), 1000)
				p.ok(err, "Sweep of those before %s", before.In(zone).Format(time.RFC3339Nano))
				p.same(p.get(s, r.ID), r, "a token that ends at "+show(ends)+", after Sweep of those before "+show(before.In(zone)))
				if n != 0 {
					p.failf("Sweep said that it removed %d, and removed none", n)
				}
			}
			// The least time after the end: stores need not know of nanoseconds.
			p.swept(s, ends.Add(time.Duration(1+j%2)*500*time.Microsecond).In(zone), 1000, 1)
			p.absent(s, r.ID)
		}
	}
}

func sweepFollowsUpdates(p *probe, s keys.Store) {
	type ends struct{ expires, revoked time.Time }
	var never time.Time
	later := now.Add(48 * time.Hour)
	tests := []struct {
		name        string
		first, then ends
		dies        time.Time
	}{
		{"expires later", ends{expired, never}, ends{later, never}, later},
		{"expires just when others are swept", ends{expired, never}, ends{now, never}, now},
		{"never expires", ends{expired, never}, ends{never, never}, never},
		{"expires sooner", ends{later, never}, ends{expired, never}, expired},
		{"expires at all", ends{never, never}, ends{expired, never}, expired},
		{"is revoked", ends{later, never}, ends{later, revoked}, revoked},
		{"is revoked, and never expires", ends{never, never}, ends{never, revoked}, revoked},
		{"is revoked, and expires later", ends{expired, never}, ends{later, revoked}, revoked},
		{"is revoked later than it expired", ends{expired, never}, ends{expired, later}, expired},
		{"is revoked later, and never expires", ends{expired, never}, ends{never, later}, later},
		{"is revoked sooner", ends{never, later}, ends{never, revoked}, revoked},
		{"expires later, but was revoked", ends{expired, revoked}, ends{later, revoked}, revoked},
		{"has another label", ends{expired, never}, ends{expired, never}, expired},
	}
	tokens := make([]keys.Record, len(tests))
	for i, t := range tests {
		r := p.full(keys.KindToken, t.name)
		r.ExpiresAt, r.RevokedAt = t.first.expires, t.first.revoked
		p.insert(s, r)
		r.Label += ", changed"
		r.ExpiresAt, r.RevokedAt = t.then.expires, t.then.revoked
		tokens[i] = p.updated(s, r)
	}
	gone := 0
	for _, before := range []time.Time{now, later, later.Add(time.Millisecond)} {
		n, err := s.Sweep(p.ctx, before, 1000)
		p.ok(err, "Sweep")
		dead := 0
		for i, r := range tokens {
			what := fmt.Sprintf("a token that, since an Update, %s, after Sweep of those before %s", tests[i].name, show(before))
			got, _, err := s.Get(p.ctx, r.ID)
			if dies := tests[i].dies; dies.IsZero() || !dies.Before(before) {
				p.ok(err, "Get of %s", what)
				p.same(got, r, what)
				continue
			}
			p.refused(err, keys.ErrNotFound, "Get of %s,", what)
			dead++
		}
		if n != dead-gone {
			p.failf("Sweep of those before %s said that it removed %d, and removed %d", show(before), n, dead-gone)
		}
		gone = dead
	}
}

func sweepKeepsTombstones(p *probe, s keys.Store) {
	for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient} {
		dead := p.dead(kind)
		p.insert(s, dead...)
		for _, r := range p.dead(kind) { // and the same after a life
			r.ID += " by Update"
			end := r
			r.ExpiresAt, r.RevokedAt = expires, time.Time{}
			p.insert(s, r)
			dead = append(dead, p.updated(s, end))
		}
		token := p.full(keys.KindToken, "of a dead "+string(kind))
		token.Parent, token.ExpiresAt = dead[0].ID, expired
		p.insert(s, token)
		p.swept(s, expires.AddDate(1, 0, 0), math.MaxInt32, 1)
		for _, r := range dead {
			p.same(p.get(s, r.ID), r, "a dead "+string(kind)+" after Sweep")
			p.refused(s.Insert(p.ctx, r), keys.ErrExists, "Insert, after Sweep, of the ID of a dead %s", kind)
		}
	}
}

func sweepKeepsLimit(p *probe, s keys.Store) {
	const total, limit = 7, 3
	for i := range total {
		r := p.full(keys.KindToken, fmt.Sprint(i))
		r.ExpiresAt = expired
		p.insert(s, r)
	}
	left := total
	for left > 0 {
		n, err := s.Sweep(p.ctx, now, limit)
		p.ok(err, "Sweep")
		there := len(p.list(s, keys.Query{Org: p.clause, Kind: keys.KindToken, Limit: 1000}))
		switch {
		case left-there > limit:
			p.failf("Sweep with limit %d removed %d tokens", limit, left-there)
		case n != left-there:
			p.failf("Sweep said that it removed %d tokens, and removed %d", n, left-there)
		case n != min(limit, left):
			p.failf("Sweep with limit %d removed %d of %d dead tokens", limit, n, left)
		}
		left = there
	}
	p.swept(s, now, limit, 0)
}

func sweepValidates(p *probe, s keys.Store) {
	r := p.dead(keys.KindToken)[0]
	p.insert(s, r)
	for _, limit := range []int{0, -1, math.MinInt} {
		_, err := s.Sweep(p.ctx, now, limit)
		p.refused(err, keys.ErrInvalid, "Sweep with limit %d", limit)
		p.same(p.get(s, r.ID), r, "a dead token after a Sweep that was refused")
	}
}
