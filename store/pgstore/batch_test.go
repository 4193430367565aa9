package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// TestBatch inserts records together: all are there afterwards, and before that
// nobody sees any. Refusals of some end nothing.
func TestBatch(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	there := record(keys.KindKey, "there")
	insert(t, s, there)
	a, b, invalid := record(keys.KindKey, "a"), record(keys.KindClient, "b"), record(keys.KindKey, "c")
	invalid.Org = ""
	if err := s.Batch(t.Context(), func(ctx context.Context) error {
		insert(t, joiner{s, ctx}, a)
		fails(t, "an ID that is there", s.Insert(ctx, there), keys.ErrExists)
		fails(t, "an invalid record", s.Insert(ctx, invalid), keys.ErrInvalid)
		fails(t, "an ID of the batch", s.Insert(ctx, a), keys.ErrExists)
		insert(t, joiner{s, ctx}, b)
		_, _, err := s.Get(t.Context(), "a")
		fails(t, "before the end", err, keys.ErrNotFound)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []keys.Record{there, a, b} {
		if got := get(t, s, want.ID); got != want {
			t.Errorf("%s is %+v, want %+v", want.ID, got, want)
		}
	}
}

// A joiner is a store whose inserts are part of a batch.
type joiner struct {
	keys.Store
	ctx context.Context
}

func (j joiner) Insert(_ context.Context, r keys.Record) error { return j.Store.Insert(j.ctx, r) }

// TestBatchFails undoes what was inserted when f fails, or its context ends, in a
// transaction of the host's too.
func TestBatchFails(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	tx, err := shared.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	cause := errors.New("cause")
	for name, s := range map[string]*pgstore.Store{"a pool": s, "a transaction": s.With(tx)} {
		a, b := record(keys.KindKey, "a"), record(keys.KindKey, "b")
		err := s.Batch(t.Context(), func(ctx context.Context) error {
			insert(t, joiner{s, ctx}, a)
			return cause
		})
		if err != cause { // and not within another one
			t.Errorf("%s: %v, want the error of f", name, err)
		}
		if err := s.Batch(t.Context(), func(ctx context.Context) error {
			insert(t, joiner{s, ctx}, b)
			return nil
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, _, err = s.Get(t.Context(), "a")
		fails(t, name+", afterwards", err, keys.ErrNotFound)
		same(t, name, get(t, s, "b"), b)
		if name == "a transaction" {
			if err := tx.Rollback(t.Context()); err != nil {
				t.Error(err)
			}
		} else {
			execute(t, shared.pool, `DELETE FROM `+s.Schema()+`.records`)
		}
	}
	pool := connect(t, "pool_max_conns=1")
	s = s.With(pool)
	backend := value[int](t, pool, `SELECT pg_backend_pid()`)
	ctx, cancel := context.WithCancel(t.Context())
	err = s.Batch(ctx, func(ctx context.Context) error {
		insert(t, joiner{s, ctx}, record(keys.KindKey, "c"))
		cancel()
		return nil
	})
	fails(t, "a context that ended", err, context.Canceled)
	if now := value[int](t, pool, `SELECT pg_backend_pid()`); now != backend {
		t.Error("the connection was closed when the context of a batch ended")
	}
	fails(t, "a context that had ended", s.Batch(ctx, func(context.Context) error { t.Error("called"); return nil }), context.Canceled)
	_, _, err = s.Get(t.Context(), "c")
	fails(t, "what was undone", err, keys.ErrNotFound)
}

// TestBatchOfAnotherStore inserts into one store with the context of another's batch,
// which is no part of it.
func TestBatchOfAnotherStore(t *testing.T) {
	t.Parallel()
	one, other := open(t, nil), open(t, nil)
	cause := errors.New("cause")
	err := one.Batch(t.Context(), func(ctx context.Context) error {
		insert(t, joiner{other, ctx}, record(keys.KindKey, "a"))
		return cause
	})
	fails(t, "Batch", err, cause)
	get(t, other, "a")
}

// TestBatchesDeadlock has two batches insert the same IDs in opposite orders, so
// that each waits for the other. Both end, and each ID is there once.
func TestBatchesDeadlock(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	var both, wg sync.WaitGroup
	both.Add(2)
	for i := range 2 {
		wg.Go(func() {
			calls := 0
			err := s.Batch(t.Context(), func(ctx context.Context) error {
				calls++
				for step, n := range []int{i, 1 - i} {
					if step == 1 && calls == 1 {
						both.Done()
						both.Wait() // until each has its first ID
					}
					r := record(keys.KindKey, fmt.Sprint("id", n))
					if err := s.Insert(ctx, r); err != nil && !errors.Is(err, keys.ErrExists) {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Errorf("batch %d, called %d times: %v", i, calls, err)
			}
		})
	}
	wg.Wait()
	for n := range 2 {
		get(t, s, fmt.Sprint("id", n))
	}
}
