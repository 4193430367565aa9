package storetest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A trailStore is what the clauses of [keys.TrailStore] are about.
type trailStore interface {
	keys.Store
	keys.TrailStore
}

// trailRule makes a clause of [keys.TrailStore].
func trailRule(name, doc string, check func(*probe, trailStore), needs ...string) clause[keys.Store] {
	return optional("keys.TrailStore", name, doc, check, needs...)
}

var trailClauses = []clause[keys.Store]{
	trailRule(trailKept,
		"The entry that the context of an Insert or an Update has for the record is written, once and with every field as it was; the store "+
			"sets its chain, its position and its hashes alone. So is one that AddEntry is given. An auditor finds what was done, and "+
			"not something like it.",
		trailIsKept, roundTrip, increments, revokes, longestKept),
	trailRule("trail-has-nothing-else",
		"A call that changes nothing adds no entry: one that is refused, or whose context has ended. Nor does a change whose context has "+
			"no entry, or that of another record. A trail with more than what happened is worth as little as one with less.",
		trailHasNothingElse, trailKept, neverOverwrite, compares, idBytes, "insert-validates", "update-needs-the-organization",
		"update-not-found", "update-validates", "revocation-is-final", "context-ended-insert", "context-ended-update"),
	trailRule("trail-is-linked",
		"The entries of a chain stand in the order of the calls, with the positions 1, 2, 3 and so on, each with the hash of the one "+
			"before and its own. Chains says where the chain ends, and names the same chains each time. Otherwise an entry that was removed "+
			"cannot be told from one that never was.",
		trailIsLinked, trailKept),
	trailRule(trailPages,
		"Entries returns those after a position in ascending order, as many as the limit says if there are so many. A limit below 1 is "+
			"refused with an error that wraps ErrInvalid.",
		trailInPages, "trail-is-linked"),
	trailRule("trail-isolates-organizations",
		"Each organization has chains of its own, with positions of their own, and names are compared byte by byte. "+
			"What one does is no entry of another, and an organization that did nothing has none.",
		trailIsolatesOrgs, trailKept),
	trailRule("trail-context-ended",
		"AddEntry, Chains, Entries and CutEntries"+endedDoc+". An empty list would say that nothing happened.",
		trailEnded, trailKept),
	trailRule("trail-is-cut",
		"CutEntries removes the entries up to a position and no others, and Chains says where the chain begins and ends, also if nothing is left of "+
			"it. New entries follow on the last one that was written. A position that no entry has is refused with an error that wraps "+
			"ErrNotFound; one that was cut before is no error.",
		trailIsCut, trailPages),
	trailRule("trail-and-record-are-one",
		"An entry is written in the transaction of its record: whoever sees the one sees the other too, and if the entry cannot be written, the "+
			"call fails, and the record is as it was. A store that writes them one after the other has changes without a trail, or a trail of "+
			"changes that were not made, when the process ends in between.",
		trailAndRecord, trailPages, concurrent, "concurrent-revoke-is-seen", linearizable),
	trailRule("trail-of-many-is-linked",
		"Calls at the same time get positions one after another: no entry is lost, none is there twice, the chain is linked, and no call "+
			"fails because others write. Reading the end of the chain and adding to it then breaks this, if the two are not one transaction "+
			"with a lock.",
		concurrentEntries, "trail-is-linked", concurrent),
}

// Names of the clauses that others build on.
const (
	trailKept  = "trail-is-kept"
	trailPages = "trail-is-read-in-pages"
)

// actions are all that an entry can be about.
var actions = []keys.Action{
	keys.ActionCreated, keys.ActionChanged, keys.ActionPaused, keys.ActionResumed, keys.ActionRotated, keys.ActionRevoked, keys.ActionRefused,
}

// entry returns an entry about r with every field set that a store keeps.
func (p *probe) entry(r keys.Record, n int) keys.Entry {
	return keys.Entry{
		Org: r.Org, Time: created.Add(time.Duration(n) * time.Millisecond), Action: actions[n%len(actions)], ID: r.ID, Kind: r.Kind,
		Version: int64(n) + 1, Fields: "label scopes", Other: "other of " + r.ID, Actor: "host:anna", Address: netip.MustParseAddr("2001:db8::7"),
		Reason: keys.ReasonTakenBack, Count: int64(n),
	}
}

// elsewhere returns e with a place in a chain, which stores ignore: they set it.
func elsewhere(e keys.Entry) keys.Entry {
	e.Chain, e.Seq, e.Previous, e.Hash = "another", 7, keys.ChainHash{1}, keys.ChainHash{2}
	return e
}

// insertWith inserts r with an entry.
func (p *probe) insertWith(s trailStore, r keys.Record, e keys.Entry) {
	p.ok(s.Insert(keys.NewEntryContext(p.ctx, e), r), "Insert of %s, with an entry in the context,", r)
}

// trail returns the entries of an organization, those of each chain by itself,
// without what a store sets. It fails unless all chains are linked.
func (p *probe) trail(s trailStore, org, when string) (all [][]keys.Entry) {
	chains, err := s.Chains(p.ctx, org)
	p.ok(err, "Chains of %s %s", quote(org), when)
	if len(chains) == 0 {
		p.failf("Chains of %s gave none %s; one without entries is there too", quote(org), when)
	}
	for _, c := range chains {
		entries := p.entries(s, org, c.Name, c.Cut.Seq, 1<<20)
		last := c.Cut
		for i, e := range entries {
			if want := e.Follow(last); e.Seq != want.Seq || e.Previous != want.Previous || e.Hash != want.Hash || e.Org != org || e.Chain != c.Name {
				p.failf("entry %d of chain %s of %s has position %d, chain %s, and the hash %v after %v %s; want position %d, and %v after %v",
					i+1, quote(c.Name), quote(org), e.Seq, quote(e.Chain), e.Hash, e.Previous, when, want.Seq, want.Hash, want.Previous)
			}
			last = e.Link()
			entries[i].Chain, entries[i].Seq, entries[i].Previous, entries[i].Hash = "", 0, keys.ChainHash{}, keys.ChainHash{}
		}
		if c.Last != last {
			p.failf("Chains says that chain %s of %s ends at position %d with %v %s, but the last entry has %d and %v",
				quote(c.Name), quote(org), c.Last.Seq, c.Last.Hash, when, last.Seq, last.Hash)
		}
		all = append(all, entries)
	}
	return all
}

// entries returns what Entries returns.
func (p *probe) entries(s trailStore, org, chain string, after int64, limit int) []keys.Entry {
	entries, err := s.Entries(p.ctx, org, chain, after, limit)
	p.ok(err, "Entries of chain %s of %s after %d", quote(chain), quote(org), after)
	return entries
}

// sameTrail fails unless an organization has these entries, and no others. Those of
// one chain must be in the given order.
func (p *probe) sameTrail(s trailStore, org, when string, want ...keys.Entry) {
	got := 0
	for _, entries := range p.trail(s, org, when) {
		got += len(entries)
		from := 0
		for _, e := range entries {
			at := slices.Index(want[from:], e)
			if at < 0 {
				p.failf("the trail of %s has, %s, an entry that is not one of those that were written, or not in their order:\n\t%s\nwritten were\n\t%s",
					quote(org), when, showEntry(e), showEntries(want))
			}
			from += at + 1
		}
	}
	if got != len(want) {
		p.failf("the trail of %s has %d entries %s, want %d", quote(org), got, when, len(want))
	}
}

func showEntry(e keys.Entry) string { return fmt.Sprintf("%.2000q", fmt.Sprintf("%+v", e)) }

func showEntries(entries []keys.Entry) string {
	var lines []string
	for _, e := range entries[:min(len(entries), 5)] {
		lines = append(lines, showEntry(e))
	}
	return strings.Join(lines, "\n\t")
}

// longestEntry returns an entry about r in which every field is as long as it may
// be.
func (p *probe) longestEntry(r keys.Record) keys.Entry {
	return keys.Entry{
		Org: r.Org, Time: time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC), Action: keys.Action(fill("a", 16)), ID: r.ID, Kind: r.Kind,
		Version: 1<<63 - 1, Fields: fill("f", 255), Other: fill("o", keys.MaxID), Actor: fill("b", keys.MaxID),
		Address: netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Reason: fill("r", 64), Count: 1<<63 - 1,
	}
}

func trailIsKept(p *probe, s trailStore) {
	var want []keys.Entry
	for i, kind := range kinds {
		r := p.full(kind, string(kind))
		e := p.entry(r, i)
		p.insertWith(s, r, e)
		p.same(p.get(s, r.ID), r, "a record that was inserted with an entry")
		want = append(want, e)
		p.sameTrail(s, r.Org, "after Insert", want...)

		next := changed(r)
		e = keys.Entry{Org: r.Org, Time: time.UnixMilli(0).UTC(), Action: keys.ActionChanged, ID: r.ID} // nothing else set
		p.ok(s.Update(keys.NewEntryContext(p.ctx, e), next), "Update of %s, with an entry in the context,", r)
		next.Version++
		p.same(p.get(s, r.ID), next, "a record that was updated with an entry")
		want = append(want, e)
		p.sameTrail(s, r.Org, "after Update", want...)

		next.RevokedAt, e = revoked, p.entry(r, i+100)
		p.ok(s.Update(keys.NewEntryContext(p.ctx, elsewhere(e)), next), "Update that revokes %s, with an entry in the context,", r)
		want = append(want, e)
		p.sameTrail(s, r.Org, "after an Update that revoked", want...)

		e = p.entry(r, i+200)
		e.Address = netip.MustParseAddr("192.0.2.1")
		p.ok(s.AddEntry(p.ctx, elsewhere(e)), "AddEntry of an entry with a place in a chain")
		want = append(want, e)
		p.sameTrail(s, r.Org, "after AddEntry", want...)
	}
	r := p.longest(keys.KindClient, "longest")
	r.RevokedAt = time.Time{}
	e := p.longestEntry(r)
	p.insertWith(s, r, e)
	p.sameTrail(s, r.Org, "after an Insert with the longest entry", e)
}

func trailHasNothingElse(p *probe, s trailStore) {
	r := p.full(keys.KindKey, "a")
	with := func(r keys.Record) context.Context { return keys.NewEntryContext(p.ctx, p.entry(r, 1)) }
	p.insert(s, r)
	p.sameTrail(s, r.Org, "after an Insert whose context has no entry")
	r = p.updated(s, changed(r))
	p.sameTrail(s, r.Org, "after an Update whose context has no entry")

	other := p.full(keys.KindKey, "b")
	p.ok(s.Insert(with(r), other), "Insert of %s, with an entry of another record in the context,", other)
	elsewhere := r
	elsewhere.Org += " of others"
	p.ok(s.Update(with(elsewhere), r), "Update of %s, with an entry of another organization in the context,", r)
	r.Version++
	p.sameTrail(s, r.Org, "after changes whose context has an entry of another record")
	p.sameTrail(s, elsewhere.Org, "after a change of a record of another organization")

	p.refused(s.Insert(with(r), r), keys.ErrExists, "Insert of an ID that exists")
	p.refused(s.Insert(with(elsewhere), elsewhere), keys.ErrExists, "Insert of an ID that exists")
	invalid := p.full(keys.KindKey, "invalid")
	invalid.Label = "\xff"
	p.refused(s.Insert(with(invalid), invalid), keys.ErrInvalid, "Insert of an invalid record")
	for _, stale := range []int64{r.Version - 1, r.Version + 1} {
		next := r
		next.Version = stale
		p.refused(s.Update(with(next), next), keys.ErrConflict, "Update of another version")
	}
	p.refused(s.Update(with(elsewhere), elsewhere), keys.ErrNotFound, "Update of a record of another organization")
	next := r
	next.ID += " that nobody has"
	p.refused(s.Update(with(next), next), keys.ErrNotFound, "Update of what is not there")
	next = r
	next.Label = "\xff"
	p.refused(s.Update(with(next), next), keys.ErrInvalid, "Update with an invalid record")

	late := p.full(keys.KindKey, "late")
	p.ended("Insert", func(ctx context.Context) error { return s.Insert(keys.NewEntryContext(ctx, p.entry(late, 1)), late) })
	p.ended("Update", func(ctx context.Context) error { return s.Update(keys.NewEntryContext(ctx, p.entry(r, 1)), changed(r)) })
	p.absent(s, late.ID)
	p.same(p.get(s, r.ID), r, "the record after calls that were refused")
	for _, e := range []keys.Entry{{}, {Org: r.Org, Action: "x"}, {Time: created, Action: "x"}, {Org: r.Org, Time: created, Action: "x", Reason: "\xff"}} {
		p.refused(s.AddEntry(p.ctx, e), keys.ErrInvalid, "AddEntry of an invalid entry")
	}
	p.sameTrail(s, r.Org, "after calls that were refused")
	p.sameTrail(s, elsewhere.Org, "after calls that were refused")

	r.RevokedAt = revoked
	r = p.updated(s, r)
	r.RevokedAt = time.Time{}
	p.refused(s.Update(with(r), r), keys.ErrConflict, "Update that takes a revocation back")
	p.sameTrail(s, r.Org, "after an Update that was to take a revocation back")
}

func trailIsLinked(p *probe, s trailStore) {
	names := func() (list []string) {
		chains, err := s.Chains(p.ctx, p.clause)
		p.ok(err, "Chains")
		for _, c := range chains {
			list = append(list, c.Name)
		}
		return list
	}
	before := names()
	p.sameTrail(s, p.clause, "before there is any")
	var want []keys.Entry
	for n := range 20 {
		r := p.full(kinds[n%len(kinds)], show(n))
		e := p.entry(r, n)
		switch n % 3 {
		case 0:
			p.insertWith(s, r, e)
		case 1:
			p.insert(s, r)
			p.ok(s.Update(keys.NewEntryContext(p.ctx, e), changed(r)), "Update with an entry")
		case 2:
			p.ok(s.AddEntry(p.ctx, e), "AddEntry")
		}
		want = append(want, e)
		p.sameTrail(s, p.clause, "after "+show(n+1)+" entries", want...)
	}
	after := names()
	if !slices.Equal(before, after) || len(slices.Compact(slices.Sorted(slices.Values(after)))) != len(after) {
		p.failf("Chains gave %s, and before there were entries %s: want the same ones, each once", quoteAll(after), quoteAll(before))
	}
}

func trailInPages(p *probe, s trailStore) {
	const n = 30
	for i := range n {
		r := p.full(keys.KindKey, "one of many") // all in one chain, whatever goes by the ID
		p.ok(s.AddEntry(p.ctx, p.entry(r, i)), "AddEntry")
	}
	chains, err := s.Chains(p.ctx, p.clause)
	p.ok(err, "Chains")
	for _, c := range chains {
		all := p.entries(s, p.clause, c.Name, 0, 1<<20)
		for _, after := range []int64{-1 << 62, -1, 0, 1, int64(len(all)) - 1, int64(len(all)), int64(len(all)) + 1, 1 << 62} {
			for _, limit := range []int{1, 2, 7, n, 1 << 30} {
				want := all[min(max(after, 0), int64(len(all))):]
				want = want[:min(limit, len(want))]
				if got := p.entries(s, p.clause, c.Name, after, limit); !slices.Equal(got, want) {
					p.failf("Entries after %d, at most %d, of a chain of %d gave\n\t%s\nwant\n\t%s", after, limit, len(all), showEntries(got), showEntries(want))
				}
			}
		}
		for _, limit := range []int{0, -1} {
			_, err := s.Entries(p.ctx, p.clause, c.Name, 0, limit)
			p.refused(err, keys.ErrInvalid, "Entries with a limit of %d", limit)
		}
	}
	if got := p.entries(s, p.clause, "no chain of this name", 0, 10); len(got) != 0 {
		p.failf("Entries of a chain that is not there gave\n\t%s", showEntries(got))
	}
}

func trailIsolatesOrgs(p *probe, s trailStore) {
	orgs := append(append(hostile(), "acme"), alike("acme")...)
	slices.Sort(orgs)
	orgs = slices.Compact(orgs)
	want := make(map[string][]keys.Entry)
	for round := range 2 {
		for i, org := range orgs {
			r := p.full(keys.KindKey, fmt.Sprint(round, " ", i))
			r.Org = org
			e := p.entry(r, i)
			if round == 0 {
				p.insertWith(s, r, e)
			} else {
				p.ok(s.AddEntry(p.ctx, e), "AddEntry")
			}
			want[org] = append(want[org], e)
		}
	}
	for _, org := range orgs {
		p.sameTrail(s, org, "after others had entries too", want[org]...)
	}
	p.sameTrail(s, "one that did nothing", "though it did nothing")
}
