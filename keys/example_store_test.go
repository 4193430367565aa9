package keys_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A mapStore is a store in a map. What an update does is decided by keys.Next, and
// the store only sees to it that nobody writes between its reading and its writing.
type mapStore struct {
	mu      sync.Mutex
	records map[string]keys.Record
}

func (s *mapStore) Insert(ctx context.Context, r keys.Record) error {
	if err := cmp.Or(ctx.Err(), r.Validate()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, used := s.records[r.ID]; used {
		return keys.ErrExists
	}
	s.records[r.ID] = r
	return nil
}

func (s *mapStore) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if err := ctx.Err(); err != nil {
		return rec, parent, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, ok := s.records[id]
	if !ok {
		return rec, parent, keys.ErrNotFound
	}
	return rec, s.records[rec.Parent], nil
}

func (s *mapStore) Update(ctx context.Context, r keys.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := keys.Next(s.records[r.ID], r)
	if err = cmp.Or(ctx.Err(), err); err == nil {
		s.records[r.ID] = next
	}
	return err
}

func (s *mapStore) List(ctx context.Context, q keys.Query) (page []keys.Record, err error) {
	if err := cmp.Or(ctx.Err(), q.Validate()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if r.Org == q.Org && r.Kind == q.Kind && r.ID > q.After && !(q.Live && r.Revoked()) {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, func(a, b keys.Record) int { return cmp.Compare(a.ID, b.ID) })
	return page[:min(q.Limit, len(page))], nil
}

func (s *mapStore) Sweep(ctx context.Context, before time.Time, limit int) (n int, err error) {
	if limit < 1 {
		return 0, keys.ErrInvalid
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.records {
		if ctx.Err() == nil && n < limit && r.Sweepable(before) {
			delete(s.records, id)
			n++
		}
	}
	return n, ctx.Err()
}

func ExampleStore() {
	ctx := context.Background()
	manager, err := keys.NewManager(&mapStore{records: make(map[string]keys.Record)}, nil)
	if err != nil {
		log.Fatal(err)
	}
	issued, err := manager.Create(ctx, "acme", keys.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	principal, err := manager.Verifier().Verify(ctx, issued.Text.Reveal())
	fmt.Println(principal.Org, err)
	fmt.Println(manager.Revoke(ctx, "acme", keys.KindKey, issued.Record.ID))
	_, err = manager.Verifier().Verify(ctx, issued.Text.Reveal())
	fmt.Println(err)
	// Output:
	// acme <nil>
	// <nil>
	// keys: credential was revoked
}
