package storetest

import (
	"slices"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// recordClauses are the clauses of [keys.Store] and of the optional interfaces. Each
// says in other words what a comment of these interfaces says; the two must agree.
var recordClauses = slices.Concat(
	firstClauses,
	freshClauses,
	insertClauses,
	getClauses,
	updateClauses,
	revocationClauses,
	parentClauses,
	listClauses,
	extremeClauses,
	sweepClauses,
	liveClauses,
	contextClauses,
	concurrencyClauses,
	crowdClauses,
	historyClauses,
	useClauses,
	countClauses,
	orgClauses,
	batchClauses,
	trailClauses,
	secondClauses,
	feedClauses,
	secondTrailClauses,
	breakClauses,
)

// firstClauses are the clauses that nearly all others build on.
var firstClauses = []clause[keys.Store]{
	rule(roundTrip,
		"A record that was inserted comes back from Get with every field as it was: fields that are set, "+
			"fields that are not, and times as the same instants. No record needs another one to be there: an inner "+
			"join of tokens with their clients breaks this.",
		insertGetRoundTrip),
	rule(notFound,
		"Get of an ID that no record has fails with an error that wraps ErrNotFound. Callers answer 401 then, "+
			"and 503 to all other errors.",
		getNotFound),
}

// optional makes a clause of an optional interface. S is that interface together with
// keys.Store, and of is its name.
func optional[S keys.Store](of, name, doc string, check func(*probe, S), needs ...string) clause[keys.Store] {
	c := rule(name, doc, func(p *probe, s keys.Store) { check(p, s.(S)) }, needs...)
	c.Optional = of
	c.is = has[S]
	return c
}

// has reports whether s has the methods of S. A [Faults] has most of them in any case, so
// the store within must have them too.
func has[S keys.Store](s keys.Store) bool {
	_, ok := s.(S)
	if f, wrapped := s.(interface{ within() store.Store }); wrapped && ok {
		_, ok = f.within().(S)
	}
	return ok
}

// Names of the clauses that others build on.
const (
	roundTrip      = "insert-get-round-trip"
	deadStay       = "dead-records-stay"
	afterDeath     = "insert-after-revoke-or-expiry"
	notFound       = "get-not-found"
	seesInserts    = "get-sees-inserts"
	seesUpdates    = "get-sees-updates"
	longestKept    = "longest-values-are-kept"
	neverOverwrite = "insert-never-overwrites"
	writesAll      = "update-writes-all-fields"
	keepsIdentity  = "update-keeps-identity"
	increments     = "update-increments-the-version"
	reaches        = "update-changes-one-record"
	compares       = "update-compares-versions"
	clears         = "update-clears-fields"
	revokes        = "revocation-is-written"
	revokedChange  = "revoked-records-can-be-updated"
	caseSensitive  = "ids-are-case-sensitive"
	textKept       = "text-is-kept"
	idBytes        = "ids-are-bytes"
	lists          = "list-returns-whole-records"
	listsNothing   = "list-of-nothing-is-empty"
	listsDead      = "list-includes-dead"
	listLimit      = "list-keeps-the-limit"
	isolatesOrgs   = "list-isolates-organizations"
	isolatesKinds  = "list-isolates-kinds"
	listFresh      = "list-sees-writes"
	live           = "list-live"
	ordered        = "list-is-ordered-bytewise"
	sweeps         = "sweep-removes-dead-tokens"
	sweepsDead     = "sweep-only-dead-tokens"
	sweepFollows   = "sweep-follows-updates"
	concurrent     = "concurrent-calls-do-not-fail"
	oneUpdateWins  = "concurrent-update-one-wins"
	linearizable   = "concurrent-histories-are-linearizable"
	hostileID      = "get-hostile-id"
	getsParent     = "get-gives-the-parent"
	withoutParent  = "get-without-parent"
	parentFresh    = "get-parent-is-fresh"
	usesRoundTrip  = "uses-round-trip"
	countsLiving   = "count-counts-the-living"
	listsOrgs      = "orgs-are-listed"
	secondFresh    = "second-handle-sees-writes"
	inTime         = "broken-database-returns-in-time"
	noAnswer       = "broken-database-is-no-answer"
	passesOver     = "uses-unknown-ids-passed-over"
)
