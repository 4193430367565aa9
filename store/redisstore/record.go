package redisstore

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// Fields of the hash that is a record. Those that are empty are absent: an
// absent time is never, and one of 0 is the beginning of 1970.
const (
	fieldOrg     = "org"
	fieldKind    = "kind"
	fieldParent  = "parent"
	fieldLabel   = "label"
	fieldScopes  = "scopes"  // separated by spaces
	fieldRate    = "rate"    // requests a minute
	fieldLife    = "life"    // milliseconds
	fieldDigest  = "digest"  // Digest.Text
	fieldBefore  = "before"  // the previous digest
	fieldUntil   = "until"   // when that ends; this and all times in Unix milliseconds
	fieldCreated = "created" // never changes, as org, kind and parent
	fieldExpires = "expires"
	fieldRevoked = "revoked"
	fieldVersion = "version"
	fieldUsed    = "used"    // when the credential was last used; no part of the record
	fieldPending = "pending" // a revocation that replicas may lack; see Options.Replicas
)

// fixed returns the fields of r that are written once, and their values.
func fixed(r *keys.Record) []any {
	all := []any{fieldOrg, r.Org, fieldKind, string(r.Kind), fieldCreated, milli(r.CreatedAt)}
	if r.Parent != "" {
		all = append(all, fieldParent, r.Parent)
	}
	return all
}

// variable returns the fields of r that updates write, and their values, and
// those that are empty. The lifetime, which a client alone has, is not among
// them.
func variable(r *keys.Record, version int64) (set, drop []any) {
	set = []any{
		fieldRate, strconv.Itoa(r.RateLimit), fieldDigest, r.Digest.Text(), fieldVersion, strconv.FormatInt(version, 10),
	}
	for _, f := range [...]struct{ name, value string }{
		{fieldLabel, r.Label},
		{fieldScopes, r.Scopes.String()},
		{fieldBefore, r.Previous.Text()},
		{fieldUntil, milli(r.PreviousExpiresAt)},
		{fieldExpires, milli(r.ExpiresAt)},
		{fieldRevoked, milli(r.RevokedAt)},
	} {
		if f.value == "" {
			drop = append(drop, f.name)
		} else {
			set = append(set, f.name, f.value)
		}
	}
	return set, drop
}

// lifetime returns the lifetime of r's tokens, or "".
func lifetime(r *keys.Record) string {
	if r.TokenLifetime == 0 {
		return ""
	}
	return strconv.FormatInt(r.TokenLifetime.Milliseconds(), 10)
}

// milli returns a time in Unix milliseconds, or "" for never.
func milli(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

// death returns when r expires or was revoked, whichever is first, or "".
func death(r *keys.Record) string {
	t := r.ExpiresAt
	if t.IsZero() || r.Revoked() && r.RevokedAt.Before(t) {
		t = r.RevokedAt
	}
	return milli(t)
}

// decode returns the record whose fields are given. It fails with an error that
// wraps ErrNotFound if there are none, and ErrCorrupt if they are no record.
func decode(id string, f map[string]string) (keys.Record, error) {
	if len(f) == 0 {
		return keys.Record{}, keys.ErrNotFound
	}
	d := decoder{fields: f}
	r := keys.Record{
		ID: id, Org: f[fieldOrg], Kind: keys.Kind(f[fieldKind]), Parent: f[fieldParent], Label: f[fieldLabel],
		Scopes:            d.scopes(fieldScopes),
		RateLimit:         int(d.number(fieldRate, math.MaxInt)),
		TokenLifetime:     time.Duration(d.number(fieldLife, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond,
		Digest:            d.digest(fieldDigest),
		Previous:          d.digest(fieldBefore),
		PreviousExpiresAt: d.time(fieldUntil),
		CreatedAt:         d.time(fieldCreated),
		ExpiresAt:         d.time(fieldExpires),
		RevokedAt:         d.time(fieldRevoked),
		Version:           d.number(fieldVersion, math.MaxInt64),
	}
	if d.err == nil {
		d.err = r.Validate()
	}
	if d.err != nil {
		return keys.Record{}, fmt.Errorf("redisstore: record %q: %w: %w", id, keys.ErrCorrupt, d.err)
	}
	return r, nil
}

// corruptRecord is the error of a record whose fields a script cannot read.
func corruptRecord(id string) error {
	return fmt.Errorf("redisstore: record %q: %w", id, keys.ErrCorrupt)
}

// A decoder reads fields until one is wrong. Fields that are absent are zero.
type decoder struct {
	fields map[string]string
	err    error
}

func (d *decoder) fail(field string, err error) {
	if d.err == nil {
		d.err = fmt.Errorf("field %s: %w", field, err)
	}
}

var errNumber = errors.New("not a number in range")

// number reads a number from 0 to the largest that is allowed, in the one form
// that this package writes.
func (d *decoder) number(field string, most int64) int64 {
	text, ok := d.fields[field]
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most || strconv.FormatInt(n, 10) != text {
		d.fail(field, errNumber)
	}
	return n
}

func (d *decoder) time(field string) time.Time {
	if _, ok := d.fields[field]; !ok {
		return time.Time{}
	}
	return time.UnixMilli(d.number(field, maxMilli)).UTC()
}

// maxMilli is the last millisecond of the year 9999.
const maxMilli = 253402300799999

func (d *decoder) digest(field string) keys.Digest {
	text, ok := d.fields[field]
	if !ok {
		return keys.Digest{}
	}
	digest, err := keys.ParseDigest(text)
	if err != nil {
		d.fail(field, err)
	}
	return digest
}

func (d *decoder) scopes(field string) scopes.Set {
	set, err := scopes.Parse(d.fields[field])
	if err != nil {
		d.fail(field, err)
	}
	return set
}
