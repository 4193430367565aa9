package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/claviger-auth/claviger/keys"
)

const (
	insertText = `INSERT INTO claviger_records (id, kind, org, parent, environment, created_by, replaces, created_at,
	label, scopes, rate_limit, token_lifetime, networks, metadata, replaced_by,
	digest, previous_digest, previous_expires_at, disabled_at, version, format, expires_at, revoked_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`

	getText = "SELECT " + row + " FROM claviger_records r WHERE r.id = ?"

	// updateText writes what can change of a record, except when it ends. Columns
	// in an index are left out where possible: SQLite writes to the index even if
	// their value stays the same.
	updateText = `UPDATE claviger_records SET label = ?2, scopes = ?3, rate_limit = ?4, token_lifetime = ?5,
	networks = ?6, metadata = ?7, replaced_by = ?8, digest = ?9, previous_digest = ?10, previous_expires_at = ?11,
	disabled_at = ?12, version = ?13, format = ?14`

	where = " WHERE id = ?1"
	ends  = ", expires_at = ?15, revoked_at = ?16"

	listText = "SELECT " + row + " FROM claviger_records r INDEXED BY claviger_records_by_owner " +
		"WHERE r.org = ? AND r.kind = ? AND r.id > ? ORDER BY r.id LIMIT ?"

	// listLiveText names its index. The planner might choose that of listText,
	// which also has all revoked records.
	listLiveText = "SELECT " + row + " FROM claviger_records r INDEXED BY claviger_records_live " +
		"WHERE r.org = ? AND r.kind = ? AND r.id > ? AND r.revoked_at IS NULL ORDER BY r.id LIMIT ?"
)

// familyText reads a record and its parent. If no record has the ID, it reads those
// of the next ID, so that the time of an answer does not tell whether the ID exists.
var familyText = "SELECT " + row + ", " + parentRow +
	" FROM claviger_records r LEFT JOIN claviger_records p ON p.id = r.parent WHERE r.id >= ? ORDER BY r.id LIMIT 1"

// changing returns the values of what can change of a record, in the order of
// the statements.
func changing(r *keys.Record) []any {
	return []any{
		r.Label, r.Scopes.String(), r.RateLimit, r.TokenLifetime.Milliseconds(),
		r.Networks.String(), r.Metadata, r.ReplacedBy, r.Digest.Text(), r.Previous.Text(), millis(r.PreviousExpiresAt),
		millis(r.DisabledAt), r.Version, r.FormatNumber(), millis(r.ExpiresAt), millis(r.RevokedAt),
	}
}

// Insert adds r, as [keys.Store] says.
func (s *Store) Insert(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	fixed := []any{r.ID, string(r.Kind), r.Org, r.Parent, r.Environment, r.CreatedBy, r.Replaces, r.CreatedAt.UnixMilli()}
	values := append(fixed, changing(&r)...)
	n, err := int64(0), error(nil)
	if e, ok := keys.EntryFor(ctx, &r); ok {
		n, err = s.insertWith(ctx, e, values)
	} else {
		n, err = s.write(ctx, s.stmts.insert, values...)
	}
	if err == nil && n == 0 {
		return fmt.Errorf("%w: %q", keys.ErrExists, r.ID)
	}
	return err
}

// insertWith inserts a record with an entry, and returns how many were inserted.
func (s *Store) insertWith(ctx context.Context, e keys.Entry, values []any) (n int64, err error) {
	err = s.transact(ctx, s.db, func(tx *sql.Tx) error {
		result, err := tx.StmtContext(ctx, s.stmts.insert).ExecContext(ctx, values...)
		if err != nil {
			return err
		}
		if n, err = result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return s.addEntry(ctx, tx, e)
	})
	return n, err
}

// Get returns the record with the given ID and its parent, as [keys.Store] says.
// Both are of one moment. The error wraps [keys.ErrCorrupt] if either cannot be
// read, or only by a later version of the package.
func (s *Store) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if err := ctx.Err(); err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	if !keys.PossibleID(id) {
		return keys.Record{}, keys.Record{}, keys.ErrNotFound
	}
	var text string
	var parentText sql.NullString
	err = s.patiently(s.until(), func() error { return s.stmts.family.QueryRowContext(ctx, id).Scan(&text, &parentText) })
	if err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	if rec, err = parse(text); err == nil && parentText.Valid {
		parent, err = parse(parentText.String)
	}
	if !has(text, id) {
		err = keys.ErrNotFound
	}
	if err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	return rec, parent, nil
}

// Update writes r over an older version of it, as [keys.Store] says. A record
// that cannot be read is not written over: the error wraps [keys.ErrCorrupt].
func (s *Store) Update(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	var refusal error
	err := s.transact(ctx, s.db, func(tx *sql.Tx) error {
		var text string
		if err := tx.StmtContext(ctx, s.stmts.get).QueryRowContext(ctx, r.ID).Scan(&text); err != nil {
			return err
		}
		var old, next keys.Record
		if old, next, refusal = replacement(text, r); refusal != nil {
			return nil
		}
		stmt, values := s.stmts.update, append([]any{r.ID}, changing(&next)...)
		if next.ExpiresAt.Equal(old.ExpiresAt) && next.RevokedAt.Equal(old.RevokedAt) {
			stmt, values = s.stmts.updateRest, values[:len(values)-2]
		}
		_, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, values...)
		if e, ok := keys.EntryFor(ctx, &next); ok && err == nil {
			err = s.addEntry(ctx, tx, e)
		}
		return err
	})
	if err != nil {
		return err
	}
	return refusal
}

// replacement returns the record of a row, and what takes its place when r is
// written over it.
func replacement(text string, r keys.Record) (old, next keys.Record, err error) {
	if old, err = parse(text); err != nil {
		return old, next, err
	}
	if next, err = keys.Next(old, r); err != nil {
		return old, next, fmt.Errorf("%w: %q", err, r.ID)
	}
	return old, next, nil
}

// List returns a page of records, as [keys.Store] says. If one of them cannot be
// read, List fails with an error that wraps [keys.ErrCorrupt] and names the record: a
// list without it would hide it from those who look for it.
func (s *Store) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	stmt := s.stmts.list
	if q.Live {
		stmt = s.stmts.listLive
	}
	var page []keys.Record
	var text string
	err := s.rows(ctx, stmt, []any{q.Org, string(q.Kind), q.After, q.Limit}, []any{&text}, func() error {
		r, err := parse(text)
		page = append(page, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}
