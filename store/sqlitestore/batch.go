package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
)

// A batch is the transaction of a call of Batch.
type batch struct {
	store *Store
	tx    *sql.Tx
}

// batchKey is where a context has a *batch.
type batchKey struct{}

// Batch inserts what f inserts in one transaction, as [keys.BatchStore] says. So it
// waits for the disk once. Nobody else writes meanwhile.
func (s *Store) Batch(ctx context.Context, f func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var cause error // that of f
	err := s.transact(ctx, s.db, func(tx *sql.Tx) error {
		cause = f(context.WithValue(ctx, batchKey{}, &batch{s, tx}))
		return cause
	})
	if err != nil && cause != nil && !errors.Is(err, ErrBusy) {
		return cause
	}
	return err
}

// batchOf returns the transaction of the batch that a call with ctx belongs to, or
// nil.
func (s *Store) batchOf(ctx context.Context) *sql.Tx {
	if b, ok := ctx.Value(batchKey{}).(*batch); ok && b.store == s {
		return b.tx
	}
	return nil
}
