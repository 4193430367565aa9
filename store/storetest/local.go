package storetest

import (
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// A localStore is what the clauses of [keys.LocalStore] are about.
type localStore interface {
	keys.Store
	keys.LocalStore
}

// localRule is a rule for stores that are a [keys.LocalStore] themselves. One
// that embeds such a store, and has its method, is another store.
func localRule(name, doc string, check func(*probe, localStore), needs ...string) clause[keys.Store] {
	c := optional("keys.LocalStore", name, doc, check, needs...)
	c.applies = func(s keys.Store) bool {
		local, ok := s.(localStore)
		if !ok {
			return false
		}
		self, _ := local.Local()
		return self == s
	}
	return c
}

var localClauses = []clause[keys.Store]{
	localRule(localFinds,
		"The function of Local returns what Get returns, dead records included, and nil if no record has the ID, byte for byte.",
		localFindsAll, roundTrip, deadStay, notFound, idBytes),
	localRule("local-is-fresh",
		"Once an Insert, Update or Sweep has returned, the function of Local sees what it did. A revoked credential must be refused at once.",
		localIsFresh, localFinds, sweeps, revokes, increments),
	localRule("local-records-stay",
		"What the function of Local returned never changes. A check that has begun reads it without a lock, and must not "+
			"find the digest of one record and the expiry of another.",
		localRecordsStay, "local-is-fresh", writesAll),
}

// seen fails unless the function of Local finds a record.
func (p *probe) seen(s localStore, r keys.Record, when string) *keys.Record {
	_, view := s.Local()
	got := view(r.ID)
	if got == nil {
		p.failf("%s, the function of Local did not find %s", when, quote(r.ID))
	}
	p.same(*got, r, "what the function of Local returned "+when)
	return got
}

// unseen fails if the function of Local finds an ID.
func (p *probe) unseen(s localStore, id, when string) {
	if _, view := s.Local(); view(id) != nil {
		p.failf("%s, the function of Local found %s", when, quote(id))
	}
}

func localFindsAll(p *probe, s localStore) {
	p.unseen(s, p.clause+".nobody", "before anything was inserted")
	for _, kind := range kinds {
		records := append(p.dead(kind), p.full(kind, "Full "+string(kind)), p.sparse(kind, "Sparse "+string(kind)))
		p.insert(s, records...)
		for _, r := range records {
			p.seen(s, r, "after Insert")
			for _, id := range []string{strings.ToUpper(r.ID), r.ID + " ", r.ID[:len(r.ID)-1]} {
				p.unseen(s, id, "beside "+quote(r.ID))
			}
		}
	}
	for _, id := range append(p.junk(), p.clause+".nobody") {
		p.unseen(s, id, "among other records")
	}
}

func localIsFresh(p *probe, s localStore) {
	r := p.full(keys.KindToken, "token")
	p.unseen(s, r.ID, "before Insert")
	p.insert(s, r)
	p.seen(s, r, "after Insert")
	r = p.updated(s, changed(r))
	p.seen(s, r, "after Update")
	r.RevokedAt = revoked
	r = p.updated(s, r)
	p.seen(s, r, "after it was revoked")
	p.swept(s, now, 1000, 1)
	p.unseen(s, r.ID, "after Sweep")
}

func localRecordsStay(p *probe, s localStore) {
	for _, kind := range kinds {
		r := p.full(kind, string(kind))
		p.insert(s, r)
		first := p.seen(s, r, "after Insert")
		after := p.updated(s, changed(r))
		second := p.seen(s, after, "after Update")
		dead := after
		dead.RevokedAt = revoked
		p.update(s, dead)
		_, err := s.Sweep(p.ctx, now, 1000)
		p.ok(err, "Sweep")
		p.same(*first, r, "what the function of Local returned before Update")
		p.same(*second, after, "what the function of Local returned before the record was revoked")
	}
}
