package keys

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/claviger-auth/claviger/scopes"
)

// A Kind tells the credentials apart that a [Record] can describe.
type Kind string

const (
	// KindKey is an API key: made once, valid until it expires or is revoked.
	KindKey Kind = "key"
	// KindClient is an OAuth 2.0 client (RFC 6749 §2). Its secret is good
	// for nothing but getting tokens.
	KindClient Kind = "client"
	// KindToken is an OAuth 2.0 access token (RFC 6749 §1.4). Its parent is
	// the client that it was issued to.
	KindToken Kind = "token"
)

// A Record is what a store keeps of one credential. It holds no secret.
//
// Records are plain values: copying one copies all of it. Times are in UTC
// and whole milliseconds; the zero time means never.
type Record struct {
	// ID is the public identifier, unique among all records of all kinds and
	// organizations, for ever. Stores compare IDs byte by byte.
	ID   string
	Kind Kind
	// Org is the organization that owns the credential. It never changes.
	Org string
	// Parent is the ID of a token's client, and empty for the other kinds. A
	// record with a parent is alive only while its parent is, and its scopes
	// and limit are never wider than its parent's at the time of a check.
	Parent string
	// Label is text for people, at most [MaxLabel] characters.
	Label  string
	Scopes scopes.Set
	// RateLimit is in requests per minute, at least 1.
	RateLimit int
	// TokenLifetime is how long tokens of a client live: whole milliseconds,
	// 0 for the server's default, and 0 for the other kinds.
	TokenLifetime time.Duration

	// Digest is that of the secret. Previous is that of the secret before
	// it, which is good until PreviousExpiresAt; it is zero if that time is.
	Digest            Digest
	Previous          Digest
	PreviousExpiresAt time.Time

	CreatedAt time.Time
	ExpiresAt time.Time // the first instant at which the credential is not good
	RevokedAt time.Time // once set, never cleared nor moved later

	// Version counts the writes: 1 when the record is inserted. See
	// [Store.Update].
	Version int64
}

// Bounds on the fields of a record.
const (
	MaxLabel = 256 // characters
	MaxOrg   = 255 // bytes
)

// Validate returns nil if every field of r is within the bounds that stores
// rely on, and else an [*InvalidError] for the first that is not. Text must be
// valid UTF-8 without NUL; times must be in whole milliseconds between 1970
// and 9999.
func (r *Record) Validate() error {
	switch r.Kind {
	case KindKey, KindClient, KindToken:
	default:
		return &InvalidError{"kind", "is unknown"}
	}
	switch {
	case r.ID == "" || len(r.ID) > maxIDLen || !storable(r.ID):
		return &InvalidError{"ID", "is not 1 to 255 bytes of valid text"}
	case r.Org == "" || len(r.Org) > MaxOrg || !storable(r.Org):
		return &InvalidError{"organization", "is not 1 to 255 bytes of valid text"}
	case (r.Parent != "") != (r.Kind == KindToken) || len(r.Parent) > maxIDLen || !storable(r.Parent):
		return &InvalidError{"parent", "does not fit the kind"}
	case utf8.RuneCountInString(r.Label) > MaxLabel || !storable(r.Label):
		return &InvalidError{"label", "is not at most 256 characters of valid text"}
	case r.RateLimit < 1:
		return &InvalidError{"rate limit", "is less than 1 request per minute"}
	case r.TokenLifetime < 0 || r.TokenLifetime%time.Millisecond != 0 || r.TokenLifetime > 0 && r.Kind != KindClient:
		return &InvalidError{"token lifetime", "is negative, not in milliseconds, or not a client's"}
	case r.Digest.IsZero():
		return &InvalidError{"digest", "is missing"}
	case r.Previous.IsZero() != r.PreviousExpiresAt.IsZero():
		return &InvalidError{"previous digest", "lacks its end, or the end its digest"}
	case r.CreatedAt.IsZero():
		return &InvalidError{"creation time", "is missing"}
	case r.Version < 1:
		return &InvalidError{"version", "is less than 1"}
	}
	if !keepable(r.CreatedAt) || !keepable(r.ExpiresAt) || !keepable(r.RevokedAt) || !keepable(r.PreviousExpiresAt) {
		return &InvalidError{"time", "is not in whole milliseconds between 1970 and 9999"}
	}
	return nil
}

// lastSecond is the last one of the year 9999, in Unix seconds.
const lastSecond = 253402300799

// keepable reports whether every database can hold t as it is. Calendar years
// would take longer to compute than all the rest of a record takes to check.
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

// storableUnicode is storable for what text has from its first NUL, or its first
// byte that is not ASCII, on. Most texts have neither.
func storableUnicode(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// Revoked reports whether r is revoked.
func (r *Record) Revoked() bool { return !r.RevokedAt.IsZero() }

// Expired reports whether r is over at now.
func (r *Record) Expired(now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt)
}

// LogValue returns the fields that may be logged.
func (r Record) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", r.ID), slog.String("kind", string(r.Kind)), slog.String("org", r.Org))
}

// String returns the kind and the ID.
func (r Record) String() string { return string(r.Kind) + " " + strconv.Quote(r.ID) }

// whole returns t in the precision of records.
func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
