package pgstore

import (
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// A row is a record as it stands in the table, or all NULL for none.
type row struct {
	id, kind, org, parent, label, scopes pgtype.Text
	rateLimit, tokenLifetime             pgtype.Int8
	environment, networks, metadata      pgtype.Text
	createdBy, replaces, replacedBy      pgtype.Text
	digest, previous                     pgtype.Text
	previousExpiresAt                    pgtype.Int8
	createdAt, expiresAt                 pgtype.Int8
	revokedAt, disabledAt                pgtype.Int8
	version                              pgtype.Int8
	format                               pgtype.Int2
}

// fields returns where the columns of a row go, in the order of columns.
func (r *row) fields() []any {
	return []any{
		&r.id, &r.kind, &r.org, &r.parent, &r.label, &r.scopes, &r.rateLimit, &r.tokenLifetime,
		&r.environment, &r.networks, &r.metadata, &r.createdBy, &r.replaces, &r.replacedBy,
		&r.digest, &r.previous, &r.previousExpiresAt, &r.createdAt, &r.expiresAt, &r.revokedAt, &r.disabledAt,
		&r.version, &r.format,
	}
}

// record returns the record of a row, and the zero Record if the row is NULL. If the
// row cannot be a record, or has a format that this release does not know, the error
// wraps [keys.ErrCorrupt]. It names the ID and quotes nothing else.
func (r *row) record() (keys.Record, error) {
	if !r.id.Valid {
		return keys.Record{}, nil
	}
	if r.format.Int16 < 1 || r.format.Int16 > keys.RecordFormat {
		return keys.Record{}, r.corrupt(keys.ErrCorrupt, fmt.Sprintf("format %d, of which this version knows 1 to %d", r.format.Int16, keys.RecordFormat))
	}
	rec := keys.Record{
		ID: r.id.String, Kind: keys.Kind(r.kind.String), Org: r.org.String, Parent: r.parent.String,
		Label: r.label.String, RateLimit: int(r.rateLimit.Int64),
		TokenLifetime: time.Duration(r.tokenLifetime.Int64) * time.Millisecond,
		Environment:   r.environment.String, Metadata: r.metadata.String,
		CreatedBy: r.createdBy.String, Replaces: r.replaces.String, ReplacedBy: r.replacedBy.String,
		PreviousExpiresAt: instant(r.previousExpiresAt), CreatedAt: instant(r.createdAt),
		ExpiresAt: instant(r.expiresAt), RevokedAt: instant(r.revokedAt), DisabledAt: instant(r.disabledAt),
		Version: r.version.Int64,
	}
	if int64(rec.RateLimit) != r.rateLimit.Int64 || r.tokenLifetime.Int64 > math.MaxInt64/int64(time.Millisecond) {
		return keys.Record{}, r.corrupt(keys.ErrCorrupt, "a number that is out of range")
	}
	var err error
	if rec.Digest, err = keys.ParseDigest(r.digest.String); err != nil {
		return keys.Record{}, r.corrupt(err, "digest")
	}
	if r.previous.Valid {
		if rec.Previous, err = keys.ParseDigest(r.previous.String); err != nil {
			return keys.Record{}, r.corrupt(err, "previous digest")
		}
	}
	if rec.Scopes, err = scopes.Parse(r.scopes.String); err != nil {
		return keys.Record{}, r.corrupt(keys.ErrCorrupt, err.Error())
	}
	if rec.Networks, err = keys.ParseNetworks(r.networks.String); err != nil {
		return keys.Record{}, r.corrupt(keys.ErrCorrupt, err.Error())
	}
	if err := rec.Validate(); err != nil {
		return keys.Record{}, r.corrupt(keys.ErrCorrupt, err.Error())
	}
	return rec, nil
}

func (r *row) corrupt(err error, what string) error {
	return fmt.Errorf("pgstore: record %q: %w: %s", r.id.String, err, what)
}

// nullable returns text, and NULL for empty text.
func nullable(text string) pgtype.Text { return pgtype.Text{String: text, Valid: text != ""} }

// millis returns t as it is stored, and NULL for the zero time.
func millis(t time.Time) pgtype.Int8 {
	if t.IsZero() {
		return pgtype.Int8{}
	}
	return pgtype.Int8{Int64: t.UnixMilli(), Valid: true}
}

// instant is the reverse of millis.
func instant(ms pgtype.Int8) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
