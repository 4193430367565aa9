package keys

import (
	"context"
	"time"
)

// A Store keeps records. Hosts choose one, such as the one in memory of package store
// or one for a database below it, or write one. Package store/storetest checks a store
// against the rules below, and names the rule that is broken.
//
// # What is kept
//
// These are the fields of a [Record], and the longest values that [Record.Validate]
// lets through. Lengths are in bytes of UTF-8, which never holds a NUL.
//
//	field              as a column            longest           may be empty
//	ID                 text                   255               no
//	Kind               text                   6                 no
//	Org                text                   255               no
//	Parent             text                   255               yes
//	Label              text                   1,024             yes
//	Scopes             text, Set.String       16,384            yes
//	RateLimit          integer                1,000,000,000     0
//	TokenLifetime      milliseconds           315,360,000,000   0
//	Environment        text                   16                yes
//	Networks           text, Networks.String  4,399             yes
//	Metadata           text                   4,096             yes
//	CreatedBy          text                   255               yes
//	Replaces           text                   255               yes
//	ReplacedBy         text                   255               yes
//	Digest             text, Digest.Text      255               no
//	Previous           text, Digest.Text      255               yes
//	PreviousExpiresAt  Unix milliseconds      253,402,300,799,999  yes (the zero Time)
//	CreatedAt          Unix milliseconds      253,402,300,799,999  no
//	ExpiresAt          Unix milliseconds      253,402,300,799,999  yes (the zero Time)
//	RevokedAt          Unix milliseconds      253,402,300,799,999  yes (the zero Time)
//	DisabledAt         Unix milliseconds      253,402,300,799,999  yes (the zero Time)
//	Version            integer                2^63-2            no
//
// Times may be as early as 1970, whose first instant, 0 milliseconds, is not the
// zero Time. All text is compared byte by byte, so that "a" and "A" and "a " are
// three IDs. A store that keeps columns keeps [Record.FormatNumber] as one more
// of them, and refuses to read a record with a number above [RecordFormat], with
// an error that wraps ErrCorrupt. A store that keeps a record as one text uses
// its JSON, which does that by itself, in a column that holds 140,000 bytes.
//
// # Rules for all methods
//
//   - A Store is safe for concurrent use. Each method is atomic, and takes
//     effect before it returns: a Get, on any node, that starts after an
//     Update has returned sees what it wrote.
//   - Records go in and come out as values, with every field as it was: times
//     as the same instants, text byte for byte.
//   - A context that has ended fails the call with an error, and nothing is
//     written. A context that ends while a call runs makes it return soon; then
//     the write is done in full or not at all. The library gives every call a
//     context that ends: see [Options.Timeout].
//   - Errors wrap the errors named here or those of the database. Errors of
//     the database are never turned into ErrNotFound: a store that cannot
//     answer must not say that a credential does not exist.
type Store interface {
	// Insert adds r. It returns an error that wraps ErrExists, and changes
	// nothing, if the ID was ever used, by whatever organization or kind, and
	// even if that record is revoked or expired. It returns the error of
	// r.Validate, and adds nothing, if that is not nil.
	Insert(ctx context.Context, r Record) error

	// Get returns the record with the given ID, even if it is revoked or expired,
	// and its parent: the record whose ID is in the field Parent. The parent is
	// the zero Record if that field is empty or no record has that ID. Both are at
	// least as new as the call. The error wraps ErrNotFound if no record has the
	// ID, as for every text that PossibleID refuses.
	Get(ctx context.Context, id string) (rec, parent Record, err error)

	// Update replaces the record that has the ID and the organization of r by what
	// Next returns for the two. Nobody else may write between the reading and the
	// writing. If Next returns an error, Update changes nothing and returns it. It
	// returns an error that wraps ErrNotFound if no record has the ID and the
	// organization, but first the error of r.Validate if that is not nil.
	Update(ctx context.Context, r Record) error

	// List returns the records that q asks for, in ascending byte order of
	// their IDs, as they are at one moment. It returns the error of q.Validate
	// if that is not nil. Records that are there through a whole walk over the
	// pages are seen exactly once, whatever is inserted meanwhile.
	List(ctx context.Context, q Query) ([]Record, error)

	// Sweep removes up to limit records that are Sweepable before the given
	// time, and returns how many it removed. That is fewer than limit only if there
	// are no more. Keys and clients stay forever, so that their IDs are never
	// used again; the ID of a token that was removed need not be remembered. A
	// limit below 1 is refused with an error that wraps ErrInvalid.
	Sweep(ctx context.Context, before time.Time, limit int) (int, error)
}

// A Query selects records for [Store.List].
type Query struct {
	Org   string // required
	Kind  Kind   // required
	After string // only IDs after this one, in byte order; "" for all
	Limit int    // the largest number of records, at least 1

	// Live leaves out revoked records. A page still has Limit records if there are
	// as many, however many revoked ones lie between them. So a store needs an
	// index, by which it does not read the records that it leaves out.
	Live bool
}

// Validate returns nil if q can be answered, and else an [*InvalidError].
func (q Query) Validate() error {
	switch {
	case !possibleOrg(q.Org):
		return &InvalidError{FieldOrg, "is not 1 to 255 bytes of valid text"}
	case q.Kind != KindKey && q.Kind != KindClient && q.Kind != KindToken:
		return &InvalidError{FieldKind, "is unknown"}
	case !storable(q.After):
		return &InvalidError{FieldCursor, "is not valid text"}
	case q.Limit < 1:
		return &InvalidError{FieldLimit, "is less than 1"}
	}
	return nil
}

// selects reports whether r matches q, apart from the limit.
func (q *Query) selects(r *Record) bool {
	return r.Org == q.Org && r.Kind == q.Kind && r.ID > q.After && !(q.Live && r.Revoked())
}

// A UseStore is a [Store] that keeps when credentials were last used, for
// [Uses]. It is optional. Uses are kept apart from records: noting one changes
// nothing of a record, its version included.
type UseStore interface {
	// NoteUses notes, for each ID, that the credential was used at a time between
	// 1970 and 9999. Parts of a millisecond are cut off. The later of two times
	// stays, whatever the order in which they are noted. IDs that no record has
	// are ignored. When Sweep removes a token, it removes the token's use too.
	NoteUses(ctx context.Context, uses map[string]time.Time) error

	// LastUses returns when the credentials with the given IDs were last used.
	// IDs without a noted use are absent. The caller may change the map.
	LastUses(ctx context.Context, ids []string) (map[string]time.Time, error)
}

// A CountStore is a [Store] that counts records without reading them. It is optional:
// without it, [Manager.Count] reads lists, and so does an [Actor] to find out whether
// an organization has as many credentials as it may have.
type CountStore interface {
	// Count returns how many records of an organization and a kind are
	// neither revoked nor expired at the time now. It need not count further than
	// to the number most. It returns the error of Validate of a Query with this Org
	// and Kind and the Limit most, if that is not nil.
	Count(ctx context.Context, org string, kind Kind, now time.Time, most int) (int, error)
}

// An OrgStore is a [Store] that can list organizations, for operators. It is
// optional.
type OrgStore interface {
	// Orgs returns the organizations that have a record, in ascending byte
	// order of their names, from the first that comes after the given one:
	// at most limit, which is at least 1.
	Orgs(ctx context.Context, after string, limit int) ([]string, error)
}

// A BatchStore is a [Store] that can make one transaction of many calls. It is
// optional, and makes imports faster: see [Manager.ImportAll].
type BatchStore interface {
	// Batch calls f with a context that marks the calls which belong together. f
	// calls only Insert with that context, one call at a time. What these calls
	// write is in the store when Batch returns nil, and nobody sees it before. If
	// Batch returns an error, that of f or one of the database, nothing was
	// written. Insert returns the same errors as outside of a batch. After
	// ErrExists and ErrInvalid the batch goes on; after another error f returns.
	// If the database undid what f did, as it does to end a deadlock, Batch may
	// call f again.
	Batch(ctx context.Context, f func(ctx context.Context) error) error
}

// A localStore is a Store in the memory of the process whose records, once
// written, never change: an update puts a new record in the place of the old one. A
// Verifier reads such records in place, without a copy for each check.
type localStore interface {
	// Local returns the store itself, and a function that looks up an ID as Get
	// does. The function never waits, and returns nil if no record has the ID.
	// Nobody may change the record that it returns.
	//
	// A struct that embeds a localStore has this method too, although it may have
	// a Get of its own. So the function is used only if self is the store that the
	// host gave to the Verifier.
	Local() (self Store, view func(id string) *Record)
}

// localView returns the function that reads records of store in place, or nil.
func localView(store Store) (view func(id string) *Record) {
	local, ok := store.(localStore)
	if !ok {
		return nil
	}
	if self, view := local.Local(); self == store {
		return view
	}
	return nil
}
