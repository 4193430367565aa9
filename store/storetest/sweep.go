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
			"Without it, tables of tokens grow for ever.",
		sweepRemoves, deadStay, notFound, listsNothing),
	rule("sweep-only-dead-tokens",
		"Sweep leaves tokens alone that are alive, that never expire, or that end at the given time or later. "+
			"Fields that are not set do not count as times long past.",
		sweepOnlyDead, sweeps),
	rule("sweep-keeps-tombstones",
		"Sweep keeps keys and clients, however dead, and their IDs stay used. A key that was forgotten could be issued again.",
		sweepKeepsTombstones, sweeps, afterDeath),
	rule("sweep-keeps-the-limit",
		"Sweep removes no more tokens than the limit, and some if any are dead; so a host can "+
			"bound what one call costs, and call again until nothing is left.",
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
	dead = append(dead, late)
	p.insert(s, dead...)
	p.swept(s, now, 1000, len(dead))
	for _, r := range dead {
		p.absent(s, r.ID)
	}
	page := p.list(s, keys.Query{Org: p.clause, Kind: keys.KindToken, Limit: 10})
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
}

func sweepKeepsTombstones(p *probe, s keys.Store) {
	for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient} {
		dead := p.dead(kind)
		p.insert(s, dead...)
		p.swept(s, expires.AddDate(1, 0, 0), math.MaxInt32, 0)
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
		case n == 0:
			p.failf("Sweep removed nothing, with %d dead tokens left", left)
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
