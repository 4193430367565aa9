package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// How often a race is tried, and by how many at once. A store with a window
// between a read and a write is caught by the first of them nearly always.
const (
	racers = 8
	races  = 10
)

var concurrencyClauses = []clause[keys.Store]{
	rule(concurrent,
		"A store is safe for concurrent use: calls that have nothing to do with each other all go well, however "+
			"many there are at once. A database that is locked is waited for.",
		concurrentCalls, writesAll, increments, lists, "sweep-only-dead-tokens"),
	rule("concurrent-insert-one-wins",
		"Of Inserts of one ID at the same time exactly one goes well. The others fail with an error that wraps ErrExists, "+
			"and the record is the winner's. Looking first and inserting then breaks this.",
		concurrentInsert, concurrent, neverOverwrite),
	rule("concurrent-update-one-wins",
		"Of Updates of one version at the same time exactly one goes well. The others fail with an error that wraps "+
			"ErrConflict, and the record is the winner's. Otherwise a change of the label can undo a revocation.",
		concurrentUpdate, concurrent, compares),
	rule("concurrent-gets-are-whole",
		"Get during Updates returns the fields of one version, never some of one and some of another. "+
			"A record that is kept in two rows, or read in two steps, breaks this.",
		concurrentGets, concurrent, compares),
	rule("concurrent-revoke-is-seen",
		"Once Update has returned, every Get that starts later sees what it wrote, whoever calls it. A cache "+
			"in front of the database, or Gets that wait for the answer of one that began earlier, break this: "+
			"revoked credentials are then accepted.",
		concurrentRevoke, concurrent, revokes),
}

func concurrentCalls(p *probe, s keys.Store) {
	p.parallel(racers, func(i int) {
		for n := range races {
			kind := kinds[n%len(kinds)]
			r := p.full(kind, fmt.Sprintf("%d-%d", i, n))
			r.Org = fmt.Sprintf("%s %d %s", p.clause, i, kind)
			p.insert(s, r)
			r = p.updated(s, changed(r))
			p.same(p.get(s, r.ID), r, "the record that one of several writers wrote")
			if page := p.list(s, keys.Query{Org: r.Org, Kind: kind, Limit: 1000}); len(page) != n/len(kinds)+1 {
				p.failf("List, while others wrote, returned %d records, want %d", len(page), n/len(kinds)+1)
			}
			p.swept(s, created, 10, 0)
		}
	})
}

func concurrentInsert(p *probe, s keys.Store) {
	for n := range races {
		var candidates [racers]keys.Record
		for i := range candidates {
			candidates[i] = p.full(keys.KindKey, fmt.Sprint(n))
			candidates[i].Label = fmt.Sprintf("racer %d", i)
			if i%2 == 1 {
				candidates[i].Org += " of others"
			}
		}
		winner := p.race(keys.ErrExists, "Insert of one ID", func(i int) error {
			return s.Insert(p.ctx, candidates[i])
		})
		p.same(p.get(s, candidates[winner].ID), candidates[winner], "the record after concurrent Inserts")
	}
}

func concurrentUpdate(p *probe, s keys.Store) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	for range races {
		var candidates [racers]keys.Record
		for i := range candidates {
			candidates[i] = r
			candidates[i].Label = fmt.Sprintf("version %d of racer %d", r.Version+1, i)
		}
		winner := p.race(keys.ErrConflict, fmt.Sprintf("Update of version %d", r.Version), func(i int) error {
			return s.Update(p.ctx, candidates[i])
		})
		r = candidates[winner]
		r.Version++
		p.same(p.get(s, r.ID), r, "the record after concurrent Updates")
	}
}

// race calls f with each number at once, fails unless exactly one call goes well
// and the others fail with an error that wraps lost, and returns the number of
// that one.
func (p *probe) race(lost error, call string, f func(i int) error) int {
	var won, winner atomic.Int64
	p.parallel(racers, func(i int) {
		err := f(i)
		switch {
		case err == nil:
			won.Add(1)
			winner.Store(int64(i))
		case !errors.Is(err, lost):
			p.failf("%s, by %d callers at once, failed with %q; all but one must fail with an error that wraps %q", call, racers, err, lost)
		}
	})
	if won.Load() != 1 {
		p.failf("%s went well for %d of %d callers at once, want 1", call, won.Load(), racers)
	}
	return int(winner.Load())
}

func concurrentGets(p *probe, s keys.Store) {
	r := p.numbered(p.full(keys.KindKey, "a"), 1)
	p.insert(s, r)
	var done atomic.Bool
	p.parallel(racers, func(i int) {
		if i == 0 {
			defer done.Store(true)
			for range 5 * races {
				p.update(s, p.numbered(r, r.Version+1))
				r.Version++
			}
			return
		}
		for !done.Load() {
			got := p.get(s, r.ID)
			p.same(got, p.numbered(got, got.Version), "a record that was read while it was updated")
			pause()
		}
	})
}

// numbered returns r with the number n, which is to be its version once it is
// stored, in several fields. The Version of r stays.
func (p *probe) numbered(r keys.Record, n int64) keys.Record {
	r.Label = fmt.Sprintf("version %d", n)
	r.RateLimit = int(n)
	r.Digest = digest(r.Label)
	r.ExpiresAt = expires.Add(time.Duration(n) * time.Second)
	return r
}

// pause leaves the processor to others. A goroutine that spins would also stop
// the clock of a test in a bubble of package synctest.
func pause() { time.Sleep(time.Nanosecond) }

func concurrentRevoke(p *probe, s keys.Store) {
	for n := range races {
		r := p.full(keys.KindKey, fmt.Sprint(n))
		p.insert(s, r)
		r.RevokedAt = revoked
		p.revokeUnderLoad(s, r)
	}
}

// revokeUnderLoad updates r, which is revoked now, while others read it all the
// time, and then reads it from several goroutines at once.
func (p *probe) revokeUnderLoad(s keys.Store, r keys.Record) {
	var returned, done atomic.Bool
	read := func() {
		late := returned.Load()
		if got := p.get(s, r.ID); late && !got.Revoked() {
			p.failf("Get, started after the Update that revoked the record had returned, still gave version %d, not revoked", got.Version)
		}
	}
	p.parallel(racers, func(i int) {
		if i > 0 {
			for !done.Load() {
				read()
				pause()
			}
			return
		}
		defer done.Store(true)
		p.get(s, r.ID) // by now the readers read
		p.update(s, r)
		returned.Store(true)
		p.parallel(racers, func(int) { read() })
	})
}
