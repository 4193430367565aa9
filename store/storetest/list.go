package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

var listClauses = []clause[keys.Store]{
	rule(lists,
		"List returns records of the organization and kind that were asked for, each as Get returns it.",
		listReturnsRecords, roundTrip),
	rule(listsNothing,
		"List returns no record and no error if there are none. It is not an error to have no keys.",
		listOfNothing),
	rule(listsDead,
		"List returns revoked and expired records too. Whether people see them is for the caller to say.",
		listIncludesDead, lists, deadStay),
	rule(isolatesOrgs,
		"List returns nothing of another organization, even if its name differs only in case, spaces, "+
			"wildcards or separators.",
		listIsolatesOrganizations, lists, textKept),
	rule(isolatesKinds,
		"List returns nothing of another kind. A list of keys does not show tokens.",
		listIsolatesKinds, lists),
	rule(listLimit,
		"List returns as many records as were asked for if there are so many, otherwise all, however large the limit.",
		listKeepsLimit, lists),
	rule(ordered,
		"List returns records in ascending byte order of their IDs: digits, upper case, the underscore, lower case, "+
			"all else. Collations of databases order otherwise, and differently on each machine.",
		listIsOrdered, lists, idBytes),
	rule("list-begins-after-the-cursor",
		"List returns only IDs that come after the cursor in byte order. The cursor itself is left out, and need "+
			"not be the ID of a record.",
		listAfterCursor, ordered, listsNothing),
	rule("list-pages-miss-nothing",
		"In a walk over the pages, in which each begins after the last ID of the one before, records that are "+
			"there all the time are seen exactly once, whatever is inserted or updated meanwhile. Offsets break this.",
		listPages, "list-begins-after-the-cursor", listLimit, writesAll),
	rule("list-fills-pages",
		"A page has as many records as the limit says if there are so many, whatever other organizations and kinds have before "+
			"and between them. Where the limit is applied before the rest of the query, pages are short, and callers take "+
			"a short page for the last one.",
		listFillsPages, listLimit, "list-begins-after-the-cursor", isolatesOrgs, isolatesKinds),
	rule("list-returns-a-copy",
		"What List returned belongs to the caller, who may write to it, and later calls do not write to it.",
		listReturnsCopy, ordered),
	rule("list-validates",
		"List returns the error of Query.Validate if that is not nil. A missing organization does not mean all of them.",
		listValidates, lists),
}

// query asks for all keys of the clause's organization.
func (p *probe) query() keys.Query {
	return keys.Query{Org: p.clause, Kind: keys.KindKey, Limit: 1000}
}

// keys returns full keys whose IDs are as given.
func (p *probe) keys(ids ...string) []keys.Record {
	records := make([]keys.Record, len(ids))
	for i, id := range ids {
		records[i] = p.full(keys.KindKey, id)
		records[i].ID = id
	}
	return records
}

// sameSet fails unless the two have the same records, in whatever order.
func (p *probe) sameSet(got, want []keys.Record, what string) {
	byID := func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) }
	got, want = slices.SortedFunc(slices.Values(got), byID), slices.SortedFunc(slices.Values(want), byID)
	var ids []string
	for _, r := range want {
		ids = append(ids, r.ID)
	}
	p.ids(got, what+", sorted,", ids...)
	for i := range want {
		p.same(got[i], want[i], "a record of "+what)
	}
}

func listReturnsRecords(p *probe, s keys.Store) {
	for _, kind := range kinds {
		full, sparse := p.full(kind, "full "+string(kind)), p.sparse(kind, "sparse "+string(kind))
		full.Org += string(kind)
		sparse.Org = full.Org
		p.insert(s, full, sparse)
		page := p.list(s, keys.Query{Org: full.Org, Kind: kind, Limit: 1000})
		p.sameSet(page, []keys.Record{full, sparse}, "List")
	}
}

func listOfNothing(p *probe, s keys.Store) {
	for _, kind := range kinds {
		q := keys.Query{Org: p.clause, Kind: kind, Limit: 10}
		p.ids(p.list(s, q), "List of an organization without records")
		q.After = "a"
		p.ids(p.list(s, q), "List with a cursor of an organization without records")
	}
}

func listIncludesDead(p *probe, s keys.Store) {
	for _, kind := range kinds {
		dead := p.dead(kind)
		for i := range dead {
			dead[i].Org += string(kind)
		}
		p.insert(s, dead...)
		p.sameSet(p.list(s, keys.Query{Org: dead[0].Org, Kind: kind, Limit: 1000}), dead, "List of dead records")
	}
}

func listIsolatesOrganizations(p *probe, s keys.Store) {
	orgs := append(hostile(), "acme", "Acme", "ACME", "acme ", "acme_", "acmeX", "acme%", "acme:key", "acmekey", "acmekeykey", "acme/key", "acme|key", "acme key", "acme.key", "ac", "acm\u00e9", "acme\u0301")
	var all []keys.Record
	for i, org := range orgs {
		r := p.full(keys.KindKey, fmt.Sprint(i))
		r.Org = org
		all = append(all, r)
	}
	p.insert(s, all...)
	for _, r := range all {
		q := keys.Query{Org: r.Org, Kind: keys.KindKey, Limit: 1000}
		p.ids(p.list(s, q), "List of "+quoteQuery(q), r.ID)
	}
}

func listIsolatesKinds(p *probe, s keys.Store) {
	for _, kind := range kinds {
		p.insert(s, p.full(kind, string(kind)))
	}
	for _, kind := range kinds {
		q := p.query()
		q.Kind = kind
		p.ids(p.list(s, q), "List of "+quoteQuery(q), p.clause+"."+string(kind))
	}
}

func listKeepsLimit(p *probe, s keys.Store) {
	p.insert(s, p.keys("a", "b", "c", "d", "e")...)
	for _, limit := range []int{1, 2, 4, 5, 6, 1 << 20, math.MaxInt32, math.MaxInt} {
		q := p.query()
		q.Limit = limit
		if page, want := p.list(s, q), min(limit, 5); len(page) != want {
			p.failf("List of 5 records with limit %d returned %d, want %d", limit, len(page), want)
		}
	}
}

func listFillsPages(p *probe, s keys.Store) {
	var want []string
	for i := range 12 {
		mine := p.full(keys.KindKey, fmt.Sprintf("%02d z", i))
		foreign := p.full(keys.KindKey, fmt.Sprintf("%02d a", i))
		foreign.Org += " of others"
		token, client := p.full(keys.KindToken, fmt.Sprintf("%02d b", i)), p.full(keys.KindClient, fmt.Sprintf("%02d c", i))
		p.insert(s, foreign, token, client, mine)
		want = append(want, mine.ID)
	}
	for _, limit := range []int{1, 2, 5, 11, 12, 13} {
		q := p.query()
		q.Limit = limit
		for after := range want {
			q.After = want[after]
			rest := want[after+1:]
			p.ids(p.list(s, q), "List of "+quoteQuery(q)+", among records of other organizations and kinds,", rest[:min(limit, len(rest))]...)
		}
	}
}

// sortedIDs returns IDs that collations sort in other ways, in byte order.
func sortedIDs() []string {
	ids := []string{
		"vck_test_a", "vck_test_b", "vck_test_A", "vck_test_B", "vck_test_Z", "vck_test_z", "vck_test__", "vck_test_", "vck_test_0",
		"vck_test_9", "vck_test_10", "vck_test_-", "vck_test_aa", "vck_test_a_", "vck_test_aB", "vck_test_a ", "vck_live_z", "VCK_test_a",
		"a", "B", "_", "10", "9", "-", " ", "~", "\u00e9", "e\u0301", "\uffff", "\U0001f511", "f", "\u00df", "ss", "st",
	}
	slices.Sort(ids)
	return ids
}

func listIsOrdered(p *probe, s keys.Store) {
	want := sortedIDs()
	mixed := slices.Clone(want)
	for i := range mixed { // neither ascending nor descending
		j := i * 7919 % len(mixed)
		mixed[i], mixed[j] = mixed[j], mixed[i]
	}
	p.insert(s, p.keys(mixed...)...)
	p.ids(p.list(s, p.query()), "List", want...)
}

func listAfterCursor(p *probe, s keys.Store) {
	all := sortedIDs()
	p.insert(s, p.keys(all...)...)
	cursors := slices.Concat(all, hostile(), []string{"", "vck_test_a\x01", strings.Repeat("v", 1000), "\U0010ffff"})
	for _, cursor := range cursors {
		q := p.query()
		q.After = cursor
		var want []string
		for _, id := range all {
			if id > cursor {
				want = append(want, id)
			}
		}
		p.ids(p.list(s, q), "List of "+quoteQuery(q), want...)
	}
}

func listPages(p *probe, s keys.Store) {
	var stable []keys.Record
	for i := range 20 {
		r := p.full(keys.KindKey, fmt.Sprintf("%02d", i))
		stable = append(stable, r)
	}
	p.insert(s, stable...)
	q := p.query()
	q.Limit = 3
	seen := make(map[string]int)
	// Forty pages are more than enough for all records, those that join included.
	for n := range 40 {
		page := p.list(s, q)
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			seen[r.ID]++
		}
		q.After = page[len(page)-1].ID
		if n < 8 {
			// One joins before all others, one just before the cursor, one just after it.
			for _, id := range []string{fmt.Sprintf("! %d", n), q.After[:len(q.After)-1] + " " + fmt.Sprint(n), q.After + "+"} {
				r := p.full(keys.KindKey, "")
				r.ID = id
				p.insert(s, r)
			}
			p.update(s, changed(stable[n*2]))
		}
	}
	for _, r := range stable {
		if seen[r.ID] != 1 {
			p.failf("a walk in pages of %d, with inserts between them, saw %s %d times, want once", q.Limit, quote(r.ID), seen[r.ID])
		}
	}
}

func listReturnsCopy(p *probe, s keys.Store) {
	p.insert(s, p.keys("a", "b", "c")...)
	first := p.list(s, p.query())
	kept := slices.Clone(first)
	clear(first[:1])
	p.ids(p.list(s, p.query()), "List, after a caller wrote to the answer before,", "a", "b", "c")
	first[0] = kept[0]
	q := p.query()
	q.After = "a"
	p.list(s, q)
	p.ids(first, "an earlier List, after another one,", "a", "b", "c")
}

func listValidates(p *probe, s keys.Store) {
	p.insert(s, p.keys("a")...)
	for what, change := range map[string]func(*keys.Query){
		"no organization":                   func(q *keys.Query) { q.Org = "" },
		"an organization with NUL":          func(q *keys.Query) { q.Org = "a\x00" },
		"an organization that is not UTF-8": func(q *keys.Query) { q.Org = "a\xff" },
		"an organization that is too long":  func(q *keys.Query) { q.Org = strings.Repeat("x", keys.MaxOrg+1) },
		"no kind":                           func(q *keys.Query) { q.Kind = "" },
		"an unknown kind":                   func(q *keys.Query) { q.Kind = "KEY" },
		"a cursor with NUL":                 func(q *keys.Query) { q.After = "a\x00" },
		"a cursor that is not UTF-8":        func(q *keys.Query) { q.After = "\xff" },
		"a limit of 0":                      func(q *keys.Query) { q.Limit = 0 },
		"a limit of -1":                     func(q *keys.Query) { q.Limit = -1 },
	} {
		q := p.query()
		change(&q)
		_, err := s.List(p.ctx, q)
		p.refused(err, keys.ErrInvalid, "List with %s", what)
	}
}
