package storetest

import "github.com/claviger-auth/claviger/keys"

var freshClauses = []clause[keys.Store]{
	rule(seesInserts,
		"Once Insert has returned, Get finds the record, also if it was looked for before. A cache that remembers "+
			"that there was nothing breaks this: a new credential is refused for a while.",
		getSeesInserts, roundTrip, notFound),
	rule(seesUpdates,
		"Once Update has returned, Get gives what it wrote, also if the record was read before. A cache that Update "+
			"does not reach breaks this, and an Update that writes nothing: a revoked credential goes on being accepted.",
		getSeesUpdates, roundTrip),
}

func getSeesInserts(p *probe, s keys.Store) {
	for _, kind := range kinds {
		r := p.full(kind, string(kind))
		for range 3 {
			p.absent(s, r.ID)
		}
		p.insert(s, r)
		p.same(p.get(s, r.ID), r, "the record that was looked for before it was inserted")
	}
}

func getSeesUpdates(p *probe, s keys.Store) {
	for _, kind := range kinds {
		r := p.full(kind, string(kind))
		p.insert(s, r)
		for range 3 {
			p.get(s, r.ID)
			p.update(s, changed(r))
			got := p.get(s, r.ID)
			if len(differences(got, r)) == 0 {
				p.failf("Update of %s went well, and Get still gives the record as it was before, version %d. Nothing was written, "+
					"or Get remembers what it gave before", r, r.Version)
			}
			r = got
		}
	}
}
