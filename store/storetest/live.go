package storetest

import (
	"fmt"

	"github.com/claviger-auth/claviger/keys"
)

// Clauses about lists that build on those of sweeps.
var liveClauses = []clause[keys.Store]{
	rule(listFresh,
		"Once an Insert, Update or Sweep has returned, List shows what it did, with every field. A list that is kept apart from "+
			"the records, and that Update does not write, shows a revoked key as a live one.",
		listSeesWrites, listsDead, listsNothing, isolatesOrgs, isolatesKinds, revokedChange, increments, clears, sweepFollows, "sweep-keeps-tombstones"),
	rule(live,
		"With Query.Live, List leaves out records that are revoked, at whatever time, and nothing else: records that "+
			"expired or are paused stay.",
		listLive, listsDead, isolatesOrgs, isolatesKinds),
	rule("list-live-sees-writes",
		"With Query.Live, List goes by what was written last: an Update that revokes a record takes it out of the list, and no "+
			"Update brings it back. A list of live records that Update does not keep shows revoked keys as live ones.",
		listLiveSeesWrites, live, listFresh),
	rule("list-live-fills-pages",
		"With Query.Live, a page has as many records as the limit says if there are so many, however many revoked ones stand "+
			"between them, and a walk over the pages sees all. Where the limit is applied first, pages are short or empty, and callers "+
			"take a short page for the last one.",
		listLiveFillsPages, "list-live-sees-writes", "list-fills-pages", "list-pages-miss-nothing"),
}

func listLive(p *probe, s keys.Store) {
	for _, kind := range kinds {
		records := append(p.dead(kind), p.full(kind, "full "+string(kind)), p.sparse(kind, "sparse "+string(kind)))
		late := p.full(kind, "revoked later "+string(kind))
		late.RevokedAt = expires
		first := p.full(kind, "revoked in 1970 "+string(kind))
		first.RevokedAt = epoch
		p.insert(s, append(records, late, first)...)
		var alive []keys.Record
		for _, r := range records {
			if !r.Revoked() {
				alive = append(alive, r)
			}
		}
		q := keys.Query{Org: p.clause, Kind: kind, Limit: 1000, Live: true}
		p.sameSet(p.list(s, q), alive, "List of live records")
	}
}

func listLiveSeesWrites(p *probe, s keys.Store) {
	for _, kind := range kinds {
		a, b := p.full(kind, "a "+string(kind)), p.full(kind, "b "+string(kind))
		q := keys.Query{Org: p.clause, Kind: kind, Limit: 1000, Live: true}
		p.sameSet(p.list(s, q), nil, "List of live records before there are any")
		p.insert(s, a, b)
		p.sameSet(p.list(s, q), []keys.Record{a, b}, "List of live records after Insert")
		a = p.updated(s, changed(a))
		p.sameSet(p.list(s, q), []keys.Record{a, b}, "List of live records after an Update that changed one")
		a.RevokedAt = revoked
		a = p.updated(s, a)
		p.sameSet(p.list(s, q), []keys.Record{b}, "List of live records after an Update that revoked one of two")
		a = p.updated(s, changed(a))
		p.sameSet(p.list(s, q), []keys.Record{b}, "List of live records after an Update of a revoked one")
		b.RevokedAt = expires
		b = p.updated(s, b)
		p.sameSet(p.list(s, q), nil, "List of live records after all were revoked, one from 2124 on,")
		q.Live = false
		p.sameSet(p.list(s, q), []keys.Record{a, b}, "List of all records after all were revoked")
	}
}

func listLiveFillsPages(p *probe, s keys.Store) {
	for _, kind := range kinds {
		var alive []string
		for i := range 40 {
			r := p.full(kind, fmt.Sprintf("%s %02d", kind, i))
			if i%8 == 7 {
				alive = append(alive, r.ID)
			}
			p.insert(s, r)
			if i%8 != 7 {
				r.RevokedAt = revoked
				p.update(s, r)
			}
		}
		for limit := 1; limit <= len(alive)+1; limit++ {
			q := keys.Query{Org: p.clause, Kind: kind, Limit: limit, Live: true}
			for left := alive; ; {
				page := p.list(s, q)
				want := left[:min(limit, len(left))]
				p.ids(page, "List of "+quoteQuery(q)+", with seven revoked records before each live one,", want...)
				if left = left[len(want):]; len(page) == 0 {
					break
				}
				q.After = page[len(page)-1].ID
			}
		}
	}
}

func listSeesWrites(p *probe, s keys.Store) {
	for _, kind := range kinds {
		q := keys.Query{Org: p.clause, Kind: kind, Limit: 1000}
		p.sameSet(p.list(s, q), nil, "List before there is anything")
		r, other := p.full(kind, string(kind)), p.sparse(kind, "other "+string(kind))
		p.insert(s, r)
		p.sameSet(p.list(s, q), []keys.Record{r}, "List after Insert")
		p.insert(s, other)
		p.sameSet(p.list(s, q), []keys.Record{r, other}, "List after another Insert")
		r = p.updated(s, changed(r))
		p.sameSet(p.list(s, q), []keys.Record{r, other}, "List after Update")
		r.RevokedAt = revoked
		r = p.updated(s, r)
		p.sameSet(p.list(s, q), []keys.Record{r, other}, "List after the Update that revoked a record")
		empty := p.sparse(kind, string(kind))
		empty.RevokedAt, empty.Version = revoked, r.Version
		empty.Environment, empty.CreatedBy, empty.Replaces = r.Environment, r.CreatedBy, r.Replaces
		r = p.updated(s, empty)
		p.sameSet(p.list(s, q), []keys.Record{r, other}, "List after an Update that cleared fields")
		if kind == keys.KindToken {
			p.swept(s, now, 1000, 1)
			p.sameSet(p.list(s, q), []keys.Record{other}, "List after Sweep")
		}
	}
}
