package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A feedStore is what the clauses of [keys.Feed] are about.
type feedStore interface {
	keys.Store
	keys.Feed
}

// feedRule makes a clause of [keys.Feed].
func feedRule(name, doc string, check func(*probe, feedStore), needs ...string) clause[keys.Store] {
	return optional("keys.Feed", name, doc, check, needs...)
}

var feedClauses = []clause[keys.Store]{
	feedRule(announces,
		"LongestLease returns the longest lease of all announcements, to the millisecond, as soon as Announce has returned, and "+
			"0 if there are none. Whoever revokes waits for that time: if it is too short, caches accept what is revoked.",
		feedAnnounces),
	feedRule(withdraws,
		"Withdraw removes the announcements that it names, and no others. IDs that are not there are passed over.",
		feedWithdraws, announces),
	feedRule(needsAnnouncement,
		"Poll fails with an error that wraps ErrNotAnnounced unless the announcement with that very ID is there. Otherwise a cache goes "+
			"on being used although nobody waits for it.",
		feedNeedsAnnouncement, withdraws),
	feedRule(firstPoll,
		"A Poll after the empty position says All: the records of the cache may be of any age.",
		feedFirstPoll, needsAnnouncement),
	feedRule(namesChanges,
		"Poll names every record that an Update changed or revoked, or that Sweep removed, since the position. A swept ID "+
			"may come again. Nothing need be said of records that were inserted.",
		feedNamesChanges, firstPoll, writesAll, sweeps),
	feedRule("feed-names-bytes",
		"The IDs that Poll names are those of the records, byte by byte. An ID that is cut, folded or joined names another record.",
		feedNamesBytes, namesChanges, idBytes),
	feedRule("feed-serves-many",
		"Each cache has a position of its own, and polls from an older one name the changes again. A feed that tells "+
			"each change once leaves it in the caches of all but one.",
		feedServesMany, namesChanges),
	feedRule(knowsPositions,
		"A position that Poll has just returned is known, with and without changes since: the answer does not say All. A feed that "+
			"forgets its positions empties all caches, several times a second.",
		feedKnowsPositions, namesChanges),
	feedRule("feed-empties-at-unknown-positions",
		"A Poll after a position that is none of the store's says All. It may be from before a restore, or of another database. A number "+
			"that counts changes comes again there, so positions have a random value beside it.",
		feedUnknownPositions, namesChanges),
	feedRule(forgets,
		"If changes after the position are not kept any more, Poll says All. A list of IDs without those that were "+
			"forgotten looks complete.",
		feedForgets, namesChanges, concurrent),
	feedRule(marksIdle,
		"MarkIdle marks the announcements that were last written longer ago than the given time, returns their IDs, those that were marked "+
			"before included, and does not mark others. A cache that is in use announces itself again and again. The process that marked "+
			"others may have ended before it withdrew them; if nobody else does, all revocations wait for them.",
		feedMarksIdle, announces, needsAnnouncement),
	feedRule(marksStay,
		"For an announcement that is marked, Announce and Poll fail with an error that wraps ErrNotAnnounced, and the mark "+
			"stays. LongestLease counts it until Withdraw removes it: its cache may not have noticed yet.",
		feedMarksStay, marksIdle),
	feedRule("feed-context-ended",
		"All methods of a feed with a context that has ended fail with an error, and do nothing. No changes, and no "+
			"lease, would be answers.",
		feedEnded, marksIdle),
	feedRule(missesNothing,
		"Poll names each change that was committed when the call began, however many write at the same time. A "+
			"sequence number misses changes that are numbered before others and committed after them. A change that is noted in "+
			"a transaction of its own is missed if the process ends before that.",
		func(p *probe, s feedStore) { p.pollWhileWriting(s, s) }, forgets, concurrent),
	feedRule("feed-concurrent-marks-stay",
		"Once MarkIdle has returned an ID, every Announce and Poll of it that starts later fails, however many announce "+
			"it at the same time. Reading an announcement and writing it then takes the mark away.",
		feedMarkRaces, marksStay, concurrent),
	secondFeedRule("second-feed-sees-writes",
		"A feed is one for all handles on the data: what one of them has changed or announced, marked or withdrawn, the others see as "+
			"soon as the call has returned.",
		secondFeedSeesWrites, marksStay, namesChanges, secondFresh),
	secondFeedRule("second-feed-misses-nothing",
		"Poll names each change that was committed when the call began, also if several processes write. Numbers that each process draws, or "+
			"a lock in its memory, miss some.",
		func(p *probe, s, second feedStore) { p.pollWhileWriting(s, second) }, missesNothing, "second-feed-sees-writes"),
}

// Names of the clauses of feeds that others build on.
const (
	announces         = "feed-announces"
	withdraws         = "feed-withdraws"
	needsAnnouncement = "feed-needs-an-announcement"
	firstPoll         = "feed-begins-with-all"
	namesChanges      = "feed-names-changes"
	knowsPositions    = "feed-knows-its-positions"
	forgets           = "feed-says-what-it-forgot"
	marksIdle         = "feed-marks-idle"
	marksStay         = "feed-marks-stay"
	missesNothing     = "feed-misses-nothing"
)

// lostMoments is for how long a server that was just started may report lost
// announcements, and some time more.
const lostMoments = keys.MaxLease + keys.MaxLease/5 + 10*time.Second

func (p *probe) announce(s feedStore, id string, lease time.Duration) {
	p.ok(s.Announce(p.ctx, id, lease), "Announce of %s for %v", quote(id), lease)
}

func (p *probe) withdraw(s feedStore, ids ...string) {
	p.ok(s.Withdraw(p.ctx, ids...), "Withdraw of %s", quoteAll(ids))
}

// lease fails unless LongestLease returns what it should.
func (p *probe) lease(s feedStore, want time.Duration, when string) {
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		got, err := s.LongestLease(p.ctx)
		p.ok(err, "LongestLease, %s,", when)
		if got == want {
			return
		}
		if got != keys.MaxLease || time.Since(start) > lostMoments {
			p.failf("LongestLease, %s, returned %v, want %v", when, got, want)
		}
	}
}

// cache returns an ID for an announcement, of the clause's own.
func (p *probe) cache(name string) string { return p.clause + ".cache " + name }

// poll polls, and fails on an error.
func (p *probe) poll(s feedStore, id string, after keys.Position) keys.Changes {
	c, err := s.Poll(p.ctx, id, after)
	p.ok(err, "Poll of %s after %q", quote(id), after)
	return c
}

// started announces a cache and polls once, and returns its ID and the position.
func (p *probe) started(s feedStore, name string) (id string, at keys.Position) {
	id = p.cache(name)
	p.announce(s, id, time.Second)
	return id, p.poll(s, id, "").Next
}

// names fails unless the changes name all of these.
func (p *probe) names(c keys.Changes, what string, want ...string) {
	if c.All {
		return
	}
	for _, id := range want {
		if !slices.Contains(c.IDs, id) {
			p.failf("Poll, %s, named %s, and not %s", what, quoteAll(c.IDs), quote(id))
		}
	}
}

// notAnnounced fails unless the cache is told that it is not announced.
func (p *probe) notAnnounced(s feedStore, id string, at keys.Position, when string) {
	for _, after := range []keys.Position{"", at} {
		_, err := s.Poll(p.ctx, id, after)
		p.refused(err, keys.ErrNotAnnounced, "Poll of %s, %s,", quote(id), when)
	}
}

func feedAnnounces(p *probe, s feedStore) {
	p.lease(s, 0, "before any announcement")
	longest := time.Duration(0)
	for i, lease := range []time.Duration{keys.MinLease, 4321 * time.Millisecond, 1001 * time.Millisecond, 4322 * time.Millisecond, time.Second} {
		p.announce(s, p.cache(fmt.Sprint(i)), lease)
		longest = max(longest, lease)
		p.lease(s, longest, fmt.Sprintf("after an announcement of %v,", lease))
	}
	p.announce(s, p.cache("3"), 4322*time.Millisecond)
	p.lease(s, longest, "after one was announced again")
	p.announce(s, p.cache("0"), 4323*time.Millisecond)
	p.lease(s, 4323*time.Millisecond, "after one was announced again for a longer time")
}

func feedWithdraws(p *probe, s feedStore) {
	p.announce(s, p.cache("one"), time.Second)
	p.announce(s, p.cache("two"), 2*time.Second)
	p.announce(s, p.cache("three"), 3*time.Second)
	p.withdraw(s)
	p.withdraw(s, p.cache("nobody"))
	p.lease(s, 3*time.Second, "after others were withdrawn")
	p.withdraw(s, p.cache("three"))
	p.lease(s, 2*time.Second, "after the longest was withdrawn")
	p.withdraw(s, p.cache("nobody"), p.cache("one"), p.cache("two"))
	p.lease(s, 0, "after all were withdrawn")
	p.announce(s, p.cache("one"), time.Second)
	p.lease(s, time.Second, "after one that was withdrawn was announced anew")
}

func feedNeedsAnnouncement(p *probe, s feedStore) {
	id := p.cache("Cache")
	p.notAnnounced(s, id, "", "before it was announced")
	p.announce(s, id, time.Second)
	at := p.poll(s, id, "").Next
	for _, other := range append(alike(id), "") {
		p.notAnnounced(s, other, at, "which was never announced")
	}
	p.poll(s, id, at)
	p.announce(s, p.cache("another"), time.Second)
	p.withdraw(s, id)
	p.notAnnounced(s, id, at, "after it was withdrawn")
}

func feedFirstPoll(p *probe, s feedStore) {
	p.insert(s, p.full(keys.KindKey, "a"))
	id := p.cache("a")
	p.announce(s, id, time.Second)
	for range 2 {
		if c := p.poll(s, id, ""); !c.All {
			p.failf("Poll after the empty position did not say All, and named %s", quoteAll(c.IDs))
		}
	}
}

func feedNamesChanges(p *probe, s feedStore) {
	id, at := p.started(s, "a")
	step := func(r keys.Record, what string) {
		c := p.poll(s, id, at)
		p.names(c, "after "+what, r.ID)
		at = c.Next
	}
	for _, kind := range kinds {
		r := p.full(kind, string(kind))
		p.insert(s, r)
		at = p.poll(s, id, at).Next
		r = p.updated(s, changed(r))
		step(r, "an Update")
		r = p.updated(s, changed(r))
		step(r, "an Update of the same record")
		r.RevokedAt = revoked
		p.update(s, r)
		step(r, "an Update that revoked the record")
		if kind == keys.KindToken {
			p.swept(s, now, 10, 1)
			step(r, "a Sweep that removed the record")
		}
	}
}

func feedNamesBytes(p *probe, s feedStore) {
	id, at := p.started(s, "a")
	ids := append(append(hostile(), sortedIDs()...), alike("acme")...)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		r := p.full(keys.KindKey, "")
		r.ID = id
		p.insert(s, r)
		p.update(s, r)
	}
	c := p.poll(s, id, at)
	p.names(c, "after an Update of each record,", ids...)
	for _, named := range c.IDs {
		if !slices.Contains(ids, named) {
			p.failf("Poll named %s, which is no record", quote(named))
		}
	}
}

func feedServesMany(p *probe, s feedStore) {
	one, at := p.started(s, "one")
	first := at
	two, other := p.started(s, "two")
	for n := range 3 {
		r := p.full(keys.KindKey, fmt.Sprint(n))
		p.insert(s, r)
		p.update(s, r)
		for range 2 {
			p.names(p.poll(s, one, at), "for the first cache,", r.ID)
			p.names(p.poll(s, two, other), "for the second cache,", r.ID)
		}
		p.names(p.poll(s, one, first), "from its first position,", p.full(keys.KindKey, "0").ID, r.ID)
		at = p.poll(s, one, at).Next
	}
}

func feedKnowsPositions(p *probe, s feedStore) {
	id, at := p.started(s, "a")
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	for n := range 12 {
		if n%3 > 0 {
			r = p.updated(s, changed(r))
		}
		c := p.poll(s, id, at)
		if c.All {
			p.failf("Poll said All after a position that the Poll before it had returned, and %d changes", min(n%3, 1))
		}
		at = c.Next
	}
}

func feedUnknownPositions(p *probe, s feedStore) {
	id, at := p.started(s, "a")
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	p.update(s, r)
	for _, bad := range []keys.Position{
		"junk", " ", "0", "-1", "1", "9223372036854775807", "a b c", "'", "\u00e9", "x" + at, at + at, keys.Position(strings.Repeat("9", 5000)),
	} {
		if c := p.poll(s, id, bad); !c.All {
			p.failf("Poll after the position %.60q did not say All, and named %s", bad, quoteAll(c.IDs))
		}
	}
}

// forgotten is how many changes the clause makes: it finds feeds that keep fewer and do
// not say so.
const forgotten = 1100

func feedForgets(p *probe, s feedStore) {
	id, at := p.started(s, "a")
	first := p.full(keys.KindKey, "first")
	p.insert(s, first)
	p.update(s, first)
	start := time.Now()
	p.parallel(racers, func(i int) {
		r := p.sparse(keys.KindKey, fmt.Sprint(i))
		p.insert(s, r)
		for n := 0; n < forgotten/racers && time.Since(start) < crowdTime; n++ {
			r = p.updated(s, r)
		}
	})
	p.names(p.poll(s, id, at), fmt.Sprintf("%d changes later", forgotten), first.ID)
}

func feedEnded(p *probe, s feedStore) {
	id, at := p.started(s, "a")
	p.ended("Announce", func(ctx context.Context) error { return s.Announce(ctx, p.cache("b"), 2*time.Second) })
	p.ended("Withdraw", func(ctx context.Context) error { return s.Withdraw(ctx, id) })
	p.ended("MarkIdle", func(ctx context.Context) error { _, err := s.MarkIdle(ctx, -time.Hour); return err })
	p.ended("LongestLease", func(ctx context.Context) error { _, err := s.LongestLease(ctx); return err })
	p.ended("Poll", func(ctx context.Context) error {
		_, err := s.Poll(ctx, id, at)
		if errors.Is(err, keys.ErrNotAnnounced) {
			p.failf("Poll, whose context had ended, failed with %q, which wraps %q", err, keys.ErrNotAnnounced)
		}
		return err
	})
	p.lease(s, time.Second, "after calls whose contexts had ended")
	p.poll(s, id, at)
}
