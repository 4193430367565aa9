package redisstore

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// Fields of the hash that is a record. A field that would be empty is absent: an
// absent time is never, and the time 0 is the beginning of 1970. All times are in
// Unix milliseconds.
const (
	// These are written once.
	fieldOrg         = "org"
	fieldKind        = "kind"
	fieldParent      = "parent"
	fieldEnvironment = "env"
	fieldCreatedBy   = "createdby"
	fieldReplaces    = "replaces"
	fieldCreated     = "created"

	// These are written by updates too.
	fieldLabel      = "label"
	fieldScopes     = "scopes"   // separated by spaces
	fieldRate       = "rate"     // requests a minute
	fieldLife       = "life"     // milliseconds
	fieldNetworks   = "networks" // separated by spaces
	fieldMetadata   = "metadata"
	fieldReplacedBy = "replacedby"
	fieldDigest     = "digest" // Digest.Text
	fieldBefore     = "before" // the previous digest
	fieldUntil      = "until"  // when that ends
	fieldExpires    = "expires"
	fieldRevoked    = "revoked"
	fieldDisabled   = "disabled"
	fieldVersion    = "version" // see versionText

	// These are in the hash, but not part of the record.
	fieldUsed    = "used"    // when the credential was last used
	fieldPending = "pending" // a revocation that replicas may lack; see Options.Replicas
)

// A field is the name of one and its value.
type field struct{ name, value string }

// fixed returns the fields of r that are written once.
func fixed(r *keys.Record) []field {
	return []field{
		{fieldOrg, r.Org},
		{fieldKind, string(r.Kind)},
		{fieldParent, r.Parent},
		{fieldEnvironment, r.Environment},
		{fieldCreatedBy, r.CreatedBy},
		{fieldReplaces, r.Replaces},
		{fieldCreated, milli(r.CreatedAt)},
	}
}

// variable returns the fields of r that updates write too, except the version.
func variable(r *keys.Record) []field {
	life := ""
	if r.TokenLifetime != 0 {
		life = strconv.FormatInt(r.TokenLifetime.Milliseconds(), 10)
	}
	return []field{
		{fieldLabel, r.Label},
		{fieldScopes, r.Scopes.String()},
		{fieldRate, strconv.Itoa(r.RateLimit)},
		{fieldLife, life},
		{fieldNetworks, r.Networks.String()},
		{fieldMetadata, r.Metadata},
		{fieldReplacedBy, r.ReplacedBy},
		{fieldDigest, r.Digest.Text()},
		{fieldBefore, r.Previous.Text()},
		{fieldUntil, milli(r.PreviousExpiresAt)},
		{fieldExpires, milli(r.ExpiresAt)},
		{fieldRevoked, milli(r.RevokedAt)},
		{fieldDisabled, milli(r.DisabledAt)},
	}
}

// split returns the names and values of the fields that are not empty, and the
// names of those that are.
func split(fields []field) (set, drop []any) {
	for _, f := range fields {
		if f.value == "" {
			drop = append(drop, f.name)
		} else {
			set = append(set, f.name, f.value)
		}
	}
	return set, drop
}

// versionText returns a version as it is stored. If the record has a field of format 1
// or later, the format comes before it, with a colon. For releases that do not know the
// format that is not a version: they refuse to read the record, and their updates do
// not match it. For other records it is the version alone, as in releases before format
// 1, which can still read and update them.
func versionText(format int, version int64) string {
	text := strconv.FormatInt(version, 10)
	if format > 0 {
		text = strconv.Itoa(format) + ":" + text
	}
	return text
}

// format returns the format of r, and 0 if releases before format 1 can read all of r.
func format(r *keys.Record) int {
	if r.Environment == "" && r.Networks.IsEmpty() && r.Metadata == "" && r.CreatedBy == "" && r.Replaces == "" &&
		r.ReplacedBy == "" && r.DisabledAt.IsZero() && r.RateLimit != 0 && r.FormatNumber() == 1 {
		return 0
	}
	return r.FormatNumber()
}

// milli returns a time in Unix milliseconds, or "" for never.
func milli(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

// decode returns the record whose fields are given. The error wraps ErrNotFound
// if there are none, and ErrCorrupt if they are not exactly those of a record.
func decode(id string, fields map[string]string) (keys.Record, error) {
	if len(fields) == 0 {
		return keys.Record{}, keys.ErrNotFound
	}
	r := keys.Record{ID: id}
	if fields[fieldRate] == "" {
		return keys.Record{}, corruptRecord(id, errors.New("no "+fieldRate))
	}
	for name, text := range fields {
		err := errEmpty
		if text != "" {
			err = decodeField(&r, name, text)
		}
		if err != nil {
			return keys.Record{}, corruptRecord(id, fmt.Errorf("field %.20q: %w", name, err))
		}
	}
	if err := r.Validate(); err != nil {
		return keys.Record{}, corruptRecord(id, err)
	}
	return r, nil
}

// corruptRecord returns the error of a record that is there and cannot be read.
func corruptRecord(id string, why error) error {
	return fmt.Errorf("redisstore: record %q: %w: %w", id, keys.ErrCorrupt, why)
}

var (
	errEmpty   = errors.New("empty")
	errNumber  = errors.New("not a number in range")
	errUnknown = errors.New("not known to this version")
)

// decodeField reads one field into r.
func decodeField(r *keys.Record, name, text string) (err error) {
	switch name {
	case fieldOrg:
		r.Org = text
	case fieldKind:
		r.Kind = keys.Kind(text)
	case fieldParent:
		r.Parent = text
	case fieldEnvironment:
		r.Environment = text
	case fieldCreatedBy:
		r.CreatedBy = text
	case fieldReplaces:
		r.Replaces = text
	case fieldCreated:
		r.CreatedAt, err = instant(text)
	case fieldLabel:
		r.Label = text
	case fieldScopes:
		err = r.Scopes.UnmarshalText([]byte(text))
	case fieldRate:
		r.RateLimit, err = integer[int](text, keys.MaxRateLimit)
	case fieldLife:
		var ms int64
		ms, err = integer[int64](text, keys.MaxTokenLifetime.Milliseconds())
		r.TokenLifetime = time.Duration(ms) * time.Millisecond
	case fieldNetworks:
		r.Networks, err = keys.ParseNetworks(text)
	case fieldMetadata:
		r.Metadata = text
	case fieldReplacedBy:
		r.ReplacedBy = text
	case fieldDigest:
		r.Digest, err = keys.ParseDigest(text)
	case fieldBefore:
		r.Previous, err = keys.ParseDigest(text)
	case fieldUntil:
		r.PreviousExpiresAt, err = instant(text)
	case fieldExpires:
		r.ExpiresAt, err = instant(text)
	case fieldRevoked:
		r.RevokedAt, err = instant(text)
	case fieldDisabled:
		r.DisabledAt, err = instant(text)
	case fieldVersion:
		r.Version, err = version(text)
	case fieldUsed, fieldPending:
	default:
		err = errUnknown
	}
	return err
}

// version reads what versionText wrote.
func version(text string) (int64, error) {
	before, after, ok := strings.Cut(text, ":")
	if !ok {
		return integer[int64](text, math.MaxInt64)
	}
	if n, err := integer[int](before, math.MaxInt); err != nil || n < 1 {
		return 0, errNumber
	} else if n > keys.RecordFormat {
		return 0, fmt.Errorf("format %d, of which this version knows 1 to %d", n, keys.RecordFormat)
	}
	return integer[int64](after, math.MaxInt64)
}

// integer reads a number from 0 to the largest that is allowed, in the one form
// that this package writes.
func integer[T int | int64](text string, most T) (T, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > int64(most) || strconv.FormatInt(n, 10) != text {
		return 0, errNumber
	}
	return T(n), nil
}

// maxMilli is the last millisecond of the year 9999.
const maxMilli = 253402300799999

func instant(text string) (time.Time, error) {
	ms, err := integer[int64](text, maxMilli)
	return time.UnixMilli(ms).UTC(), err
}
