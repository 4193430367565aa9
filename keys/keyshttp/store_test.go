package keyshttp_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// mapStore is a keys.Store in memory, as small as the contract permits.
type mapStore struct {
	mu      sync.Mutex
	records map[string]keys.Record
	// before, if not nil, is called ahead of each method, outside the lock; its
	// error is the method's.
	before func(method string) error
}

func newMapStore() *mapStore { return &mapStore{records: make(map[string]keys.Record)} }

func (s *mapStore) enter(ctx context.Context, method string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.before != nil {
		return s.before(method)
	}
	return nil
}

func (s *mapStore) Insert(ctx context.Context, r keys.Record) error {
	if err := s.enter(ctx, "Insert"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.Validate(); err != nil {
		return err
	}
	if _, used := s.records[r.ID]; used {
		return keys.ErrExists
	}
	s.records[r.ID] = r
	return nil
}

func (s *mapStore) Get(ctx context.Context, id string) (keys.Record, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return keys.Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[id]
	if !ok {
		return keys.Record{}, keys.ErrNotFound
	}
	return r, nil
}

func (s *mapStore) Update(ctx context.Context, r keys.Record) error {
	if err := s.enter(ctx, "Update"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.records[r.ID]
	switch {
	case r.Validate() != nil:
		return r.Validate()
	case !ok || old.Org != r.Org:
		return keys.ErrNotFound
	case old.Version != r.Version, old.Revoked() && (!r.Revoked() || r.RevokedAt.After(old.RevokedAt)):
		return keys.ErrConflict
	}
	r.Version++
	s.records[r.ID] = r
	return nil
}

func (s *mapStore) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := s.enter(ctx, "List"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var page []keys.Record
	for _, r := range s.records {
		if r.Org == q.Org && r.Kind == q.Kind && r.ID > q.After {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) })
	return page[:min(q.Limit, len(page))], nil
}

func (s *mapStore) Sweep(context.Context, time.Time, int) (int, error) { return 0, nil }

// edit changes a record as another writer would.
func (s *mapStore) edit(id string, change func(*keys.Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	change(&r)
	r.Version++
	s.records[id] = r
}
