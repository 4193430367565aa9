package storetest

import (
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var revocationClauses = []clause[keys.Store]{
	rule(revokes,
		"An Update that sets RevokedAt is seen by the Get after it, and the record stays. It is how credentials are revoked.",
		revocationIsWritten, writesAll, deadStay),
	rule("revocation-is-final",
		"Update fails with an error that wraps ErrConflict, and changes nothing, if the stored record has a RevokedAt that "+
			"the new one lacks or has later. Nothing brings a revoked credential back, not even a caller that "+
			"knows the right version.",
		revocationIsFinal, revokes, compares),
	rule(revokedChange,
		"A revoked record can be changed like others as long as RevokedAt stays the same instant, in whatever "+
			"location, or becomes an earlier one.",
		revokedCanBeUpdated, revokes, increments),
}

// revokedRecord inserts a record and revokes it.
func (p *probe) revokedRecord(s keys.Store, kind keys.Kind) keys.Record {
	r := p.full(kind, string(kind))
	p.insert(s, r)
	r.RevokedAt = revoked
	return p.updated(s, r)
}

func revocationIsWritten(p *probe, s keys.Store) {
	for _, kind := range kinds {
		r := p.revokedRecord(s, kind)
		p.same(p.get(s, r.ID), r, "the "+string(kind)+" after the Update that revoked it", "Version")
	}
}

func revocationIsFinal(p *probe, s keys.Store) {
	for _, kind := range kinds {
		r := p.revokedRecord(s, kind)
		for what, t := range map[string]time.Time{
			"cleared":                  {},
			"moved a millisecond on":   revoked.Add(time.Millisecond),
			"moved to the next minute": revoked.Add(time.Minute),
			"moved to 2124":            expires,
		} {
			next := r
			next.RevokedAt = t
			p.refused(s.Update(p.ctx, next), keys.ErrConflict, "Update with the right version and RevokedAt %s", what)
			p.same(p.get(s, r.ID), r, "the revoked record after an Update with RevokedAt "+what)
		}
	}
}

func revokedCanBeUpdated(p *probe, s keys.Store) {
	for _, kind := range kinds {
		r := changed(p.revokedRecord(s, kind))
		r = p.updated(s, r)
		p.same(p.get(s, r.ID), r, "the revoked record after an Update of other fields")
		r.RevokedAt = revoked.In(time.FixedZone("west", -11*3600))
		r = p.updated(s, r)
		r.RevokedAt = revoked.Add(-time.Millisecond)
		r = p.updated(s, r)
		p.same(p.get(s, r.ID), r, "the record after RevokedAt was moved a millisecond back")
	}
}
