package storetest_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A batchedStore is a store.Memory with batches, which can be broken.
type batchedStore struct {
	store.Memory
	defect string
}

// A pendingBatch has the records that were inserted in it.
type pendingBatch struct{ records []keys.Record }

type pendingKey struct{}

func (s *batchedStore) Insert(ctx context.Context, r keys.Record) error {
	b, ok := ctx.Value(pendingKey{}).(*pendingBatch)
	if !ok || s.defect == "each insert is by itself" {
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
	if s.defect == "the last is forgotten" && len(b.records) > 1 {
		b.records = b.records[:len(b.records)-1]
	}
	for _, r := range b.records {
		if inserted := s.Memory.Insert(context.WithoutCancel(ctx), r); inserted != nil {
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
	} {
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				violations := storetest.CheckRecords(t, func(testing.TB) keys.Store {
					return &batchedStore{defect: defect}
				}, &storetest.Options[keys.Store]{Race: lap})
				if diff := cmp.Diff(clauses, names(violations)); diff != "" {
					t.Errorf("clauses reported (-want +got):\n%s\n%v", diff, violations)
				}
			})
		})
	}
}
