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

// A recordCall is one method of a store of records, called with what the caller has at
// hand.
type recordCall struct {
	name string
	do   func(context.Context) error
}

// in calls the method with a context that ends soon.
func (c recordCall) in(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, brokenTimeout)
	defer cancel()
	return c.do(ctx)
}

// whileBroken breaks the database, calls every method at once, and tells check how each
// call went.
func (p *probe) whileBroken(s keys.Store, breakIt func() (mend func()), check func(call string, err error, late time.Duration)) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	calls := p.recordCalls(s, r)
	errs, late := make([]error, len(calls)), make([]time.Duration, len(calls))
	mend := breakIt()
	defer mend()
	p.parallel(len(calls), func(i int) {
		start := time.Now()
		errs[i] = calls[i].in(p.ctx)
		late[i] = time.Since(start) - brokenTimeout
	})
	for i, c := range calls {
		if !errors.Is(errs[i], errors.ErrUnsupported) {
			check(c.name, errs[i], late[i])
		}
	}
}

func brokenIsNoAnswer(p *probe, s keys.Store, breakIt func() (mend func())) {
	p.whileBroken(s, breakIt, func(call string, err error, _ time.Duration) {
		if err == nil {
			p.failf("%s went well while the database was broken", call)
		}
		p.blamesNobody(err, "%s, while the database was broken,", call)
	})
}

func brokenReturnsInTime(p *probe, s keys.Store, breakIt func() (mend func())) {
	p.whileBroken(s, breakIt, func(call string, _ error, late time.Duration) {
		if late > brokenSlack {
			p.failf("%s, while the database was broken, returned %v after its context had ended", call, late)
		}
	})
}

func brokenComesBack(p *probe, s keys.Store, breakIt func() (mend func())) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	r = p.updated(s, changed(r))
	calls := p.recordCalls(s, r)
	mend := breakIt()
	for _, c := range calls {
		_ = c.in(p.ctx) // what becomes of it is for other clauses
	}
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

// recordCalls are calls of every method that s has but Batch. They are about r, which is
// stored, and about what is not there.
func (p *probe) recordCalls(s keys.Store, r keys.Record) []recordCall {
	other := p.full(keys.KindKey, "another")
	get := func(id string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, _, err := s.Get(ctx, id)
			return err
		}
	}
	list := func(q keys.Query) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.List(ctx, q)
			return err
		}
	}
	calls := []recordCall{
		{"Insert", func(ctx context.Context) error { return s.Insert(ctx, other) }},
		{"Get", get(r.ID)},
		{"Get of an unknown ID", get(p.clause + ".nobody")},
		{"Update", func(ctx context.Context) error { return s.Update(ctx, changed(r)) }},
		{"List", list(keys.Query{Org: r.Org, Kind: r.Kind, Limit: 10})},
		{"List of an organization without records", list(keys.Query{Org: r.Org + " without records", Kind: r.Kind, Limit: 10, Live: true})},
		{"Sweep", func(ctx context.Context) error { _, err := s.Sweep(ctx, now, 10); return err }},
	}
	if uses, ok := s.(keys.UseStore); ok {
		calls = append(calls,
			recordCall{"NoteUses", func(ctx context.Context) error {
				return uses.NoteUses(ctx, map[string]time.Time{r.ID: used})
			}},
			recordCall{"LastUses", func(ctx context.Context) error { _, err := uses.LastUses(ctx, []string{r.ID}); return err }})
	}
	if counts, ok := s.(keys.CountStore); ok {
		calls = append(calls, recordCall{"Count", func(ctx context.Context) error {
			_, err := counts.Count(ctx, r.Org, r.Kind, now, 10)
			return err
		}})
	}
	if orgs, ok := s.(keys.OrgStore); ok {
		calls = append(calls, recordCall{"Orgs", func(ctx context.Context) error { _, err := orgs.Orgs(ctx, "", 10); return err }})
	}
	if has[trailStore](s) {
		calls = append(calls, p.trailCalls(s.(trailStore), r)...)
	}
	if feed, ok := s.(keys.Feed); ok {
		calls = append(calls, feedCalls(feed, p.cache("a"))...)
	}
	return calls
}

// trailCalls are calls of every method of a trail. They are about the entry of r, which
// is written now.
func (p *probe) trailCalls(s trailStore, r keys.Record) []recordCall {
	e := p.entry(r, 1)
	p.ok(s.AddEntry(p.ctx, e), "AddEntry")
	chain := p.chainOf(s, r.Org).Name
	return []recordCall{
		{"AddEntry", func(ctx context.Context) error { return s.AddEntry(ctx, e) }},
		{"Chains", func(ctx context.Context) error { _, err := s.Chains(ctx, r.Org); return err }},
		{"Entries", func(ctx context.Context) error { _, err := s.Entries(ctx, r.Org, chain, 0, 10); return err }},
		{"CutEntries", func(ctx context.Context) error { return s.CutEntries(ctx, r.Org, chain, 1) }},
	}
}

// feedCalls are calls of every method of a feed.
func feedCalls(feed keys.Feed, id string) []recordCall {
	return []recordCall{
		{"Announce", func(ctx context.Context) error { return feed.Announce(ctx, id, time.Second) }},
		{"Poll", func(ctx context.Context) error { _, err := feed.Poll(ctx, id, ""); return err }},
		{"LongestLease", func(ctx context.Context) error { _, err := feed.LongestLease(ctx); return err }},
		{"MarkIdle", func(ctx context.Context) error { _, err := feed.MarkIdle(ctx, time.Hour); return err }},
		{"Withdraw", func(ctx context.Context) error { return feed.Withdraw(ctx, id) }},
	}
}
