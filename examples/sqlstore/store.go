// Package sqlstore keeps records and limits in a SQL database that processes
// share. It is meant to be read and copied. The statements are written for SQLite. With
// another database, make sure that text is compared byte by byte, and that no other
// transaction can write a row which a transaction has read to update it.
//
// A record is one column, with its JSON. The other columns are for WHERE and ORDER BY.
// The functions keys.Next and Limit.Take decide what is written.
package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

const schema = `
CREATE TABLE IF NOT EXISTS records (
	id TEXT PRIMARY KEY, org TEXT NOT NULL, kind TEXT NOT NULL, parent TEXT NOT NULL,
	revoked INTEGER NOT NULL, ends INTEGER, record TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_all ON records (org, kind, id);
CREATE INDEX IF NOT EXISTS records_live ON records (org, kind, id) WHERE revoked = 0;
CREATE INDEX IF NOT EXISTS records_ends ON records (ends) WHERE kind = 'token';
CREATE TABLE IF NOT EXISTS buckets (bucket TEXT PRIMARY KEY, tat INTEGER NOT NULL) WITHOUT ROWID;`

// A Store is a store over a database. It is safe for concurrent use.
type Store struct{ db *sql.DB }

// New makes the tables if they are missing. Transactions of db must lock the database
// when they begin: the driver's setting _txlock must be immediate.
func New(ctx context.Context, db *sql.DB) (*Store, error) {
	_, err := db.ExecContext(ctx, schema)
	return &Store{db}, err
}

// Insert adds a record.
func (s *Store) Insert(ctx context.Context, r keys.Record) error {
	if err := r.Validate(); err != nil {
		return err
	}
	n, err := s.exec(ctx, `INSERT INTO records (id, org, kind, parent, revoked, ends, record)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		r.ID, r.Org, string(r.Kind), r.Parent, r.Revoked(), ends(r), column{&r})
	if n == 0 && err == nil {
		err = keys.ErrExists
	}
	return err
}

// Get returns a record and its parent.
func (s *Store) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if !keys.PossibleID(id) {
		return rec, parent, keys.ErrNotFound // a driver may fail for such text
	}
	err = s.db.QueryRowContext(ctx, `SELECT r.record, p.record FROM records r
		LEFT JOIN records p ON p.id = r.parent WHERE r.id = ?`, id).Scan(column{&rec}, column{&parent})
	return rec, parent, found(err)
}

// Update replaces a record, if nobody else has done so since it was read.
func (s *Store) Update(ctx context.Context, r keys.Record) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return s.locked(ctx, func(tx *sql.Tx) error {
		var old keys.Record
		err := tx.QueryRowContext(ctx, `SELECT record FROM records WHERE id = ?`, r.ID).Scan(column{&old})
		if err := found(err); err != nil {
			return err
		}
		next, err := keys.Next(old, r)
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE records SET revoked = ?, ends = ?, record = ? WHERE id = ?`,
				next.Revoked(), ends(next), column{&next}, next.ID)
		}
		return err
	})
}

// List returns a page of records.
func (s *Store) List(ctx context.Context, q keys.Query) (page []keys.Record, err error) {
	query := `SELECT record FROM records WHERE org = ? AND kind = ? AND id > ?`
	if q.Live {
		query += ` AND revoked = 0`
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, query+` ORDER BY id LIMIT ?`, q.Org, string(q.Kind), q.After, q.Limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r keys.Record
		if err := rows.Scan(column{&r}); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

// Sweep removes tokens that ended before a time. The time is rounded up, since tokens
// end at whole milliseconds.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, &keys.InvalidError{Field: keys.FieldLimit, Reason: "is less than 1"}
	}
	return s.exec(ctx, `DELETE FROM records WHERE id IN
		(SELECT id FROM records WHERE kind = 'token' AND ends < ? LIMIT ?)`, before.Add(time.Millisecond-1).UnixMilli(), limit)
}

// Take takes from a bucket, by the clock of the machine, which all processes on it
// share. For several machines, use the clock of the database. A row whose tat has passed
// is a full bucket, and can be deleted at any time.
func (s *Store) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, _ time.Time, n int) (d ratelimit.Decision, err error) {
	err = s.locked(ctx, func(tx *sql.Tx) error {
		var tat int64 // 0, which is a full bucket, if there is no row
		err := tx.QueryRowContext(ctx, `SELECT tat FROM buckets WHERE bucket = ?`, b.Key()).Scan(&tat)
		if err == nil || errors.Is(err, sql.ErrNoRows) {
			tat, d, err = l.Take(tat, time.Now().UnixNano(), n)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, `REPLACE INTO buckets (bucket, tat) VALUES (?, ?)`, b.Key(), tat)
		}
		return err
	})
	if err != nil {
		return ratelimit.Decision{}, err
	}
	return d, nil
}

// locked calls f in a transaction. Rollback does nothing after Commit.
func (s *Store) locked(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// exec executes a statement, and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, statement string, args ...any) (int, error) {
	result, err := s.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// found returns err, or ErrNotFound if there was no row.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return keys.ErrNotFound
	}
	return err
}

// ends returns the value of the column ends. NULL stands for never.
func ends(r keys.Record) sql.NullInt64 {
	end := r.Ends()
	return sql.NullInt64{Int64: end.UnixMilli(), Valid: !end.IsZero()}
}

// A column writes a record to the column record, and reads it from there. NULL stands
// for the zero Record.
type column struct{ *keys.Record }

func (c column) Value() (driver.Value, error) {
	text, err := c.MarshalJSON()
	return string(text), err
}

func (c column) Scan(value any) error {
	if value == nil {
		return nil
	}
	return c.UnmarshalJSON(fmt.Appendf(nil, "%s", value))
}
