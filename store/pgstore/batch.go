package pgstore

import "context"

// A batch is the transaction of a call of Batch.
type batch struct {
	store *Store
	db    DB
}

// batchKey is where a context has a *batch.
type batchKey struct{}

// Batch inserts what f inserts in one transaction, as [keys.BatchStore] says. So it
// waits for the disk once; each Insert is still a round trip. Over a transaction of
// the host's it is a part of that. Otherwise it calls f again, up to five times in
// all, if the server rolled the transaction back because of what others did at the
// same time.
func (s *Store) Batch(ctx context.Context, f func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return failed("batch", err)
	}
	var cause, err error // cause is that of f
	within := func(db DB) error {
		cause = f(context.WithValue(ctx, batchKey{}, &batch{s, db}))
		return cause
	}
	if joined(s.db) {
		err = savepoint(ctx, s.db, within)
	} else {
		err = readCommitted(ctx, s.db, within)
		for try := 1; try < maxTries && rolledBack(err); try++ {
			if pause(ctx, firstPause<<(try-1)) != nil {
				break
			}
			cause = nil
			err = readCommitted(ctx, s.db, within)
		}
	}
	switch {
	case err == nil:
		return nil
	case cause != nil:
		return cause
	}
	return failed("batch", err)
}

// savepoint calls f within a savepoint of the transaction that db is in, so that an
// error undoes only what f did. It does not call Begin: if db is a connection, and not
// the transaction that the host has begun on it, that begins nothing, and the commit
// after it is one of all that the host did.
func savepoint(ctx context.Context, db DB, f func(DB) error) error {
	if _, err := db.Exec(ctx, "SAVEPOINT claviger"); err != nil {
		return err
	}
	err := f(db)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollBackTime)
		defer cancel()
		_, _ = db.Exec(ctx, "ROLLBACK TO SAVEPOINT claviger; RELEASE SAVEPOINT claviger")
		return err
	}
	_, err = db.Exec(ctx, "RELEASE SAVEPOINT claviger")
	return err
}

// batchOf returns the transaction of the batch that a call with ctx belongs to, or
// nil.
func (s *Store) batchOf(ctx context.Context) DB {
	if b, ok := ctx.Value(batchKey{}).(*batch); ok && b.store == s {
		return b.db
	}
	return nil
}
