package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/claviger-auth/claviger/keys"
)

// List returns a page of records, as [keys.Store] says, in one round trip. It
// returns an empty slice if there are none, and an error that wraps
// [keys.ErrCorrupt] if a record of the page is corrupt.
func (s *Store) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	text := s.sql.list
	if q.Live {
		text = s.sql.listLive
	}
	found, err := collect(ctx, s, "list", text, []any{q.Org, string(q.Kind), q.After, int64(q.Limit)},
		func(r *row) []any { return r.fields() }, func(r *row) bool { return r.id.Valid })
	if err != nil {
		return nil, err
	}
	page := make([]keys.Record, len(found))
	for i := range found {
		if page[i], err = found[i].record(); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// Count counts live records, as [keys.CountStore] says, in one round trip, and stops at
// the number most. It reads only an index, except for rows that autovacuum has not yet
// processed. It returns an error that wraps [keys.ErrInvalid] if no record can have the
// organization or the kind.
func (s *Store) Count(ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (int, error) {
	if err := (keys.Query{Org: org, Kind: kind, Limit: most}).Validate(); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, failed("count", err)
	}
	var n int
	var standby bool
	err := s.read(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.count, s.args(org, string(kind), now.UnixMilli(), int64(most))...).Scan(&standby, &n)
	})
	switch {
	case err != nil:
		return 0, failed("count", err)
	case standby:
		return 0, ErrStandby
	}
	return n, nil
}

// Orgs lists organizations, as [keys.OrgStore] says, in one round trip. For each
// organization it makes one look-up in an index, however many records there are. It
// returns an error that wraps [keys.ErrInvalid] if after is not valid text, or limit
// is below 1.
func (s *Store) Orgs(ctx context.Context, after string, limit int) ([]string, error) {
	if limit < 1 {
		return nil, errLimit
	}
	if after != "" && !keys.PossibleID(after) {
		return nil, &keys.InvalidError{Field: keys.FieldCursor, Reason: "is not at most 255 bytes of valid text"}
	}
	found, err := collect(ctx, s, "orgs", s.sql.orgs, []any{after, int64(limit)},
		func(org *pgtype.Text) []any { return []any{org} }, func(org *pgtype.Text) bool { return org.Valid })
	if err != nil {
		return nil, err
	}
	orgs := make([]string, len(found))
	for i := range found {
		orgs[i] = found[i].String
	}
	return orgs, nil
}

// collect runs a statement whose first column says whether the server is a standby. It
// scans the other columns of each row into fields, and returns the rows for which keep
// returns true.
func collect[T any](ctx context.Context, s *Store, call, text string, args []any, fields func(*T) []any, keep func(*T) bool) ([]T, error) {
	if err := ctx.Err(); err != nil {
		return nil, failed(call, err)
	}
	var found []T
	var standby bool
	err := s.read(ctx, func(db DB) error {
		rows, err := db.Query(ctx, text, s.args(args...)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		found = found[:0]
		for rows.Next() {
			var r T
			if err := rows.Scan(append([]any{&standby}, fields(&r)...)...); err != nil {
				return err
			}
			if keep(&r) {
				found = append(found, r)
			}
		}
		return rows.Err()
	})
	switch {
	case err != nil:
		return nil, failed(call, err)
	case standby:
		return nil, ErrStandby
	}
	return found, nil
}
