package pgstore

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/claviger-auth/claviger/keys"
)

// maxID is the length in bytes of the longest ID that a record can have.
const maxID = 255

// Insert adds r, as [keys.Store] says. It returns when r is on disk, whatever
// the server's synchronous_commit. An error of the database may mean that it is
// unknown whether r was added; after [keys.ErrExists] it was not.
func (s *Store) Insert(ctx context.Context, r keys.Record) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failed("insert", err)
	}
	var added int64
	err := s.run(ctx, func(db DB) error {
		tag, err := db.Exec(ctx, s.sql.insert, s.args(
			r.ID, string(r.Kind), r.Org, nullable(r.Parent), r.Label, r.Scopes.String(),
			int64(r.RateLimit), r.TokenLifetime.Milliseconds(),
			r.Digest.Text(), nullable(r.Previous.Text()), millis(r.PreviousExpiresAt),
			millis(r.CreatedAt), millis(r.ExpiresAt), millis(r.RevokedAt), r.Version,
		)...)
		added = tag.RowsAffected()
		return err
	})
	switch {
	case err != nil:
		return failed("insert", err)
	case added == 0:
		return keys.ErrExists
	}
	return nil
}

// Get returns a record, as [keys.Store] says, in one round trip.
func (s *Store) Get(ctx context.Context, id string) (keys.Record, error) {
	var r row
	if err := s.read(ctx, "get", s.sql.get, id, &r, r.fields()); err != nil {
		return keys.Record{}, err
	}
	return r.record()
}

// GetFamily returns a record and its parent, as [keys.FamilyStore] says, in one
// round trip. A parent that is corrupt fails the call as a record does.
func (s *Store) GetFamily(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	var r, p row
	if err := s.read(ctx, "get family", s.sql.family, id, &r, append(r.fields(), p.fields()...)); err != nil {
		return rec, parent, err
	}
	if rec, err = r.record(); err != nil || !p.id.Valid {
		return rec, parent, err
	}
	if parent, err = p.record(); err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	return rec, parent, nil
}

// read runs a statement that reads the record with an ID into r, one of whose
// fields are in fields.
func (s *Store) read(ctx context.Context, call, text, id string, r *row, fields []any) error {
	if err := ctx.Err(); err != nil {
		return failed(call, err)
	}
	if !possibleID(id) {
		return keys.ErrNotFound
	}
	var standby bool
	err := s.run(ctx, func(db DB) error {
		return db.QueryRow(ctx, text, s.args(id)...).Scan(append([]any{&standby}, fields...)...)
	})
	switch {
	case err != nil:
		return failed(call, err)
	case standby:
		return ErrStandby
	case !r.id.Valid:
		return keys.ErrNotFound
	}
	return nil
}

// possibleID reports whether a record can have the ID. Other text is not
// handed to the driver.
func possibleID(id string) bool {
	return id != "" && len(id) <= maxID && utf8.ValidString(id) && strings.IndexByte(id, 0) < 0
}

// Update writes r over an older version of it, as [keys.Store] says, in one
// round trip. It returns when r is on disk, as Insert does. An error of the
// database may mean that it is unknown whether r was written.
func (s *Store) Update(ctx context.Context, r keys.Record) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failed("update", err)
	}
	var written, known bool
	err := s.run(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.update, s.args(
			r.ID, r.Org, r.Label, r.Scopes.String(), int64(r.RateLimit), r.TokenLifetime.Milliseconds(),
			r.Digest.Text(), nullable(r.Previous.Text()), millis(r.PreviousExpiresAt),
			millis(r.ExpiresAt), millis(r.RevokedAt), r.Version,
		)...).Scan(&written, &known)
	})
	switch {
	case err != nil:
		return failed("update", err)
	case written:
		return nil
	case known:
		return keys.ErrConflict
	}
	return keys.ErrNotFound
}

// List returns a page of records, as [keys.Store] says. It returns an empty
// slice if there are none, and an error that wraps [keys.ErrCorrupt] if a record
// of the page is corrupt.
func (s *Store) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, failed("list", err)
	}
	var found []row
	var standby bool
	err := s.run(ctx, func(db DB) error {
		rows, err := db.Query(ctx, s.sql.list, s.args(q.Org, string(q.Kind), q.After, int64(q.Limit))...)
		if err != nil {
			return err
		}
		defer rows.Close()
		found = found[:0]
		for rows.Next() {
			var r row
			if err := rows.Scan(append([]any{&standby}, r.fields()...)...); err != nil {
				return err
			}
			if r.id.Valid {
				found = append(found, r)
			}
		}
		return rows.Err()
	})
	switch {
	case err != nil:
		return nil, failed("list", err)
	case standby:
		return nil, ErrStandby
	}
	page := make([]keys.Record, len(found))
	for i := range found {
		if page[i], err = found[i].record(); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// Sweep removes tokens that were over before a time, and their last uses, as
// [keys.Store] says, the longest dead first. Tokens that another Sweep is
// removing at the same time are left to it. It does not wait for the disk: what
// a crash brings back, the next Sweep removes.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	ms := before.UnixMilli()
	if before.Nanosecond()%int(time.Millisecond) != 0 {
		ms++ // what is over at the last whole millisecond is over before
	}
	return s.sweep(ctx, "sweep", s.sql.sweep, limit, ms)
}
