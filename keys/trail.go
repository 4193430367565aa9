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
// A [Manager] with [Options].Trail hands the entry of a change to the store in the
// context of Insert and Update. The store asks for it with [EntryFor], and writes it
// in the same transaction as the record: both are there or neither is. If the
// context has no entry for the record, none is written. If the entry cannot be
// written, the call fails, and the record is as it was. The position, the chain and
// the hashes of an entry are the store's to set: see [Entry.Follow].
//
// An entry that was changed in the database by others, and cannot be read any
// more, comes back as far as it can be read, with the zero Hash. It hides no other
// entry.
type TrailStore interface {
	// AddEntry adds an entry that belongs to no change, such as one about
	// refusals. It returns the error of e.Validate, and adds nothing, if that is
	// not nil.
	AddEntry(ctx context.Context, e Entry) error

	// Chains returns all chains that the organization has or may have, always the
	// same ones and in the same order. For a chain without entries the links are
	// zero.
	Chains(ctx context.Context, org string) ([]Chain, error)

	// Entries returns the entries of a chain whose positions come after the given
	// one, in ascending order, at most limit, which is at least 1. There are none
	// in a chain that is not one of the organization's.
	Entries(ctx context.Context, org, chain string, after int64, limit int) ([]Entry, error)

	// CutEntries removes the entries of a chain up to a position, that one
	// included, and notes its link as Cut, in one transaction. The last entry may
	// be cut too. Positions that were cut before are no error. It fails with an
	// error that wraps ErrNotFound, and changes nothing, if no entry has the
	// position.
	CutEntries(ctx context.Context, org, chain string, upTo int64) error
}

// A Chain is what a [TrailStore] says of one of its chains.
type Chain struct {
	Name string // "" in stores with one chain for each organization
	Cut  Link   // the last entry that was cut; zero if none was
	Last Link   // the last entry that was written
}

// An entryKey is the key of a *Entry among the values of a context.
type entryKey struct{}

// NewEntryContext returns a context with the entry of a change, for [EntryFor]. A
// [Manager] makes such contexts; nobody else needs to, but in tests of stores.
func NewEntryContext(ctx context.Context, e Entry) context.Context {
	return context.WithValue(ctx, entryKey{}, &e)
}

// EntryFor returns the entry that ctx carries for a write of r, and whether there
// is one. It is for stores: see [TrailStore]. An entry of another record is none.
func EntryFor(ctx context.Context, r *Record) (Entry, bool) {
	e, ok := ctx.Value(entryKey{}).(*Entry)
	if !ok || e.ID != r.ID || e.Org != r.Org {
		return Entry{}, false
	}
	return *e, true
}

// AddressKey is the key of the address of a request, a [netip.Addr], among the
// values of a context. A guard of package middleware answers it. Others use
// [NewAddressContext].
var AddressKey = &contextKey{"address"}

// NewAddressContext returns a context that carries the address of the request, as it
// stands in the trail. Behind a guard of package middleware it is there already.
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

// actorOf returns who acts: whoever a manager was told of, or else the principal
// that the host put into the context. What an entry cannot hold is left out: the
// name of a session must not keep anybody from revoking a key.
func actorOf(ctx context.Context) string {
	actor, told := ctx.Value(actorKey{}).(string)
	if p, ok := ctx.Value(PrincipalKey).(*Principal); ok && p != nil && !told {
		actor = p.name()
	}
	return possibleActor(actor)
}

// possibleActor returns the name of an actor, without what an entry cannot hold.
func possibleActor(name string) string {
	name = strings.ReplaceAll(strings.ToValidUTF8(name, ""), "\x00", "")
	return strings.ToValidUTF8(name[:min(len(name), MaxID)], "")
}

// takingBack returns a context for taking an earlier change back.
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

// updating returns the context for the Update of a record, which was read as old.
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

// entryOf returns an entry with what all entries about a record have.
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

// actionOf returns what a change is.
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

// changedFields returns the names of the fields in which two records differ, of
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
