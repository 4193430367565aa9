package keys

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// A TrailStore is a [Store] that keeps a trail: who did what to which credential.
// It is optional. The trail of an organization is one chain of entries or, where
// the database has no transaction that covers all records of an organization, a
// fixed number of chains. Access tokens are not in it.
//
// A [Manager] with the option Trail puts the entry of a change into the context of
// Insert and Update. The store takes it from there with [EntryFor], and writes it in
// the same transaction as the record: either both are written or neither is. If the
// context has no entry for the record, the store writes none. If it cannot write the
// entry, the call fails, and the record is as it was. The store sets the position, the
// chain and the hashes of an entry, see [Entry.Follow]. A store that keeps an entry as
// one text can use its JSON, which holds all of it.
//
// If somebody has changed an entry in the database so that it cannot be read, the
// store returns what it can read of the entry, with the zero Hash, and all other
// entries as they are.
type TrailStore interface {
	// AddEntry adds an entry that belongs to no change, such as one about
	// refusals. If e.Validate returns an error, AddEntry returns it and adds
	// nothing.
	AddEntry(ctx context.Context, e Entry) error

	// Chains returns all chains that the organization has or may have, always the
	// same ones and in the same order. For a chain without entries the links are
	// zero.
	Chains(ctx context.Context, org string) ([]Chain, error)

	// Entries returns the entries of a chain whose positions come after the given
	// one, in ascending order. It returns at most limit entries. A chain that the
	// organization does not have has no entries. If limit is below 1, the error
	// wraps ErrInvalid.
	Entries(ctx context.Context, org, chain string, after int64, limit int) ([]Entry, error)

	// CutEntries removes the entries of a chain up to and including the one at a
	// position, and notes its link as Cut, in one transaction. The last entry may
	// be cut too. It is no error if the position was cut before. If no entry has
	// or had the position, as one below 1, CutEntries changes nothing and returns
	// an error that wraps ErrNotFound.
	CutEntries(ctx context.Context, org, chain string, upTo int64) error
}

// A Chain is what a [TrailStore] says of one of its chains.
type Chain struct {
	Name string // "" in stores with one chain for each organization
	Cut  Link   // the last entry that was cut; zero if none was
	Last Link   // the last entry that was written
}

// An entryKey is the key under which a context has an *Entry.
type entryKey struct{}

// NewEntryContext returns a context with the entry of a change, for [EntryFor]. A
// [Manager] makes such contexts. Others need them only to test stores.
func NewEntryContext(ctx context.Context, e Entry) context.Context {
	return context.WithValue(ctx, entryKey{}, &e)
}

// EntryFor returns the entry that ctx carries for a write of r, and whether there is
// one. It does not return an entry for another record. It is for stores, see
// [TrailStore].
func EntryFor(ctx context.Context, r *Record) (Entry, bool) {
	e, ok := ctx.Value(entryKey{}).(*Entry)
	if !ok || e.ID != r.ID || e.Org != r.Org {
		return Entry{}, false
	}
	return *e, true
}

// AddressKey is the key under which a context has the address of a request, a
// [netip.Addr]. Use [NewAddressContext] and [AddressFromContext]. The key is for
// middleware with a context type of its own, such as package middleware.
var AddressKey = &contextKey{"address"}

// NewAddressContext returns a context that carries the address of a request, for the
// trail. Contexts behind a guard of package middleware have the address already.
func NewAddressContext(ctx context.Context, addr netip.Addr) context.Context {
	return context.WithValue(ctx, AddressKey, addr)
}

// AddressFromContext returns the address of the request that ctx carries, an IPv4
// address in its own form and without a zone, or the zero Addr.
func AddressFromContext(ctx context.Context) netip.Addr {
	addr, _ := ctx.Value(AddressKey).(netip.Addr)
	return addr.Unmap().WithZone("")
}

// Keys of what a manager adds to a context for entries.
type (
	actorKey     struct{} // a string: who acts
	takenBackKey struct{} // true: an earlier change is taken back
)

// by returns a context that names who acts, if there is a trail.
func (s *settings) by(ctx context.Context, actor string) context.Context {
	if !s.trail || actor == "" {
		return ctx
	}
	return context.WithValue(ctx, actorKey{}, actor)
}

// actorOf returns who acts: the actor that by has set, or otherwise the principal that
// the host put into the context. It leaves out what an entry cannot hold, since the
// name of a session must not keep anybody from revoking a key.
func actorOf(ctx context.Context) string {
	actor, told := ctx.Value(actorKey{}).(string)
	if p, ok := ctx.Value(PrincipalKey).(*Principal); ok && p != nil && !told {
		actor = p.name()
	}
	return possibleActor(actor)
}

// possibleActor returns the name of an actor without what an entry cannot hold.
func possibleActor(name string) string {
	name = strings.ReplaceAll(strings.ToValidUTF8(name, ""), "\x00", "")
	return strings.ToValidUTF8(name[:min(len(name), MaxID)], "")
}

// takingBack returns a context for a change that takes an earlier one back.
func takingBack(ctx context.Context) context.Context {
	return context.WithValue(ctx, takenBackKey{}, true)
}

// inserting returns the context for the Insert of a record.
func (s *settings) inserting(ctx context.Context, rec *Record) context.Context {
	if !s.trail || rec.Kind == KindToken {
		return ctx
	}
	e := entryOf(ctx, rec, ActionCreated)
	e.Version, e.Other = rec.Version, rec.Replaces
	if rec.CreatedBy != "" {
		e.Actor = rec.CreatedBy
	}
	return NewEntryContext(ctx, e)
}

// updating returns the context for the Update of a record that was read as old.
func (s *settings) updating(ctx context.Context, old, rec *Record) context.Context {
	if !s.trail || rec.Kind == KindToken {
		return ctx
	}
	e := entryOf(ctx, rec, actionOf(old, rec))
	e.Version, e.Fields = rec.Version+1, changedFields(old, rec)
	if rec.ReplacedBy != old.ReplacedBy {
		e.Other = rec.ReplacedBy
	}
	return NewEntryContext(ctx, e)
}

// entryOf returns an entry with the fields that all entries about a record have.
func entryOf(ctx context.Context, rec *Record, action Action) Entry {
	e := Entry{
		Org: rec.Org, Time: whole(time.Now()), Action: action, ID: rec.ID, Kind: rec.Kind,
		Actor: actorOf(ctx), Address: AddressFromContext(ctx),
	}
	if ctx.Value(takenBackKey{}) != nil {
		e.Reason = ReasonTakenBack
	}
	return e
}

// actionOf returns the action of the change from old to rec.
func actionOf(old, rec *Record) Action {
	switch {
	case rec.Revoked() && !old.Revoked():
		return ActionRevoked
	case rec.ReplacedBy != "" && rec.ReplacedBy != old.ReplacedBy, rec.Kind == KindClient && rec.Digest != old.Digest:
		return ActionRotated
	case rec.Disabled() && !old.Disabled():
		return ActionPaused
	case !rec.Disabled() && old.Disabled():
		return ActionResumed
	}
	return ActionChanged
}

// changedFields returns the names of the fields in which two records differ, among
// those that an update can change.
func changedFields(old, rec *Record) string {
	var names []string
	for _, f := range []struct {
		name    string
		changed bool
	}{
		{"label", old.Label != rec.Label},
		{"scopes", old.Scopes != rec.Scopes},
		{"rate_limit", old.RateLimit != rec.RateLimit},
		{"token_lifetime", old.TokenLifetime != rec.TokenLifetime},
		{"networks", old.Networks != rec.Networks},
		{"metadata", old.Metadata != rec.Metadata},
		{"replaced_by", old.ReplacedBy != rec.ReplacedBy},
		{"digest", old.Digest != rec.Digest},
		{"previous", old.Previous != rec.Previous || !old.PreviousExpiresAt.Equal(rec.PreviousExpiresAt)},
		{"expires_at", !old.ExpiresAt.Equal(rec.ExpiresAt)},
		{"revoked_at", !old.RevokedAt.Equal(rec.RevokedAt)},
		{"disabled_at", !old.DisabledAt.Equal(rec.DisabledAt)},
	} {
		if f.changed {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, " ")
}
