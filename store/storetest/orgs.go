package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// An orgStore is what the clauses of [keys.OrgStore] are about.
type orgStore interface {
	keys.Store
	keys.OrgStore
}

// orgRule makes a clause of [keys.OrgStore].
func orgRule(name, doc string, check func(*probe, orgStore), needs ...string) clause[keys.Store] {
	return optional("keys.OrgStore", name, doc, check, needs...)
}

var orgClauses = []clause[keys.Store]{
	orgRule(listsOrgs,
		"Orgs lists each organization that has a record once, in ascending byte order: those too whose records are all dead. One "+
			"whose last record was swept is not there any more.",
		orgsAreListed, textKept, deadStay, sweeps),
	orgRule("orgs-page",
		"Orgs begins with the first organization whose name comes after the given one in byte order, and returns as many as the limit says "+
			"if there are so many. No organization need have the given name.",
		orgsPage, listsOrgs),
	orgRule("orgs-context-ended",
		"Orgs"+endedDoc+". An empty list would say that there are no customers.",
		orgsEnded, listsOrgs),
}

// orgs returns what Orgs returns.
func (p *probe) orgs(s orgStore, after string, limit int) []string {
	orgs, err := s.Orgs(p.ctx, after, limit)
	p.ok(err, "Orgs after %s", quote(after))
	return orgs
}

// sameOrgs fails unless Orgs returned these.
func (p *probe) sameOrgs(got, want []string, what string) {
	if text, wanted := quoteAll(got), quoteAll(want); text != wanted {
		p.failf("%s gave\n\t%s\nwant\n\t%s", what, text, wanted)
	}
}

// insertOrgs inserts records of organizations whose names databases get wrong, for
// every second one of two kinds, and returns the names in byte order.
func (p *probe) insertOrgs(s orgStore) []string {
	orgs := append(append(hostile(), sortedIDs()...), alike("acme")...)
	slices.Sort(orgs)
	orgs = slices.Compact(orgs)
	for i, org := range orgs {
		j := i * 7919 % len(orgs) // neither ascending nor descending
		for k := range 1 + i%2 {
			r := p.full(kinds[(i+k)%len(kinds)], show(j+k*len(orgs)))
			r.Org = org
			p.insert(s, r)
		}
	}
	return orgs
}

func orgsAreListed(p *probe, s orgStore) {
	p.sameOrgs(p.orgs(s, "", 1000), nil, "Orgs of an empty store")
	want := p.insertOrgs(s)
	for _, kind := range kinds {
		for i, r := range p.dead(kind) {
			r.Org = fmt.Sprintf("dead %s %d", kind, i) // revoked, expired, or both
			p.insert(s, r)
			want = append(want, r.Org)
		}
	}
	slices.Sort(want)
	p.sameOrgs(p.orgs(s, "", 1<<20), want, "Orgs")
	p.swept(s, now, 1000, 3)
	want = slices.DeleteFunc(want, func(org string) bool { return strings.HasPrefix(org, "dead token") })
	p.sameOrgs(p.orgs(s, "", 1<<20), want, "Orgs, after Sweep removed all records of three,")
}

func orgsPage(p *probe, s orgStore) {
	all := p.insertOrgs(s)
	for _, limit := range []int{1, 3, len(all) - 1, len(all)} {
		for after, left := "", all; len(left) > 0; {
			page := p.orgs(s, after, limit)
			p.sameOrgs(page, left[:min(limit, len(left))], "Orgs after "+quote(after))
			after, left = page[len(page)-1], left[len(page):]
		}
	}
	for _, after := range append(alike("acme"), "a~", "vck_test_a\x01", "\U0010ffff") {
		var want []string
		for _, org := range all {
			if org > after {
				want = append(want, org)
			}
		}
		p.sameOrgs(p.orgs(s, after, 1000), want, "Orgs after "+quote(after))
	}
}

func orgsEnded(p *probe, s orgStore) {
	orgs := func(ctx context.Context) error {
		_, err := s.Orgs(ctx, "", 10)
		return err
	}
	p.ended("Orgs of nothing", orgs)
	p.insert(s, p.full(keys.KindKey, "a"))
	p.ended("Orgs", orgs)
}
