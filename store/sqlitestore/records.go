package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// texts returns the text of each statement and where the statement is kept.
func (s *statements) texts() iter.Seq2[string, **sql.Stmt] {
	return func(yield func(string, **sql.Stmt) bool) {
		_ = yield(insertText, &s.insert) &&
			yield(getText, &s.get) &&
			yield(familyText, &s.family) &&
			yield(updateText, &s.update) &&
			yield(thereText, &s.there) &&
			yield(listText, &s.list) &&
			yield(sweepText, &s.sweep) &&
			yield(noteUsesText, &s.noteUses) &&
			yield(lastUsesText, &s.lastUses)
	}
}

const (
	insertText = `INSERT INTO claviger_records (id, kind, org, parent, label, scopes, rate_limit, token_lifetime,
	digest, previous, previous_expires_at, created_at, expires_at, revoked_at, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`

	getText = "SELECT " + row + " FROM claviger_records r WHERE r.id = ?"

	// matches is the condition under which an update is done. There are no
	// other rules about conflicts.
	matches = "id = ?1 AND org = ?2 AND version = ?3 AND (revoked_at IS NULL OR ?4 <= revoked_at)"

	// The lifetime of tokens goes by the kind that is stored, as that is the
	// one that stays: a key with a lifetime could not be read again.
	updateText = `UPDATE claviger_records SET revoked_at = ?4, label = ?5, scopes = ?6, rate_limit = ?7,
	token_lifetime = CASE kind WHEN 'client' THEN ?8 ELSE 0 END,
	digest = ?9, previous = ?10, previous_expires_at = ?11, expires_at = ?12, version = version + 1
WHERE ` + matches

	// thereText says whether a record has the ID and the organization, and
	// whether the update would be done.
	thereText = "SELECT ifnull(" + matches + ", 0) FROM claviger_records WHERE id = ?1 AND org = ?2"

	listText = "SELECT " + row + " FROM claviger_records r WHERE r.org = ? AND r.kind = ? AND r.id > ? ORDER BY r.id LIMIT ?"

	sweepText = `DELETE FROM claviger_records WHERE id IN (
	SELECT id FROM claviger_records WHERE kind = 'token' AND ends_at < ? ORDER BY ends_at LIMIT ?)`
)

var familyText = "SELECT " + row + ", " + parentRow +
	" FROM claviger_records r LEFT JOIN claviger_records p ON p.id = r.parent WHERE r.id = ?"

// Insert adds r, as [keys.Store] says.
func (s *Store) Insert(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	n, err := s.write(ctx, s.stmts.insert,
		r.ID, string(r.Kind), r.Org, r.Parent, r.Label, r.Scopes.String(), r.RateLimit, r.TokenLifetime.Milliseconds(),
		r.Digest.Text(), r.Previous.Text(), millis(r.PreviousExpiresAt), r.CreatedAt.UnixMilli(), millis(r.ExpiresAt), millis(r.RevokedAt),
		r.Version)
	if err == nil && n == 0 {
		return fmt.Errorf("%w: %q", keys.ErrExists, r.ID)
	}
	return err
}

// Get returns the record with the given ID, as [keys.Store] says. A record that
// cannot be read is an error that wraps [keys.ErrCorrupt].
func (s *Store) Get(ctx context.Context, id string) (keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return keys.Record{}, err
	}
	if !possible(id) {
		return keys.Record{}, keys.ErrNotFound
	}
	var text string
	err := s.patiently(func() error { return s.stmts.get.QueryRowContext(ctx, id).Scan(&text) })
	if err != nil {
		return keys.Record{}, err
	}
	return parse(text)
}

// GetFamily returns a record and its parent, as [keys.FamilyStore] says. Both
// are of one moment. If either cannot be read the error wraps [keys.ErrCorrupt].
func (s *Store) GetFamily(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if err := ctx.Err(); err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	if !possible(id) {
		return keys.Record{}, keys.Record{}, keys.ErrNotFound
	}
	var text string
	var parentText sql.NullString
	err = s.patiently(func() error { return s.stmts.family.QueryRowContext(ctx, id).Scan(&text, &parentText) })
	if err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	if rec, err = parse(text); err == nil && parentText.Valid {
		parent, err = parse(parentText.String)
	}
	if err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	return rec, parent, nil
}

// Update writes r over an older version of it, as [keys.Store] says.
func (s *Store) Update(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	for {
		n, err := s.write(ctx, s.stmts.update,
			r.ID, r.Org, r.Version, millis(r.RevokedAt), r.Label, r.Scopes.String(), r.RateLimit, r.TokenLifetime.Milliseconds(),
			r.Digest.Text(), r.Previous.Text(), millis(r.PreviousExpiresAt), millis(r.ExpiresAt))
		if err != nil || n > 0 {
			return err
		}
		again, err := s.refused(ctx, &r)
		if !again {
			return err
		}
	}
}

// refused returns why an update of r was not done, which is asked for apart. If
// by now it would be done, r was inserted in between, so neither of the two
// errors was true at any moment, and the update is to be tried again.
func (s *Store) refused(ctx context.Context, r *keys.Record) (again bool, err error) {
	err = s.patiently(func() error {
		return s.stmts.there.QueryRowContext(ctx, r.ID, r.Org, r.Version, millis(r.RevokedAt)).Scan(&again)
	})
	switch {
	case err != nil:
		return false, err
	case !again:
		return false, fmt.Errorf("%w: %q", keys.ErrConflict, r.ID)
	}
	return true, nil
}

// List returns a page of records, as [keys.Store] says. The page is one
// moment's. A record that cannot be read fails the page with an error that wraps
// [keys.ErrCorrupt] and names it: a list that leaves it out would hide it from
// those who can revoke it.
func (s *Store) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var page []keys.Record
	var text string
	err := s.rows(ctx, s.stmts.list, []any{q.Org, string(q.Kind), q.After, q.Limit}, []any{&text}, func() error {
		r, err := parse(text)
		page = append(page, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// Sweep removes dead tokens, as [keys.Store] says, those that died first first,
// and what was noted of their uses. It reads no others.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if limit < 1 {
		return 0, &keys.InvalidError{Field: "limit", Reason: "is less than 1"}
	}
	n, err := s.write(ctx, s.stmts.sweep, sweepBound(before), limit)
	return int(n), err
}

// sweepBound returns the millisecond before which tokens have died before t.
// Records end in whole milliseconds from 1970 to 9999.
func sweepBound(t time.Time) int64 {
	first, last := time.UnixMilli(0), time.Date(10000, time.January, 1, 0, 0, 0, 0, time.UTC)
	switch {
	case t.Before(first):
		t = first
	case t.After(last):
		t = last
	}
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}
