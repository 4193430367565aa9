package keys

import (
	"context"
	"time"
)

// A Store keeps records. Hosts choose one (package store has one in memory,
// and store/… for databases) or write one; package store/storetest checks the
// rules below, and each failure of it names the rule that was broken.
//
// Rules for all methods:
//
//   - A Store is safe for concurrent use. Each method is atomic, and takes
//     effect before it returns: a Get, on any node, that starts after an
//     Update has returned sees what it wrote.
//   - Records go in and come out as values, with every field as it was: times
//     as the same instants, text byte for byte. IDs are case-sensitive.
//   - A context that has ended fails the call with an error, and nothing is
//     written. A context that ends while a call runs may fail it; then the
//     write is done in full or not at all.
//   - Errors wrap the errors named here or those of the database. Errors of
//     the database are never turned into ErrNotFound: a store that cannot
//     answer must not say that a credential does not exist.
type Store interface {
	// Insert adds r. It returns an error that wraps ErrExists, and changes
	// nothing, if the ID was ever used, by whatever organization or kind, and
	// even if that record is revoked or expired. It returns the error of
	// r.Validate, and adds nothing, if that is not nil.
	Insert(ctx context.Context, r Record) error

	// Get returns the record with the given ID, revoked and expired ones
	// included, or an error that wraps ErrNotFound. Text that no record can
	// have as its ID is not found.
	Get(ctx context.Context, id string) (Record, error)

	// Update writes r over the record with the same ID and organization, if
	// that record's Version is still r.Version, and stores r.Version+1 as
	// the new one. It returns an error that wraps ErrConflict, and changes
	// nothing, if the version differs, or if the stored record has a
	// RevokedAt that r lacks or has later; ErrNotFound if no record has
	// the ID and the organization; and the error of r.Validate if that is
	// not nil. Kind, Parent and CreatedAt stay as they were inserted: callers
	// pass them as they read them, and what else they pass is not stored. A
	// TokenLifetime that goes with another Kind alone is not stored either, or
	// the call fails with an error that wraps ErrInvalid and changes nothing:
	// what is stored is always valid.
	Update(ctx context.Context, r Record) error

	// List returns the records that q asks for, revoked and expired ones
	// included, in ascending byte order of their IDs. It returns the error of
	// q.Validate if that is not nil. Records that are there through a whole
	// walk over the pages are seen exactly once, whatever is inserted
	// meanwhile.
	List(ctx context.Context, q Query) ([]Record, error)

	// Sweep removes up to limit tokens that were expired or revoked before
	// the given time, and returns how many it removed. Keys and clients stay
	// for ever, so that their IDs are never used again; the ID of a token that
	// was removed need not be remembered. A limit below 1 is refused with an
	// error that wraps ErrInvalid.
	Sweep(ctx context.Context, before time.Time, limit int) (int, error)
}

// A FamilyStore is a [Store] that can read a record and its parent in one round
// trip. It is optional: without it, checking a token takes two.
type FamilyStore interface {
	// GetFamily returns what Get returns, and the record's parent: the zero
	// Record if the record has none, or if no record has the parent's ID.
	GetFamily(ctx context.Context, id string) (rec, parent Record, err error)
}

// A LocalStore is a [Store] in the memory of the process whose records, once
// written, never change: an update puts a new one in the place of the old. A
// [Verifier] reads such records where they are. It is optional: without it,
// each check copies a record.
type LocalStore interface {
	// Local returns the store, and a function that looks up an ID as Get does,
	// waits for nothing, and returns nil if no record has the ID. Nobody may
	// change what it points to.
	//
	// A struct that embeds a LocalStore has this method too, while its Get may
	// be another. So the function counts for the store self alone.
	Local() (self Store, view func(id string) *Record)
}

// A UseStore is a [Store] that keeps when credentials were last used. It is
// optional. Uses are kept apart from records: noting one changes neither a
// record's version nor anything else of it, so it can undo nothing.
type UseStore interface {
	// NoteUses notes, for each ID, that the credential was used at a time. The
	// later of two times stays, whatever the order in which they are noted.
	// Times are in whole milliseconds. IDs that no record has are passed over.
	NoteUses(ctx context.Context, uses map[string]time.Time) error

	// LastUses returns when the credentials with the given IDs were last used.
	// IDs that no use was noted for are absent.
	LastUses(ctx context.Context, ids []string) (map[string]time.Time, error)
}

// A Query selects records for [Store.List].
type Query struct {
	Org   string // required
	Kind  Kind   // required
	After string // only IDs that come after this one, bytewise; "" for all
	Limit int    // at most so many, at least 1
}

// Validate returns nil if q can be answered, and else an [*InvalidError].
func (q Query) Validate() error {
	switch {
	case q.Org == "" || len(q.Org) > MaxOrg || !storable(q.Org):
		return &InvalidError{"organization", "is not 1 to 255 bytes of valid text"}
	case q.Kind != KindKey && q.Kind != KindClient && q.Kind != KindToken:
		return &InvalidError{"kind", "is unknown"}
	case !storable(q.After):
		return &InvalidError{"cursor", "is not valid text"}
	case q.Limit < 1:
		return &InvalidError{"limit", "is less than 1"}
	}
	return nil
}
