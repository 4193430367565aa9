package storetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// How many callers race, and how many rounds each makes at least, however slow the
// store is. They go on until the time of [Options.Race] is over.
const (
	racers = 8
	races  = 10
)

var concurrencyClauses = []clause[keys.Store]{
	rule(concurrent,
		"A store is safe for concurrent use: calls that have nothing to do with each other all go well, however "+
			"many there are at once. A database that is locked is waited for.",
		concurrentCalls, writesAll, increments, lists, sweepsDead),
	rule("concurrent-insert-one-wins",
		"Of Inserts of one ID at the same time exactly one goes well. The others fail with an error that wraps ErrExists, "+
			"and the record is the winner's. Looking first and inserting then breaks this.",
		concurrentInsert, concurrent, neverOverwrite),
	rule(oneUpdateWins,
		"Of Updates of one version at the same time exactly one goes well. The others fail with an error that wraps "+
			"ErrConflict, and the record is the winner's. Otherwise a change of the label can undo a revocation. "+
			"Reading first and writing then breaks this, if the two are not one transaction with a lock.",
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
	rule("concurrent-lists-are-one-moment",
		"A page of List shows the records as they are at one moment: it never has a later write without one that had "+
			"returned before that began. A page that is read in several steps breaks this.",
		concurrentLists, concurrent, compares, ordered, "list-live-sees-writes"),
	rule("concurrent-sweep-spares-the-revived",
		"Sweep looks at a token and removes it in one step. If an Update that gives the token a later end goes well, the token stays, and if "+
			"the token is removed first, the Update fails with an error that wraps ErrNotFound. Of two Sweeps at once one removes "+
			"the token and counts it. Reading which tokens are dead and deleting them then breaks this.",
		concurrentSweep, oneUpdateWins, sweepFollows, "update-not-found"),
}

// many is how many updates there are at least while others read, however slow the store is.
func many() int {
	if testing.Short() {
		return races
	}
	return 5 * races
}

// going returns a function for one racer that reports whether the race goes on. It
// pauses now and then, and leaves the processor to others.
func (p *probe) going() func() bool {
	start, n := time.Now(), 0
	return func() bool {
		if n++; n%256 == 0 {
			pause()
		}
		return n <= races || time.Since(start) < p.racing
	}
}

// pause leaves the processor to others. It sleeps (own clock, for no time to speak of),
// since a goroutine that spins would stop the clock of a test in a bubble of package
// synctest. It also yields, since goroutines that wake up all the time are run before
// those that wait for their turn.
func pause() {
	time.Sleep(time.Nanosecond)
	runtime.Gosched()
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

// A contest is for one thing that only one caller may win.
type contest struct {
	prize  atomic.Int64
	winner atomic.Pointer[keys.Record]
}

func concurrentInsert(p *probe, s keys.Store) { p.insertAll(s) }

// insertAll has racers insert the same IDs, one after the other, through the stores in
// turn. It fails unless exactly one caller inserts each ID, and the record is that
// caller's.
func (p *probe) insertAll(stores ...keys.Store) {
	const most = 1 << 16
	contests := make([]contest, most)
	var next atomic.Int64 // the ID that nobody has yet, as far as is known
	p.parallel(racers, func(i int) {
		s := stores[i%len(stores)]
		for going := p.going(); going() && next.Load() < most; {
			n := next.Load()
			r := p.sparse(keys.KindKey, fmt.Sprint(n))
			r.Label = fmt.Sprintf("racer %d", i)
			if i%2 == 1 {
				r.Org += " of others"
			}
			err := s.Insert(p.ctx, r)
			c := &contests[n]
			switch {
			case err == nil:
				if c.prize.Add(1) > 1 {
					p.failf("Insert of %s, by %d callers at once, went well for more than one of them", r, racers)
				}
				c.winner.Store(&r)
				next.CompareAndSwap(n, n+1)
			case !errors.Is(err, keys.ErrExists):
				p.failf("Insert of one ID, by %d callers at once, failed with %q; all but one must fail with an error that wraps %q%s",
					racers, err, keys.ErrExists, unwrapped(err, keys.ErrExists))
			default:
				next.CompareAndSwap(n, n+1)
			}
		}
	})
	for n := range min(next.Load(), 1000) {
		winner := contests[n].winner.Load()
		if winner == nil {
			p.failf("Insert of one ID, by %d callers at once, went well for none of them", racers)
		}
		p.same(p.get(stores[0], winner.ID), *winner, "the record after concurrent Inserts")
	}
}

func concurrentUpdate(p *probe, s keys.Store) { p.updateAll(s) }

// updateAll has racers update one record all the time, by the stores in turn. It
// fails unless each version is won once, and what is read was written by its
// winner.
func (p *probe) updateAll(stores ...keys.Store) {
	first := p.full(keys.KindKey, "a")
	p.insert(stores[0], first)
	type win struct {
		version int64
		racer   int
	}
	wins := make([][]win, racers)
	p.parallel(racers, func(i int) {
		s := stores[i%len(stores)]
		r := first
		for going := p.going(); going(); {
			next := r
			next.Label = fmt.Sprintf("racer %d", i)
			err := s.Update(p.ctx, next)
			switch {
			case err == nil:
				next.Version++
				wins[i] = append(wins[i], win{next.Version, i})
				r = next
				continue
			case !errors.Is(err, keys.ErrConflict):
				p.failf("Update of one version, by %d callers at once, failed with %q; all but one must fail with an error that wraps %q%s",
					racers, err, keys.ErrConflict, unwrapped(err, keys.ErrConflict))
			}
			r = p.get(s, first.ID)
		}
	})
	won := make(map[int64]int)
	last := win{version: first.Version}
	for _, mine := range wins {
		for _, w := range mine {
			if other, twice := won[w.version]; twice {
				p.failf("Update to version %d went well for two callers at once, racers %d and %d: one of the changes is lost", w.version, other, w.racer)
			}
			won[w.version] = w.racer
			if w.version > last.version {
				last = w
			}
		}
	}
	got := p.get(stores[0], first.ID)
	switch want := first.Version + int64(len(won)); {
	case last.version != want:
		p.failf("%d Updates of version %d and those after it went well, by %d callers at once, and made version %d, want %d",
			len(won), first.Version, racers, last.version, want)
	case got.Version > want:
		p.failf("after %d Updates that went well, by %d callers at once, the version is %d, want %d", len(won), racers, got.Version, want)
	case got.Version == want: // and else it is stale, which is for other clauses to find
		first.Label, first.Version = fmt.Sprintf("racer %d", last.racer), want
		p.same(got, first, "the record after concurrent Updates")
	}
}

func concurrentGets(p *probe, s keys.Store) {
	r := p.numbered(p.full(keys.KindKey, "a"), 1)
	p.insert(s, r)
	var done atomic.Bool
	p.parallel(racers, func(i int) {
		if i == 0 {
			defer done.Store(true)
			for n, going := 0, p.going(); going() || n < many(); n++ {
				p.update(s, p.numbered(r, r.Version+1))
				r.Version++
			}
			return
		}
		for n := 1; !done.Load(); n++ {
			got := p.get(s, r.ID)
			p.same(got, p.numbered(got, got.Version), "a record that was read while it was updated")
			if n%16 == 0 {
				pause()
			}
		}
	})
}

// numbered returns r with the number n, which is to be its version once it is
// stored, in several fields. The Version of r stays.
func (p *probe) numbered(r keys.Record, n int64) keys.Record {
	r.Label = fmt.Sprintf("version %d", n)
	r.RateLimit = int(n % keys.MaxRateLimit)
	r.Digest = digest(r.Label)
	r.ExpiresAt = expires.Add(time.Duration(n) * time.Second)
	r.ReplacedBy = r.Label
	return r
}

func concurrentRevoke(p *probe, s keys.Store) { p.revokeMany(s, s) }

// revokeMany revokes records by one store, one after the other, while others
// read them by another.
func (p *probe) revokeMany(s, reader keys.Store) {
	start := time.Now()
	for n := 0; n < races || time.Since(start) < p.racing; n++ {
		r := p.sparse(keys.KindKey, fmt.Sprint(n))
		p.insert(s, r)
		r.RevokedAt = revoked
		p.revokeUnderLoad(s, reader, r)
	}
}

// revokeUnderLoad updates r, which is revoked now, while others read it all the
// time, and then reads it from several goroutines at once.
func (p *probe) revokeUnderLoad(s, reader keys.Store, r keys.Record) {
	var returned, done atomic.Bool
	read := func() {
		late := returned.Load()
		if got := p.get(reader, r.ID); late && !got.Revoked() {
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
		p.get(reader, r.ID) // by now the readers read
		p.update(s, r)
		returned.Store(true)
		p.parallel(racers, func(int) { read() })
	})
}

func concurrentLists(p *probe, s keys.Store) {
	first, second := p.sparse(keys.KindKey, "a"), p.sparse(keys.KindKey, "z")
	p.insert(s, first, second)
	for i := range 20 { // others stand between them
		p.insert(s, p.sparse(keys.KindKey, fmt.Sprintf("m %d", i)))
	}
	var done atomic.Bool
	p.parallel(racers, func(i int) {
		if i == 0 {
			defer done.Store(true)
			for n, going := 0, p.going(); going() || n < many(); n++ {
				first, second = p.updated(s, first), p.updated(s, second)
			}
			return
		}
		q := keys.Query{Org: p.clause, Kind: keys.KindKey, Limit: 100, Live: i%2 == 0}
		for !done.Load() {
			page := p.list(s, q)
			if len(page) != 22 {
				p.failf("List returned %d of 22 records while two of them were updated", len(page))
			}
			if a, z := page[0].Version, page[21].Version; a < z || a > z+1 {
				p.failf("a page of List has version %d of %s and version %d of %s, which were never there together: they are updated in turn",
					a, quote(page[0].ID), z, quote(page[21].ID))
			}
			pause()
		}
	})
}
