package storetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A batchedStore is a store.Memory with batches, which can be broken.
type batchedStore struct {
	store.Memory
	defect string
	turn   chan struct{} // taken by the one batch that is under way
}

// undone is the defect of a store that says that a batch went well, although it was undone
// because another one inserted the same IDs.
const undone = "a batch that the database undid is no error"

// waits is the defect of a store whose writes wait for a batch with no regard to
// their contexts.
const waits = "whoever waits for a batch waits for its end"

// A pendingBatch has the records that were inserted in it.
type pendingBatch struct{ records []keys.Record }

type pendingKey struct{}

func (s *batchedStore) Insert(ctx context.Context, r keys.Record) error {
	b, ok := ctx.Value(pendingKey{}).(*pendingBatch)
	if !ok || s.defect == "each insert is by itself" {
		if !ok && s.defect == waits {
			select {
			case s.turn <- struct{}{}:
				defer func() { <-s.turn }()
			case <-time.After(time.Minute):
			}
		}
		return s.Memory.Insert(ctx, r)
	}
	if err := r.Validate(); err != nil && s.defect != "nothing is validated" {
		return err
	}
	for _, other := range b.records {
		if other.ID == r.ID && s.defect != "the batch does not know its own IDs" {
			return keys.ErrExists
		}
	}
	if _, _, err := s.Get(ctx, r.ID); err == nil {
		return keys.ErrExists
	}
	b.records = append(b.records, r)
	return nil
}

func (s *batchedStore) Batch(ctx context.Context, f func(ctx context.Context) error) error {
	b := new(pendingBatch)
	if s.defect != undone {
		s.turn <- struct{}{}
		defer func() { <-s.turn }()
	}
	err := ctx.Err()
	if err == nil || s.defect == "contexts are passed over" {
		err = f(context.WithValue(ctx, pendingKey{}, b))
	}
	if err == nil && s.defect != "contexts are looked at first alone" && s.defect != "contexts are passed over" {
		err = ctx.Err()
	}
	switch {
	case err != nil && s.defect == "an error of the function is no error":
		return nil
	case err != nil && s.defect != "what fails is kept":
		return err
	}
	latency(1)
	if s.defect == "the last is forgotten" && len(b.records) > 1 {
		b.records = b.records[:len(b.records)-1]
	}
	for _, r := range b.records {
		if inserted := s.Memory.Insert(context.WithoutCancel(ctx), r); inserted != nil && s.defect == undone {
			return nil
		} else if inserted != nil {
			return inserted
		}
	}
	return err
}

// TestBatches holds that a store with sound batches breaks no clause, and that each
// defect is reported once.
func TestBatches(t *testing.T) {
	t.Parallel()
	for defect, clauses := range map[string][]string{
		"":                                     nil,
		"nothing is validated":                 {"batch-inserts"},
		"the batch does not know its own IDs":  {"batch-inserts"},
		"the last is forgotten":                {"batch-inserts"},
		"each insert is by itself":             {"batch-is-one", "batch-context-ended"},
		"what fails is kept":                   {"batch-is-one", "batch-context-ended"},
		"an error of the function is no error": {"batch-is-one", "batch-context-ended"},
		"contexts are looked at first alone":   {"batch-context-ended"},
		"contexts are passed over":             {"batch-context-ended"},
		undone:                                 {"batch-concurrent"},
		waits:                                  {"batch-context-ended"},
	} {
		if testing.Short() && defect != "" && defect != waits {
			continue
		}
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				violations := storetest.CheckRecords(t, func(testing.TB) keys.Store {
					return &batchedStore{defect: defect, turn: make(chan struct{}, 1)}
				}, &storetest.Options[keys.Store]{Race: lap})
				time.Sleep(time.Minute) // the bubble's own clock: calls that waited too long return
				if diff := cmp.Diff(clauses, names(violations)); diff != "" {
					t.Errorf("clauses reported (-want +got):\n%s\n%v", diff, violations)
				}
			})
		})
	}
}
