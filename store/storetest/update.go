package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// identity names the fields that other clauses than update-writes-all-fields are
// about: they stay, or are compared, or are counted.
var identity = []string{"ID", "Kind", "Org", "Parent", "Environment", "CreatedBy", "Replaces", "CreatedAt", "Version"}

var updateClauses = []clause[keys.Store]{
	rule(writesAll,
		"Update writes every field but those that say where the record comes from: ID, Kind, Org, Parent, Environment, "+
			"CreatedBy, Replaces and CreatedAt. "+
			"A rotation whose new digest is not written leaves the old secret good forever.",
		updateWritesAllFields, seesUpdates),
	rule(clears,
		"Update writes fields that are empty in the new record too: scopes that are taken away, an "+
			"expiry or an old digest that is gone. Writing only what is not zero breaks this.",
		updateClearsFields, writesAll),
	rule(keepsIdentity,
		"Kind, Parent, Environment, CreatedBy, Replaces and CreatedAt stay as they were inserted, whatever the new "+
			"record says. A token that moved to another client would outlive the revocation of its own. keys.Next keeps them.",
		updateKeepsIdentity, writesAll),
	rule(increments,
		"Update stores the version that it was given, plus one, so that every write can be told from the one before.",
		updateIncrements, seesUpdates),
	rule(compares,
		"Update fails with an error that wraps ErrConflict, and changes nothing, unless the stored version is "+
			"the one given. Otherwise a change that was made meanwhile, a revocation for one, is lost.",
		updateCompares, writesAll, increments),
	rule("update-needs-the-organization",
		"Update fails with an error that wraps ErrNotFound, and changes nothing, if the record belongs to another "+
			"organization, whatever the version: a foreign ID must look like one that does not exist.",
		updateNeedsOrganization, compares),
	rule("update-not-found",
		"Update of an ID that no record has fails with an error that wraps ErrNotFound, and adds nothing.",
		updateNotFound, hostileID, idBytes),
	rule("update-validates",
		"Update returns the error of Record.Validate, and changes nothing, if that is not nil.",
		updateValidates, writesAll),
	rule("update-leaves-valid-records",
		"An Update that passes another kind, with fields that the stored kind cannot have, fails with an error that wraps "+
			"ErrInvalid, and changes nothing: a key gets no TokenLifetime, a token no Metadata. If there are no such "+
			"fields it goes well, and the kind stays. keys.Next decides. A record that cannot be read cannot be revoked either.",
		updateLeavesValid, keepsIdentity, increments, clears, "update-validates"),
}

func updateWritesAllFields(p *probe, s keys.Store) {
	for _, kind := range kinds {
		for _, r := range []keys.Record{p.full(kind, "full "+string(kind)), p.sparse(kind, "sparse "+string(kind))} {
			p.insert(s, r)
			next := changed(r)
			p.update(s, next)
			p.same(p.get(s, r.ID), next, "the record that Get returned after Update", identity...)
		}
	}
}

func updateClearsFields(p *probe, s keys.Store) {
	for _, kind := range kinds {
		name := string(kind)
		p.insert(s, p.full(kind, name))
		next := p.sparse(kind, name)
		p.update(s, next)
		p.same(p.get(s, next.ID), next, "the record after an Update that cleared fields", identity...)
	}
	one := p.full(keys.KindKey, "scopes")
	p.insert(s, one)
	one.Scopes = scopes.Set{}
	p.update(s, one)
	p.same(p.get(s, one.ID), one, "the record after an Update that took its scopes away", identity...)
}

func updateKeepsIdentity(p *probe, s keys.Store) {
	for _, kind := range kinds {
		was := p.full(kind, string(kind))
		p.insert(s, was)
		next := was
		next.CreatedAt = created.Add(-time.Hour)
		switch kind {
		case keys.KindKey:
			next.Kind = keys.KindClient
		case keys.KindClient:
			next.Kind, next.TokenLifetime = keys.KindKey, 0
		case keys.KindToken:
			next.Parent = p.clause + ".another client"
		}
		if kind != keys.KindToken {
			next.Environment, next.CreatedBy, next.Replaces = "live", "host:somebody else", p.clause+".another key"
		}
		p.update(s, next)
		got := p.get(s, was.ID)
		was.Version, was.TokenLifetime = got.Version, next.TokenLifetime
		p.same(got, was, "the "+string(kind)+" after an Update that asked for another identity")
		if kind != keys.KindToken {
			next.Environment, next.CreatedBy, next.Replaces, next.Version = "", "", "", got.Version
			p.update(s, next)
			was.Version++
			p.same(p.get(s, was.ID), was, "the "+string(kind)+" after an Update that left its origin out", "Version")
		}
	}
}

func updateIncrements(p *probe, s keys.Store) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	for range 3 {
		p.update(s, r)
		r.Version++
		if got := p.get(s, r.ID).Version; got != r.Version {
			p.failf("Update of version %d stored version %d, want %d", r.Version-1, got, r.Version)
		}
	}
}

func updateLeavesValid(p *probe, s keys.Store) {
	for _, kind := range kinds {
		for _, other := range kinds {
			if other == kind {
				continue
			}
			for _, next := range []keys.Record{changed(p.full(other, "full")), p.sparse(other, "sparse")} {
				what := fmt.Sprintf("a %s that is passed as a %s %s", kind, next.Label, other)
				was := p.full(kind, what)
				p.insert(s, was)
				next.ID = was.ID
				want, refusal := keys.Next(was, next)
				err := s.Update(p.ctx, next)
				if refusal != nil {
					p.refused(err, keys.ErrInvalid, "Update of %s", what)
					want = was
				} else {
					p.ok(err, "Update of %s", what)
				}
				p.same(p.get(s, was.ID), want, what+", after the Update,")
			}
		}
	}
}

func updateCompares(p *probe, s keys.Store) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	other := p.full(keys.KindKey, "b")
	p.insert(s, other)
	r = p.updated(s, p.updated(s, r))
	for _, version := range []int64{1, 2, 4, 5, 1 << 40} {
		stale := changed(r)
		stale.Version = version
		p.refused(s.Update(p.ctx, stale), keys.ErrConflict, "Update of version %d of a record that has version 3", version)
		p.same(p.get(s, r.ID), r, "the record after an Update that was refused")
	}
	p.same(p.get(s, other.ID), other, "another record, after Updates of the first")
}

func updateNeedsOrganization(p *probe, s keys.Store) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	r = p.updated(s, r)
	for _, org := range append(alike(r.Org), r.Org+" of others", "x", "%", "_", r.Org[:1]+"%", "*") {
		for _, version := range []int64{r.Version, r.Version - 1, r.Version + 1} {
			foreign := changed(r)
			foreign.Org, foreign.Version = org, version
			p.refused(s.Update(p.ctx, foreign), keys.ErrNotFound,
				"Update of version %d, which is %d, by organization %s, which it does not belong to,", version, r.Version, quote(org))
			p.same(p.get(s, r.ID), r, "the record after an Update by another organization")
		}
	}
}

func updateNotFound(p *probe, s keys.Store) {
	there := p.full(keys.KindKey, "There")
	p.insert(s, there)
	r := p.full(keys.KindKey, "nobody")
	for _, id := range append(alike(there.ID), r.ID, "%", "_", there.ID[:3]+"%", "*") {
		r.ID = id
		for _, version := range []int64{1, 2} {
			r.Version = version
			p.refused(s.Update(p.ctx, r), keys.ErrNotFound, "Update of the ID %s, which was never inserted,", quote(id))
			p.absent(s, r.ID)
			p.same(p.get(s, there.ID), there, "another record after an Update of the ID "+quote(id)+", which no record has,")
		}
	}
}

// alike returns texts that are nearly the given one, which begins with a small
// letter.
func alike(text string) []string {
	return []string{
		strings.ToUpper(text), strings.ToUpper(text[:1]) + text[1:], text + " ", " " + text, text + "\t",
		text[:len(text)-1], text + text[len(text)-1:], strings.ReplaceAll(text, "e", "\u00e9"), strings.ReplaceAll(text, "e", "e\u0301"),
	}
}

func updateChangesOne(p *probe, s keys.Store) {
	r := p.full(keys.KindClient, "Client")
	var others []keys.Record
	add := func(kind keys.Kind, id string, change func(*keys.Record)) {
		o := p.full(kind, id)
		o.ID = id
		if change != nil {
			change(&o)
		}
		others = append(others, o)
	}
	for _, id := range alike(r.ID) {
		add(keys.KindClient, id, nil)
	}
	add(keys.KindClient, r.ID+" of others", func(o *keys.Record) { o.Org += " of others" })
	add(keys.KindToken, p.clause+".child", func(o *keys.Record) { o.Parent = r.ID })
	add(keys.KindKey, p.clause+".made", func(o *keys.Record) { o.CreatedBy = r.ID })
	add(keys.KindKey, p.clause+".after", func(o *keys.Record) { o.Replaces = r.ID })
	add(keys.KindKey, p.clause+".before", func(o *keys.Record) { o.ReplacedBy = r.ID })
	add(keys.KindClient, p.clause+".twin", func(o *keys.Record) { *o = r; o.ID = p.clause + ".twin" })
	p.insert(s, others...)
	p.insert(s, r)
	check := func(when string) {
		for _, o := range others {
			p.same(p.get(s, o.ID), o, "another record, "+quote(o.ID)+", after "+when)
		}
	}
	r = p.updated(s, changed(r))
	check("an Update")
	r.RevokedAt = revoked
	p.update(s, r)
	check("an Update that revoked a record")
}

func updateValidates(p *probe, s keys.Store) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	for what, bad := range invalid(changed(r)) {
		p.invalidRefused(s.Update(p.ctx, bad), bad, "Update", what)
		p.same(p.get(s, r.ID), r, "the record after an Update with "+what)
	}
	for what, bad := range unnamed(changed(r)) {
		p.invalidRefused(s.Update(p.ctx, bad), bad, "Update", what)
		p.same(p.get(s, r.ID), r, "the record after an Update with "+what)
	}
}
