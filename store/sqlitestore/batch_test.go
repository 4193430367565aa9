package sqlitestore_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// TestBatch inserts records together: all are there afterwards, and before that
// nobody sees any, except those that were refused one by one.
func TestBatch(t *testing.T) {
	t.Parallel()
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			there := record(t, keys.KindKey, "there")
			if err := s.Insert(ctx, there); err != nil {
				t.Fatal(err)
			}
			a, b, invalid := record(t, keys.KindKey, "a"), record(t, keys.KindClient, "b"), record(t, keys.KindKey, "c")
			invalid.Org = ""
			err := s.Batch(ctx, func(ctx context.Context) error {
				for _, tt := range []struct {
					rec  keys.Record
					want error
				}{{a, nil}, {there, keys.ErrExists}, {invalid, keys.ErrInvalid}, {a, keys.ErrExists}, {b, nil}} {
					if err := s.Insert(ctx, tt.rec); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
						t.Errorf("%q: %v, want %v", tt.rec.ID, err, tt.want)
					}
				}
				if _, _, err := s.Get(context.WithoutCancel(t.Context()), a.ID); !errors.Is(err, keys.ErrNotFound) {
					t.Errorf("before the end: %v", err)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []keys.Record{there, a, b} {
				if got, _, err := s.Get(ctx, want.ID); err != nil || got != want {
					t.Errorf("%q afterwards: %v", want.ID, err)
				}
			}
		})
	}
}

// TestBatchFails undoes what was inserted when f fails, or its context ends.
func TestBatchFails(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			a := record(t, keys.KindKey, "a")
			err := s.Batch(t.Context(), func(ctx context.Context) error {
				if err := s.Insert(ctx, a); err != nil {
					t.Error(err)
				}
				return cause
			})
			if err != cause { // and not within another one
				t.Errorf("the error of f became %v", err)
			}
			err = s.Batch(t.Context(), func(context.Context) error { return sql.ErrNoRows })
			if err != sql.ErrNoRows {
				t.Errorf("an error of the host's own database became %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			err = s.Batch(ctx, func(ctx context.Context) error {
				err := s.Insert(ctx, a)
				cancel()
				return err
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a context that ended: %v", err)
			}
			ctx, cancel = context.WithCancel(t.Context())
			err = s.Batch(ctx, func(ctx context.Context) error {
				cancel()
				var err error
				for !errors.Is(err, sql.ErrTxDone) { // until package sql has undone the transaction
					err = s.Insert(context.WithoutCancel(ctx), a)
				}
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a context that ended, and its transaction: %v", err)
			}
			if err := s.Batch(ctx, func(context.Context) error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("a context that had ended: %v", err)
			}
			if _, _, err := s.Get(t.Context(), a.ID); !errors.Is(err, keys.ErrNotFound) {
				t.Errorf("what was undone: %v", err)
			}
			if err := s.Insert(t.Context(), a); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestBatchWaitsFirst has another process hold the lock for writers. The function of the
// batch is not called before the batch has the lock.
func TestBatchWaitsFirst(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	defer locked(t, path)()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := s.Batch(ctx, func(context.Context) error { t.Error("called"); return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// TestBatchOfAnotherStore inserts into one store with the context of another's
// batch, which is no part of it.
func TestBatchOfAnotherStore(t *testing.T) {
	t.Parallel()
	one, other := open(t, file(t)), open(t, file(t))
	a := record(t, keys.KindKey, "a")
	cause := errors.New("cause")
	if err := one.Batch(t.Context(), func(ctx context.Context) error {
		if err := other.Insert(ctx, a); err != nil {
			t.Error(err)
		}
		return cause
	}); !errors.Is(err, cause) {
		t.Error(err)
	}
	if _, _, err := other.Get(t.Context(), a.ID); err != nil {
		t.Error(err)
	}
}

// stores returns a store that Open made, and one that New did.
func stores(t *testing.T) map[string]*sqlitestore.Store {
	t.Helper()
	path := file(t)
	open(t, path)
	s, err := sqlitestore.New(t.Context(), database(t, hostDSN(path)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*sqlitestore.Store{"Open": open(t, file(t)), "New": s}
}
