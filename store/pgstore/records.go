package pgstore

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// Insert adds r, as [keys.Store] says, in one round trip. It returns when r is on
// disk, whatever the server's synchronous_commit. After other errors than
// [keys.ErrExists] and [keys.ErrInvalid] it is not known whether r was added or will
// be: a server that hung may still carry out a statement that nobody waits for.
func (s *Store) Insert(ctx context.Context, r keys.Record) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failed("insert", err)
	}
	text, args := s.sql.insert, []any{
		r.ID, string(r.Kind), r.Org, nullable(r.Parent), r.Label, r.Scopes.String(),
		int64(r.RateLimit), r.TokenLifetime.Milliseconds(),
		nullable(r.Environment), nullable(r.Networks.String()), nullable(r.Metadata),
		nullable(r.CreatedBy), nullable(r.Replaces), nullable(r.ReplacedBy),
		r.Digest.Text(), nullable(r.Previous.Text()), millis(r.PreviousExpiresAt),
		millis(r.CreatedAt), millis(r.ExpiresAt), millis(r.RevokedAt), millis(r.DisabledAt),
		r.Version, int16(r.FormatNumber()),
	}
	if e, ok := keys.EntryFor(ctx, &r); ok {
		text, args = s.sql.insertWith, append(args, entryArgs(&e)...)
	}
	var added int64
	err := s.run(ctx, func(db DB) error {
		tag, err := db.Exec(ctx, text, s.args(args...)...)
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

// Get returns a record and its parent, as [keys.Store] says, in one round trip. A
// parent that is corrupt fails the call as a record does.
func (s *Store) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if err := ctx.Err(); err != nil {
		return rec, parent, failed("get", err)
	}
	if !keys.PossibleID(id) {
		return rec, parent, keys.ErrNotFound
	}
	var r, p row
	var standby bool
	fields := append(append([]any{&standby}, r.fields()...), p.fields()...)
	err = s.read(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.get, s.args(id)...).Scan(fields...)
	})
	switch {
	case err != nil:
		return rec, parent, failed("get", err)
	case standby:
		return rec, parent, ErrStandby
	case !r.id.Valid:
		return rec, parent, keys.ErrNotFound
	}
	if rec, err = r.record(); err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	if parent, err = p.record(); err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	return rec, parent, nil
}

// maxUpdates bounds how often Update sends its statement.
const maxUpdates = 3

// Update writes r over an older version of it, as [keys.Store] says. It returns
// when r is on disk, as Insert does, and its errors mean what those of Insert do.
//
// It takes one round trip, and another one if somebody else wrote the record at the
// same time, or if the Kind of r is not the stored one.
func (s *Store) Update(ctx context.Context, r keys.Record) error {
	if err := r.Validate(); err != nil {
		return err
	}
	for range maxUpdates {
		written, old, err := s.update(ctx, &r)
		if written || err != nil {
			return err
		}
		// Next says why nothing was written. If it finds no reason, the record
		// was changed after the statement had begun, or r has another kind. Then
		// what Next returns is sent again.
		next, err := keys.Next(old, r)
		if err != nil {
			return err
		}
		next.Version = r.Version
		r = next
	}
	return keys.ErrConflict
}

// update writes the next version of r if the conditions of updateText hold. Otherwise
// it returns the record as it was when the statement began, or the zero Record if the
// organization has none with the ID.
func (s *Store) update(ctx context.Context, r *keys.Record) (written bool, old keys.Record, err error) {
	if err := ctx.Err(); err != nil {
		return false, old, failed("update", err)
	}
	var stored row
	fields := append([]any{&written}, stored.fields()...)
	text, args := s.sql.update, []any{
		r.ID, r.Org, string(r.Kind), r.Version,
		r.Label, r.Scopes.String(), int64(r.RateLimit), r.TokenLifetime.Milliseconds(),
		nullable(r.Networks.String()), nullable(r.Metadata), nullable(r.ReplacedBy),
		r.Digest.Text(), nullable(r.Previous.Text()), millis(r.PreviousExpiresAt),
		millis(r.ExpiresAt), millis(r.RevokedAt), millis(r.DisabledAt), int16(r.FormatNumber()),
	}
	if e, ok := keys.EntryFor(ctx, r); ok {
		text, args = s.sql.updateWith, append(args, entryArgs(&e)...)
	}
	err = s.run(ctx, func(db DB) error { return db.QueryRow(ctx, text, s.args(args...)...).Scan(fields...) })
	if err != nil {
		return false, old, failed("update", err)
	}
	old, err = stored.record()
	return written, old, err
}

// Sweep removes tokens that ended before a time, and their last uses, as [keys.Store]
// says, beginning with those that have been dead for longest. It skips tokens that
// another Sweep is removing. It does not wait for the disk: if a crash brings tokens
// back, the next Sweep removes them. It also removes old rows of the feed of changes.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	ms := before.UnixMilli()
	if before.Nanosecond()%int(time.Millisecond) != 0 {
		ms++ // a token that ended at the last whole millisecond ended before the time
	}
	return s.sweep(ctx, "sweep", s.sql.sweep, limit, ms)
}
