package storetest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/claviger-auth/claviger/keys"
)

var extremeClauses = []clause[keys.Store]{
	rule(longestKept,
		"Every field is kept at the longest and the largest value that Record.Validate allows, all of them in one record. The comment on "+
			"keys.Store has a table of them. A column that is too narrow cuts, or makes an Insert fail that should go well.",
		longestIsKept, notFound, textKept, "numbers-are-kept", "times-are-kept", "digests-are-kept"),
	rule("update-writes-extreme-values",
		"Update writes whatever Insert can write: text that is hostile or very long, large numbers, times of 1970 and of 9999, "+
			"every form of digest.",
		updateWritesExtremes, longestKept, writesAll, keepsIdentity, increments, revokes),
	rule("list-returns-extreme-values",
		"List returns whatever Get can return: text that is hostile or very long, large numbers, times of 1970 and of 9999, "+
			"every form of digest.",
		listReturnsExtremes, longestKept, listsDead, ordered, isolatesOrgs, isolatesKinds),
}

// extremes returns records with values that stores get wrong, by what is special
// about them. All have different IDs.
func (p *probe) extremes() map[string]keys.Record {
	all := make(map[string]keys.Record)
	for _, part := range []map[string]keys.Record{p.hostileRecords(), p.timely(), p.numerous(), p.digested()} {
		maps.Copy(all, part)
	}
	for _, kind := range kinds {
		all["the longest values of a "+string(kind)] = p.longest(kind, string(kind))
	}
	return all
}

func longestIsKept(p *probe, s keys.Store) {
	for _, kind := range kinds {
		r := p.longest(kind, string(kind))
		p.insert(s, r)
		p.same(p.get(s, r.ID), r, "the "+string(kind)+" with the longest values")
		p.absent(s, r.ID[:len(r.ID)-1])
		r = p.escaped(kind, "escaped "+string(kind))
		p.insert(s, r)
		p.same(p.get(s, r.ID), r, "the "+string(kind)+" with the longest JSON")
	}
}

func updateWritesExtremes(p *probe, s keys.Store) {
	all := p.extremes()
	for _, what := range slices.Sorted(maps.Keys(all)) {
		want := all[what]
		was := p.sparse(want.Kind, "")
		was.ID, was.Org, was.Parent, was.CreatedAt, was.Version = want.ID, want.Org, want.Parent, want.CreatedAt, want.Version
		was.Environment, was.CreatedBy, was.Replaces = want.Environment, want.CreatedBy, want.Replaces
		p.insert(s, was)
		want = p.updated(s, want)
		p.same(p.get(s, want.ID), want, "the record, after an Update, with "+what)
	}
}

func listReturnsExtremes(p *probe, s keys.Store) {
	all := p.extremes()
	type place struct {
		org  string
		kind keys.Kind
	}
	want := make(map[place][]keys.Record)
	for _, r := range all {
		p.insert(s, r)
		want[place{r.Org, r.Kind}] = append(want[place{r.Org, r.Kind}], r)
	}
	for at, records := range want {
		page := p.list(s, keys.Query{Org: at.org, Kind: at.kind, Limit: 1000})
		p.sameSet(page, records, fmt.Sprintf("List of the %ss of %s", at.kind, quote(at.org)))
	}
}
