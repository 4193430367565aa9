package keys

import (
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/claviger-auth/claviger/scopes"
)

// A Kind is a kind of credential.
type Kind string

const (
	// KindKey is an API key: made once, valid until it expires or is revoked.
	KindKey Kind = "key"
	// KindClient is an OAuth 2.0 client (RFC 6749 §2). Its secret can only be
	// used to get tokens.
	KindClient Kind = "client"
	// KindToken is an OAuth 2.0 access token (RFC 6749 §1.4). Its parent is
	// the client that it was issued to.
	KindToken Kind = "token"
)

// A Record is what a store keeps of one credential. It holds no secret.
//
// Records are plain values: copying one copies all of it, and two can be
// compared. Times are in UTC and whole milliseconds; the zero time means never.
// The comment on [Store] has a table of the fields, with their longest values.
type Record struct {
	// ID is the public identifier, unique among all records of all kinds and
	// organizations, forever. Stores compare IDs byte by byte.
	ID   string
	Kind Kind
	// Org is the organization that owns the credential.
	Org string
	// Parent is the ID of a token's client, and empty for the other kinds. A
	// record with a parent is alive only while its parent is, and its scopes
	// and limit are never wider than its parent's at the time of a check.
	Parent string
	// Label is text for people, at most [MaxLabel] characters.
	Label  string
	Scopes scopes.Set
	// RateLimit is in requests per minute. 0 stands for the figure of the plan of
	// the organization, see [Options.Plan]. All credentials of an organization draw
	// on one minute, unless the host says otherwise: whoever makes as many requests as
	// the limit allows, however low it is, uses it up for the others too.
	RateLimit int
	// TokenLifetime is how long tokens of a client live: whole milliseconds,
	// 0 for the server's default, and 0 for the other kinds.
	TokenLifetime time.Duration

	// Environment is the environment of a key or a client, such as "test", and
	// empty if the host has none. A token has its client's.
	Environment string
	// Networks are the networks from which the credential may be used. The empty
	// set allows every address. A token has its client's.
	Networks Networks
	// Metadata is the host's own text, at most [MaxMetadata] bytes. Package
	// keyshttp keeps a JSON object there.
	Metadata string
	// CreatedBy says who made the credential: the ID of another credential, or
	// the host's name for an actor, which has a colon in it ("host:bootstrap").
	// It is empty if nobody said.
	CreatedBy string
	// Replaces is the ID of the key that this key replaces after a rotation.
	// ReplacedBy is the ID of the key that replaces this one.
	Replaces   string
	ReplacedBy string

	// Digest is the digest of the secret. Previous is the digest of the secret
	// before it, which is good until PreviousExpiresAt. Previous and that time are
	// zero if there is no such secret.
	Digest            Digest
	Previous          Digest
	PreviousExpiresAt time.Time

	CreatedAt  time.Time
	ExpiresAt  time.Time // the first instant at which the credential is no longer good
	RevokedAt  time.Time // once set, never cleared nor moved later
	DisabledAt time.Time // set while the credential is paused

	// Version counts the writes: 1 when the record is inserted. See
	// [Store.Update].
	Version int64
}

// Bounds on the fields of a record.
const (
	MaxID            = 255                              // bytes of an ID, a Parent, a CreatedBy, …
	MaxOrg           = 255                              // bytes
	MaxLabel         = 256                              // characters, and so at most 1,024 bytes
	MaxScopes        = 16 << 10                         // bytes of [scopes.Set.String]
	MaxRateLimit     = 1_000_000_000                    // requests per minute
	MaxEnvironment   = 16                               // bytes, each a lower-case letter or a digit
	MaxNetworks      = 100                              // networks, and so at most [MaxNetworksText] bytes
	MaxNetworksText  = MaxNetworks*(maxPrefixLen+1) - 1 // bytes of [Networks.String]
	MaxMetadata      = 4096                             // bytes
	MaxDigest        = 255                              // bytes of [Digest.Text]
	MaxTokenLifetime = 10 * 365 * 24 * time.Hour
)

// RecordFormat is the newest format of records that this version of the package
// reads. A store that keeps the fields of a record as columns keeps
// [Record.FormatNumber] in one more column. It refuses a record whose number is above
// RecordFormat, with [ErrCorrupt]. Otherwise a process of an older release would read
// a part of a record, and write it back without the rest.
const RecordFormat = 1

// FormatNumber returns the lowest format that has room for all of r, from 1 to
// [RecordFormat].
func (r *Record) FormatNumber() int { return 1 }

// PossibleID reports whether a record can have the given ID: 1 to [MaxID] bytes
// of valid UTF-8 without NUL. A store answers [ErrNotFound] for other text,
// and need not ask its database.
func PossibleID(id string) bool { return id != "" && len(id) <= MaxID && storable(id) }

// Validate returns nil if every field of r is within the bounds that stores rely on,
// and otherwise an [*InvalidError] for the first that is not. Text must be valid
// UTF-8 without NUL; times must be in whole milliseconds between 1970 and 9999.
func (r *Record) Validate() error {
	switch {
	case r.Kind != KindKey && r.Kind != KindClient && r.Kind != KindToken:
		return &InvalidError{FieldKind, "is unknown"}
	case !PossibleID(r.ID):
		return &InvalidError{FieldID, "is not 1 to 255 bytes of valid text"}
	case !possibleOrg(r.Org):
		return &InvalidError{FieldOrg, "is not 1 to 255 bytes of valid text"}
	case (r.Parent != "") != (r.Kind == KindToken) || len(r.Parent) > MaxID || !storable(r.Parent):
		return &InvalidError{FieldParent, "does not fit the kind"}
	case len(r.Label) > MaxLabel && utf8.RuneCountInString(r.Label) > MaxLabel || !storable(r.Label):
		return &InvalidError{FieldLabel, "is not at most 256 characters of valid text"}
	case len(r.Scopes.String()) > MaxScopes:
		return &InvalidError{FieldScopes, "are longer than 16,384 bytes"}
	case r.RateLimit < 0 || r.RateLimit > MaxRateLimit:
		return &InvalidError{FieldRateLimit, "is not from 0 to a billion requests per minute"}
	case r.TokenLifetime < 0 || r.TokenLifetime > MaxTokenLifetime || r.TokenLifetime%time.Millisecond != 0 ||
		r.TokenLifetime > 0 && r.Kind != KindClient:
		return &InvalidError{FieldTokenLifetime, "is negative, above ten years, not in milliseconds, or not a client's"}
	case r.Digest.IsZero():
		return &InvalidError{FieldDigest, "is missing"}
	case r.Previous.IsZero() != r.PreviousExpiresAt.IsZero():
		return &InvalidError{FieldPrevious, "lacks its end, or the end its digest"}
	case r.CreatedAt.IsZero():
		return &InvalidError{FieldTime, "of creation is missing"}
	case !keepable(r.CreatedAt) || !keepable(r.ExpiresAt) || !keepable(r.RevokedAt) || !keepable(r.DisabledAt) || !keepable(r.PreviousExpiresAt):
		return &InvalidError{FieldTime, "is not in whole milliseconds between 1970 and 9999"}
	case r.Version < 1 || r.Version == math.MaxInt64:
		return &InvalidError{FieldVersion, "is less than 1, or the last number that there is"}
	}
	if r.Kind == KindToken {
		return r.validateToken()
	}
	return r.validateLasting()
}

// validateToken is Validate for the fields that a token has from its client. They must
// be empty in the token's own record, since nobody reads them there.
func (r *Record) validateToken() error {
	if r.Environment != "" || r.Networks != (Networks{}) || r.Metadata != "" || r.CreatedBy != "" ||
		r.Replaces != "" || r.ReplacedBy != "" || !r.DisabledAt.IsZero() {
		return &InvalidError{FieldKind, "is that of a token, which has no field that belongs to its client"}
	}
	return nil
}

// validateLasting is Validate for the fields that only keys and clients have.
func (r *Record) validateLasting() error {
	switch {
	case r.Environment != "" && !validEnvironment(r.Environment):
		return &InvalidError{FieldEnvironment, "is not 1 to 16 lower-case letters or digits"}
	case r.Networks.Len() > MaxNetworks:
		return &InvalidError{FieldNetworks, "are more than 100"}
	case len(r.Metadata) > MaxMetadata || !storable(r.Metadata):
		return &InvalidError{FieldMetadata, "is not at most 4,096 bytes of valid text"}
	case len(r.CreatedBy) > MaxID || !storable(r.CreatedBy):
		return &InvalidError{FieldCreatedBy, "is not at most 255 bytes of valid text"}
	case len(r.Replaces) > MaxID || !storable(r.Replaces) || len(r.ReplacedBy) > MaxID || !storable(r.ReplacedBy):
		return &InvalidError{FieldReplaces, "is not at most 255 bytes of valid text"}
	}
	return nil
}

func possibleOrg(org string) bool { return org != "" && len(org) <= MaxOrg && storable(org) }

func validEnvironment(env string) bool {
	return env != "" && len(env) <= MaxEnvironment && alnum.only(env) && strings.ToLower(env) == env
}

// lastSecond is the last second of the year 9999, as Unix time.
const lastSecond = 253402300799

// keepable reports whether every database can hold t as it is. It compares seconds,
// since computing a calendar year takes longer than all other checks of a record.
func keepable(t time.Time) bool {
	return t.IsZero() || t.Nanosecond()%int(time.Millisecond) == 0 && uint64(t.Unix()) <= lastSecond
}

// storable reports whether every database can hold text as it is.
func storable(text string) bool {
	for i := range len(text) {
		if c := text[i]; c == 0 || c >= utf8.RuneSelf {
			return storableUnicode(text[i:])
		}
	}
	return true
}

// storableUnicode is storable for the rest of a text from its first byte on that is
// NUL or not ASCII. Most texts have no such byte.
func storableUnicode(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// Revoked reports whether r is revoked.
func (r *Record) Revoked() bool { return !r.RevokedAt.IsZero() }

// Disabled reports whether r is paused.
func (r *Record) Disabled() bool { return !r.DisabledAt.IsZero() }

// Ends returns the instant from which r is never good again: when it expires or when
// it was revoked, whichever comes first. The zero time means never.
func (r *Record) Ends() time.Time {
	if r.Revoked() && (r.ExpiresAt.IsZero() || r.RevokedAt.Before(r.ExpiresAt)) {
		return r.RevokedAt
	}
	return r.ExpiresAt
}

// Sweepable reports whether [Store.Sweep] removes r: whether it is a token that
// ended before the given time.
func (r *Record) Sweepable(before time.Time) bool {
	end := r.Ends()
	return r.Kind == KindToken && !end.IsZero() && end.Before(before)
}

// Expired reports whether r has expired at now.
func (r *Record) Expired(now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt)
}

// LogValue returns the ID, the kind and the organization.
func (r Record) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", r.ID), slog.String("kind", string(r.Kind)), slog.String("org", r.Org))
}

// String returns the kind and the ID.
func (r Record) String() string { return string(r.Kind) + " " + strconv.Quote(r.ID) }

// whole returns t in the precision of records.
func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
