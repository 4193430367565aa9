package storetest

import (
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

var parentClauses = []clause[keys.Store]{
	rule(getsParent,
		"Get returns the record and its parent, each with every field. The parent is whatever record has the ID; "+
			"the caller compares kinds and organizations, and knows damage when it sees it.",
		getGivesParent, roundTrip, writesAll),
	rule(withoutParent,
		"Get returns the zero Record for the parent, and no error, if the record has no parent, or if "+
			"no record has the parent's ID. An inner join breaks this.",
		getWithoutParent, getsParent),
	rule("get-parent-includes-dead",
		"Get returns revoked and expired parents like others, and the parents of dead records. Callers say why a "+
			"credential is refused, and can tell a parent that was revoked from one that never was.",
		getOfDead, getsParent, deadStay),
	rule("get-parent-ids-are-bytes",
		"The parent is looked for byte by byte: an ID that differs in case or in a trailing space is "+
			"another client's. A collation that ignores such things breaks this where tables are joined.",
		parentIDsAreBytes, withoutParent, idBytes),
	rule(reaches,
		"Update changes the record with its ID and no other: none of the organization, none whose ID begins alike or differs in case "+
			"or a space, and none that has the ID as its parent, its maker or its successor.",
		updateChangesOne, revokes, increments, "update-not-found", getsParent),
	rule(parentFresh,
		"Once an Insert or Update of the record or of its parent has returned, Get sees what it wrote. Tokens of "+
			"a client that was revoked are accepted where the two are kept together and only one is written.",
		parentIsFresh, withoutParent, "get-parent-includes-dead", reaches, seesInserts),
}

// family fails unless Get of an ID returns these two records.
func (p *probe) family(s keys.Store, id string, rec, parent keys.Record, when string) {
	gotRec, gotParent, err := s.Get(p.ctx, id)
	p.ok(err, "Get of %s, %s,", quote(id), when)
	p.same(gotRec, rec, "the record that Get of "+quote(id)+" returned, "+when+",")
	p.same(gotParent, parent, "the parent that Get of "+quote(id)+" returned, "+when+",")
}

// tokenOf returns a full token whose parent is the record given.
func (p *probe) tokenOf(parent keys.Record, name string) keys.Record {
	r := p.full(keys.KindToken, name)
	r.Parent = parent.ID
	return r
}

func getGivesParent(p *probe, s keys.Store) {
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

func getWithoutParent(p *probe, s keys.Store) {
	for _, kind := range kinds {
		full, sparse := p.full(kind, "full "+string(kind)), p.sparse(kind, "sparse "+string(kind))
		p.insert(s, full, sparse)
		p.family(s, full.ID, full, keys.Record{}, "without a record of a parent")
		p.family(s, sparse.ID, sparse, keys.Record{}, "without a record of a parent")
	}
}

func getOfDead(p *probe, s keys.Store) {
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

func parentIDsAreBytes(p *probe, s keys.Store) {
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
		p.absent(s, alike(token.ID))
		stray := p.tokenOf(client, show(i))
		stray.Parent = alike(client.ID)
		p.insert(s, stray)
		p.family(s, stray.ID, stray, keys.Record{}, "whose parent has nearly the ID "+quote(client.ID))
	}
	p.family(s, token.ID, token, client, "among IDs that are nearly theirs")
}

func parentIsFresh(p *probe, s keys.Store) {
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
