package storetest

import (
	"context"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// A familyStore is what the clauses of [keys.FamilyStore] are about.
type familyStore interface {
	keys.Store
	keys.FamilyStore
}

func familyRule(name, doc string, check func(*probe, familyStore), needs ...string) clause[keys.Store] {
	return optional("keys.FamilyStore", name, doc, check, needs...)
}

var familyClauses = []clause[keys.Store]{
	familyRule(getsBoth,
		"GetFamily returns the record and its parent, each with every field as Get returns it. The parent is "+
			"whatever record has the ID; the caller compares kinds and organizations, and knows damage when it sees it.",
		familyGetsBoth, roundTrip, writesAll),
	familyRule("family-without-parent",
		"GetFamily returns the zero Record for the parent, and no error, if the record has no parent, or if "+
			"no record has the parent's ID. An inner join breaks this.",
		familyWithoutParent, getsBoth),
	familyRule("family-includes-dead",
		"GetFamily returns revoked and expired records, and such parents, like others. Callers say why a "+
			"credential is refused, and can tell a parent that was revoked from one that never was.",
		familyIncludesDead, getsBoth, deadStay),
	familyRule("family-not-found",
		"GetFamily of an ID that no record has fails with an error that wraps ErrNotFound, even if "+
			"another record has the ID as its parent.",
		familyNotFound, getsBoth, notFound),
	familyRule("family-hostile-id",
		"Text that no record can have as its ID is not found by GetFamily either. It comes from whoever sends a request.",
		familyHostileID, "family-not-found", hostileID),
	familyRule("family-ids-are-bytes",
		"GetFamily compares IDs byte by byte, the parent's too: one that differs in case or in a trailing space is "+
			"another client's. A collation that ignores such things breaks this where tables are joined.",
		familyIDsAreBytes, "family-without-parent", "family-not-found", idBytes),
	familyRule("family-context-ended",
		"GetFamily"+endedDoc+". A request that ran out of time must not be told that its credential is unknown.",
		familyEnded, "family-not-found", "context-ended-get"),
	familyRule("family-is-fresh",
		"Once an Insert or Update of the record or of its parent has returned, GetFamily sees what it wrote. Tokens of "+
			"a client that was revoked are accepted where the two are kept together and only one is written.",
		familyIsFresh, "family-without-parent", "family-includes-dead", "family-not-found", revokes, increments),
	familyRule("concurrent-families-are-linearizable",
		"GetFamily, among Inserts and Updates of the record and of its parent, returns of each what Get might have "+
			"returned: what was written before the call began, or meanwhile, and nothing that was refused.",
		familyHistories, linearizable, "family-is-fresh"),
}

// family fails unless GetFamily of an ID returns these two records.
func (p *probe) family(s familyStore, id string, rec, parent keys.Record, when string) {
	gotRec, gotParent, err := s.GetFamily(p.ctx, id)
	p.ok(err, "GetFamily of %s, %s,", quote(id), when)
	p.same(gotRec, rec, "the record that GetFamily of "+quote(id)+" returned, "+when+",")
	p.same(gotParent, parent, "the parent that GetFamily of "+quote(id)+" returned, "+when+",")
}

// noFamily fails unless GetFamily does not find an ID.
func (p *probe) noFamily(s familyStore, id string) {
	_, _, err := s.GetFamily(p.ctx, id)
	p.refused(err, keys.ErrNotFound, "GetFamily of %s", quote(id))
}

// tokenOf returns a full token whose parent is the record given.
func (p *probe) tokenOf(parent keys.Record, name string) keys.Record {
	r := p.full(keys.KindToken, name)
	r.Parent = parent.ID
	return r
}

func familyGetsBoth(p *probe, s familyStore) {
	for _, client := range []keys.Record{p.full(keys.KindClient, "full client"), p.sparse(keys.KindClient, "sparse client")} {
		full, sparse := p.tokenOf(client, "full token of "+client.ID), p.sparse(keys.KindToken, "sparse token of "+client.ID)
		sparse.Parent = client.ID
		p.insert(s, full, client, sparse)
		p.family(s, full.ID, full, client, "after Insert")
		p.family(s, sparse.ID, sparse, client, "after Insert")
		p.update(s, changed(full))
		p.update(s, changed(client))
		p.family(s, full.ID, p.get(s, full.ID), p.get(s, client.ID), "after Update of both")
	}
	for _, kind := range kinds {
		parent := p.full(kind, "parent that is a "+string(kind))
		parent.Org += " of others"
		token := p.tokenOf(parent, "token of a "+string(kind))
		p.insert(s, parent, token)
		p.family(s, token.ID, token, parent, "whose parent is a "+string(kind)+" of another organization")
	}
}

func familyWithoutParent(p *probe, s familyStore) {
	for _, kind := range kinds {
		full, sparse := p.full(kind, "full "+string(kind)), p.sparse(kind, "sparse "+string(kind))
		p.insert(s, full, sparse)
		p.family(s, full.ID, full, keys.Record{}, "without a record of a parent")
		p.family(s, sparse.ID, sparse, keys.Record{}, "without a record of a parent")
	}
}

func familyIncludesDead(p *probe, s familyStore) {
	clients := append(p.dead(keys.KindClient), p.full(keys.KindClient, "alive"))
	p.insert(s, clients...)
	for _, client := range clients {
		for _, token := range append(p.dead(keys.KindToken), p.full(keys.KindToken, "alive")) {
			token.ID += " of " + client.ID
			token.Parent = client.ID
			p.insert(s, token)
			p.family(s, token.ID, token, client, "one or both of which are dead")
		}
	}
}

func familyNotFound(p *probe, s familyStore) {
	orphan := p.full(keys.KindToken, "orphan")
	client := p.full(keys.KindClient, "client")
	p.insert(s, orphan, client, p.tokenOf(client, "token"))
	for _, id := range []string{p.clause + ".nobody", "oauth_0123456789abcdef01234567", orphan.Parent} {
		p.noFamily(s, id)
	}
}

func familyHostileID(p *probe, s familyStore) {
	client := p.full(keys.KindClient, "a")
	p.insert(s, client, p.tokenOf(client, "b"))
	for _, id := range p.junk() {
		p.noFamily(s, id)
	}
}

func familyIDsAreBytes(p *probe, s familyStore) {
	client := p.full(keys.KindClient, "Client")
	token := p.tokenOf(client, "Token")
	p.insert(s, client, token)
	for i, alike := range []func(string) string{
		strings.ToLower,
		strings.ToUpper,
		func(id string) string { return id + " " },
		func(id string) string { return strings.ReplaceAll(id, "e", "\u00e9") },
		func(id string) string { return strings.ReplaceAll(id, "e", "e\u0301") },
	} {
		p.noFamily(s, alike(token.ID))
		stray := p.tokenOf(client, show(i))
		stray.Parent = alike(client.ID)
		p.insert(s, stray)
		p.family(s, stray.ID, stray, keys.Record{}, "whose parent has nearly the ID "+quote(client.ID))
	}
	p.family(s, token.ID, token, client, "among IDs that are nearly theirs")
}

func familyEnded(p *probe, s familyStore) {
	client := p.full(keys.KindClient, "client")
	token := p.tokenOf(client, "token")
	p.insert(s, client, token)
	for _, id := range []string{token.ID, client.ID, p.clause + ".nobody"} {
		p.ended("GetFamily", func(ctx context.Context) error {
			_, _, err := s.GetFamily(ctx, id)
			return err
		})
	}
}

func familyIsFresh(p *probe, s familyStore) {
	client := p.full(keys.KindClient, "client")
	token := p.tokenOf(client, "token")
	p.insert(s, token)
	p.family(s, token.ID, token, keys.Record{}, "before its parent was inserted")
	p.insert(s, client)
	p.family(s, token.ID, token, client, "after its parent was inserted")
	token = p.updated(s, changed(token))
	p.family(s, token.ID, token, client, "after it was updated")
	client = p.updated(s, changed(client))
	p.family(s, token.ID, token, client, "after its parent was updated")
	client.RevokedAt = revoked
	client = p.updated(s, client)
	p.family(s, token.ID, token, client, "after its parent was revoked")
	token.RevokedAt = revoked
	token = p.updated(s, token)
	p.family(s, token.ID, token, client, "after it was revoked")
}
