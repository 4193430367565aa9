package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// How long a call may take while the database is broken: as long as its context,
// and a while more. And how long a store may take to come back.
const (
	brokenTimeout = 200 * time.Millisecond
	brokenSlack   = 3 * time.Second
	brokenReturn  = 20 * time.Second
)

// breakRule makes a clause about a database that is broken.
func breakRule(name, doc string, check func(p *probe, s keys.Store, breakIt func() (mend func())), needs ...string) clause[keys.Store] {
	c := rule(name, doc, func(p *probe, s keys.Store) {
		opts := p.options.(*Options[keys.Store])
		check(p, s, func() (mend func()) {
			var undo func()
			p.call(func() { undo = opts.Break(p.t, s) })
			return func() { p.call(undo) }
		})
	}, needs...)
	c.Optional = "Options.Break"
	c.given = func(opts *Options[keys.Store]) bool { return opts.Break != nil }
	return c
}

var breakClauses = []clause[keys.Store]{
	breakRule(noAnswer,
		"While the database does not answer, every method fails with an error that is none of ErrNotFound, ErrExists, "+
			"ErrConflict and ErrInvalid. Callers answer 503 then; with ErrNotFound they would refuse a good credential for good, and an "+
			"empty list looks like an organization without keys.",
		brokenIsNoAnswer, notFound, listsNothing),
	breakRule(inTime,
		"While the database does not answer, every method returns soon after its context has ended, whether it waits for a "+
			"connection, a lock or an answer. Requests pile up otherwise, until nothing works.",
		brokenReturnsInTime, noAnswer),
	breakRule("broken-database-comes-back",
		"When the database answers again, so does the store, soon and by itself, and everything is as it was: what was written before stays, "+
			"and a write that failed was done in full or not at all.",
		brokenComesBack, inTime, writesAll, increments),
}

// callsWhileBroken calls every method, while the database is broken, and tells
// check how it went.
func (p *probe) callsWhileBroken(s keys.Store, r keys.Record, check func(call string, err error, late time.Duration)) {
	for _, c := range p.recordCalls(s, r) {
		ctx, cancel := context.WithTimeout(p.ctx, brokenTimeout)
		start := time.Now()
		err := c.do(ctx, s, r)
		late := time.Since(start) - brokenTimeout
		cancel()
		if !errors.Is(err, errors.ErrUnsupported) {
			check(c.name, err, late)
		}
	}
}

func brokenIsNoAnswer(p *probe, s keys.Store, breakIt func() (mend func())) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	mend := breakIt()
	defer mend()
	p.callsWhileBroken(s, r, func(call string, err error, _ time.Duration) {
		if err == nil {
			p.failf("%s went well while the database was broken", call)
		}
		p.blamesNobody(err, "%s, while the database was broken,", call)
	})
}

func brokenReturnsInTime(p *probe, s keys.Store, breakIt func() (mend func())) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	mend := breakIt()
	defer mend()
	p.callsWhileBroken(s, r, func(call string, _ error, late time.Duration) {
		if late > brokenSlack {
			p.failf("%s, while the database was broken, returned %v after its context had ended", call, late)
		}
	})
}

func brokenComesBack(p *probe, s keys.Store, breakIt func() (mend func())) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	r = p.updated(s, changed(r))
	mend := breakIt()
	p.callsWhileBroken(s, r, func(string, error, time.Duration) {})
	mend()
	got := p.getAtLast(s, r.ID)
	if got.Version == r.Version {
		p.same(got, r, "the record after the database was broken")
	} else {
		next := changed(r)
		next.Version++
		p.same(got, next, "the record after an Update failed, since the database was broken,")
	}
	r = p.updated(s, changed(got))
	p.same(p.get(s, r.ID), r, "the record after an Update, after the database was broken,")
}

// getAtLast calls Get until it goes well. A pool may hand out dead connections
// for a while.
func (p *probe) getAtLast(s keys.Store, id string) keys.Record {
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(p.ctx, brokenSlack)
		r, _, err := s.Get(ctx, id)
		cancel()
		if err == nil {
			return r
		}
		p.blamesNobody(err, "Get, after the database was broken,")
		if time.Since(start) > brokenReturn {
			p.failf("Get still fails %v after the database came back: %v", brokenReturn, err)
		}
	}
}

// A recordCall is one method of a store of records, called with what the caller
// has at hand.
type recordCall struct {
	name string
	do   func(ctx context.Context, s keys.Store, r keys.Record) error
}

// recordCalls call every method that s has. Each one goes well if r is stored, but
// Insert, which gets a record of its own.
func (p *probe) recordCalls(s keys.Store, r keys.Record) []recordCall {
	other := p.full(keys.KindKey, "another")
	calls := []recordCall{
		{"Insert", func(ctx context.Context, s keys.Store, _ keys.Record) error { return s.Insert(ctx, other) }},
		{"Get", func(ctx context.Context, s keys.Store, r keys.Record) error {
			_, _, err := s.Get(ctx, r.ID)
			return err
		}},
		{"Get of an unknown ID", func(ctx context.Context, s keys.Store, _ keys.Record) error {
			_, _, err := s.Get(ctx, p.clause+".nobody")
			return err
		}},
		{"Update", func(ctx context.Context, s keys.Store, r keys.Record) error { return s.Update(ctx, changed(r)) }},
		{"List", func(ctx context.Context, s keys.Store, r keys.Record) error {
			_, err := s.List(ctx, keys.Query{Org: r.Org, Kind: r.Kind, Limit: 10})
			return err
		}},
		{"List of an organization without records", func(ctx context.Context, s keys.Store, r keys.Record) error {
			_, err := s.List(ctx, keys.Query{Org: r.Org + " without records", Kind: r.Kind, Limit: 10, Live: true})
			return err
		}},
		{"Sweep", func(ctx context.Context, s keys.Store, _ keys.Record) error {
			_, err := s.Sweep(ctx, now, 10)
			return err
		}},
	}
	if uses, ok := s.(keys.UseStore); ok {
		calls = append(calls,
			recordCall{"NoteUses", func(ctx context.Context, _ keys.Store, r keys.Record) error {
				return uses.NoteUses(ctx, map[string]time.Time{r.ID: used})
			}},
			recordCall{"LastUses", func(ctx context.Context, _ keys.Store, r keys.Record) error {
				_, err := uses.LastUses(ctx, []string{r.ID})
				return err
			}})
	}
	if counts, ok := s.(keys.CountStore); ok {
		calls = append(calls, recordCall{"Count", func(ctx context.Context, _ keys.Store, r keys.Record) error {
			_, err := counts.Count(ctx, r.Org, r.Kind, now, 10)
			return err
		}})
	}
	if orgs, ok := s.(keys.OrgStore); ok {
		calls = append(calls, recordCall{"Orgs", func(ctx context.Context, _ keys.Store, _ keys.Record) error {
			_, err := orgs.Orgs(ctx, "", 10)
			return err
		}})
	}
	if feed, ok := s.(keys.Feed); ok {
		calls = append(calls, feedCalls(feed, p.cache("a"))...)
	}
	return calls
}

// feedCalls call every method of a feed. Poll goes well if Announce did before.
func feedCalls(feed keys.Feed, id string) []recordCall {
	return []recordCall{
		{"Announce", func(ctx context.Context, _ keys.Store, _ keys.Record) error {
			return feed.Announce(ctx, id, time.Second)
		}},
		{"Poll", func(ctx context.Context, _ keys.Store, _ keys.Record) error {
			_, err := feed.Poll(ctx, id, "")
			return err
		}},
		{"LongestLease", func(ctx context.Context, _ keys.Store, _ keys.Record) error {
			_, err := feed.LongestLease(ctx)
			return err
		}},
		{"MarkIdle", func(ctx context.Context, _ keys.Store, _ keys.Record) error {
			_, err := feed.MarkIdle(ctx, time.Hour)
			return err
		}},
		{"Withdraw", func(ctx context.Context, _ keys.Store, _ keys.Record) error { return feed.Withdraw(ctx, id) }},
	}
}
