package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// secondRule makes a clause about two handles on the same data.
func secondRule[S any](name, doc string, check func(p *probe, s, second S), needs ...string) clause[S] {
	c := rule(name, doc, func(p *probe, s S) {
		opts := p.options.(*Options[S])
		var second S
		p.call(func() { second = opts.Second(p.t, s) })
		check(p, s, second)
	}, needs...)
	c.Optional = "Options.Second"
	c.given = func(opts *Options[S]) bool { return opts.Second != nil }
	return c
}

var secondClauses = []clause[keys.Store]{
	secondRule(secondFresh,
		"Every handle on the data sees what another one has written as soon as the call has returned. That holds for Get, List and the "+
			"conditions of Update, also if the handle has read the record before, or has not found it. A cache in the memory of each "+
			"process breaks this: a revoked credential is accepted by the other nodes.",
		secondSeesWrites, listFresh, "list-live-sees-writes", seesInserts, parentFresh, compares),
	secondRule("second-handle-one-wins",
		"Of Inserts of one ID, and of Updates of one version, at the same time and through two handles, exactly one goes "+
			"well. A lock in the memory of each process breaks this; the database has to decide.",
		secondOneWins, secondFresh, "concurrent-insert-one-wins", oneUpdateWins),
	secondRule("second-handle-revoke-is-seen",
		"Once an Update has returned, every Get that starts later, through another handle too, sees what it wrote, however "+
			"many read the record meanwhile.",
		func(p *probe, s, second keys.Store) { p.revokeMany(s, second) }, secondFresh, "concurrent-revoke-is-seen"),
}

func secondSeesWrites(p *probe, a, b keys.Store) {
	for _, kind := range kinds {
		name := string(kind)
		q, alive := keys.Query{Org: p.clause, Kind: kind, Limit: 1000}, keys.Query{Org: p.clause, Kind: kind, Limit: 1000, Live: true}
		client := p.full(keys.KindClient, "client of "+name)
		client.Org += " of others"
		r := p.full(kind, name)
		if kind == keys.KindToken {
			r.Parent = client.ID
			p.insert(b, client)
		} else {
			client = keys.Record{}
		}
		p.absent(b, r.ID)
		p.sameSet(p.list(b, q), nil, "List by the second handle before there is anything")
		check := func(when string) {
			p.family(b, r.ID, r, client, "by the second handle after "+when+" by the first")
			p.sameSet(p.list(b, q), []keys.Record{r}, "List by the second handle after "+when+" by the first")
			if !r.Revoked() {
				p.sameSet(p.list(b, alive), []keys.Record{r}, "List of live records by the second handle after "+when+" by the first")
			} else {
				p.sameSet(p.list(b, alive), nil, "List of live records by the second handle after "+when+" by the first")
			}
		}
		p.insert(a, r)
		check("Insert")
		p.refused(b.Insert(p.ctx, r), keys.ErrExists, "Insert by the second handle of an ID that the first inserted")
		stale := changed(r)
		r = p.updated(a, changed(r))
		check("Update")
		p.refused(b.Update(p.ctx, stale), keys.ErrConflict, "Update by the second handle of a version that the first updated")
		check("an Update that was refused")
		if client.ID != "" {
			client.RevokedAt = revoked
			client = p.updated(a, client)
			check("an Update of the parent")
		}
		r.RevokedAt = revoked
		r = p.updated(a, r)
		check("the Update that revoked the record")
		if kind == keys.KindToken {
			p.swept(a, now, 1000, 1)
			p.absent(b, r.ID)
			p.sameSet(p.list(b, q), nil, "List by the second handle after Sweep by the first")
		}
		p.secondSeesUses(a, b, kind)
	}
}

// secondSeesUses checks uses too, if both handles keep them.
func (p *probe) secondSeesUses(a, b keys.Store, kind keys.Kind) {
	first, ok := a.(keys.UseStore)
	second, both := b.(useStore)
	if !ok || !both {
		return
	}
	r := p.full(kind, "used "+string(kind))
	r.Org += " of users"
	p.insert(a, r)
	for n := range 2 {
		t := used.Add(time.Duration(n) * time.Hour)
		err := first.NoteUses(p.ctx, map[string]time.Time{r.ID: t})
		if errors.Is(err, errors.ErrUnsupported) {
			return
		}
		p.ok(err, "NoteUses by the first handle")
		p.lastUse(second, r, t, "by the second handle, after NoteUses by the first,")
	}
}

func secondOneWins(p *probe, a, b keys.Store) {
	p.updateAll(a, b)
	p.insertAll(a, b)
}

var secondLimitClauses = []clause[ratelimit.Store]{
	secondRule("second-handle-shares-buckets",
		"Takes through two handles draw on the same buckets: one after the other, and at the same time, they admit the burst together. "+
			"Buckets in the memory of each process give every node a quota of its own.",
		secondSharesBuckets, "take-shares-between-limits", "concurrent-takes-admit-the-burst"),
	secondRule("second-handle-has-the-same-clock",
		"A store that processes share decides by its own clock, and ignores the time that it is given: the clocks of processes on different "+
			"machines differ. Otherwise whoever has a clock that is ahead gives quota back.",
		secondIgnoresNow, "second-handle-shares-buckets"),
}

func secondIgnoresNow(p *probe, a, b ratelimit.Store) {
	bucket, l := p.bucket("a"), daily(2)
	p.admitted(true, a, bucket, l, 2, "when full")
	for i, ahead := range []time.Duration{36 * time.Hour, -36 * time.Hour} {
		d, err := b.Take(p.ctx, bucket, l, time.Now().Add(ahead), 1)
		p.ok(err, "Take")
		if d.Allowed {
			p.failf("Take of 1 from a bucket that is empty, with a time that is %v ahead: Allowed is true, want false", ahead)
		}
		late := p.bucket(fmt.Sprint("late ", i))
		d, err = b.Take(p.ctx, late, l, time.Now().Add(ahead), 2)
		p.ok(err, "Take")
		if !d.Allowed {
			p.failf("Take of 2 from a bucket that is full, with a time that is %v ahead: Allowed is false, want true", ahead)
		}
		p.admitted(false, a, late, l, 1, fmt.Sprintf("after all of it, which was taken with a time that is %v ahead,", ahead))
	}
}

func secondSharesBuckets(p *probe, a, b ratelimit.Store) {
	bucket, l := p.bucket("a"), daily(4)
	for i, s := range []ratelimit.Store{a, b, b, a} {
		p.admitted(true, s, bucket, l, 1, fmt.Sprintf("after %d, through two handles,", i))
	}
	for _, s := range []ratelimit.Store{b, a} {
		p.admitted(false, s, bucket, l, 1, "after all of it, through two handles,")
	}
	const burst = 50
	for n := range 3 {
		bucket, l := p.bucket(fmt.Sprint(n)), daily(burst)
		var admitted atomic.Int64
		p.parallel(racers, func(i int) {
			s := []ratelimit.Store{a, b}[i%2]
			for range 2 * burst / racers {
				if p.take(s, bucket, l, 1).Allowed {
					admitted.Add(1)
				}
			}
		})
		if admitted.Load() != burst {
			p.failf("%d calls from %d goroutines through two handles admitted %d, want %d", 2*burst/racers*racers, racers, admitted.Load(), burst)
		}
	}
}

// secondTrailClauses are about two handles of stores that keep a trail.
var secondTrailClauses = func() []clause[keys.Store] {
	c := secondRule("second-handle-shares-the-trail",
		"Entries that are written through two handles at the same time are in one chain, linked and without a gap. A lock, or the "+
			"end of the chain, in the memory of each process breaks this.",
		func(p *probe, a, b keys.Store) { p.entriesAtOnce(a.(trailStore), b.(trailStore)) },
		secondFresh, "trail-of-many-is-linked")
	c.is = has[trailStore]
	return []clause[keys.Store]{c}
}()

// secondFeedRule makes a clause about the feed of two handles on the same data.
func secondFeedRule(name, doc string, check func(p *probe, s, second feedStore), needs ...string) clause[keys.Store] {
	c := secondRule(name, doc, func(p *probe, s, second keys.Store) {
		check(p, s.(feedStore), second.(feedStore))
	}, needs...)
	c.Optional = "keys.Feed with Options.Second"
	c.is = has[feedStore]
	return c
}

func secondFeedSeesWrites(p *probe, a, b feedStore) {
	p.lease(b, 0, "by the second handle, before any announcement")
	id := p.cache("a")
	p.announce(a, id, 2*time.Second)
	p.lease(b, 2*time.Second, "by the second handle, after Announce by the first,")
	at := p.poll(a, id, "").Next
	for i, writer := range []feedStore{a, b} {
		r := p.full(keys.KindToken, fmt.Sprint(i))
		p.insert(writer, r)
		r = p.updated(writer, changed(r))
		p.names(p.poll(a, id, at), fmt.Sprintf("after an Update by handle %d of 2,", i+1), r.ID)
		r.RevokedAt = revoked
		p.update(writer, r)
		c := p.poll(a, id, at)
		p.names(c, fmt.Sprintf("after a revocation by handle %d of 2,", i+1), r.ID)
		at = c.Next
		p.swept(writer, now, 10, 1)
		p.names(p.poll(a, id, at), fmt.Sprintf("after a Sweep by handle %d of 2,", i+1), r.ID)
	}
	_, err := b.MarkIdle(p.ctx, -time.Hour)
	p.ok(err, "MarkIdle by the second handle")
	p.notAnnounced(a, id, at, "which the second handle marked")
	p.withdraw(b, id)
	p.lease(a, 0, "by the first handle, after Withdraw by the second,")
}
