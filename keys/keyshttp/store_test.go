package keyshttp_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// mapStore is a keys.Store in memory, as small as the contract permits, that
// counts what is asked of it.
type mapStore struct {
	mu      sync.Mutex
	records map[string]keys.Record
	calls   map[string]int // by method, and for Get also by the ID: "Get vck_live_x"
	order   []string       // the keys of calls, in order
	listed  int            // how many records List has returned
	live    bool           // every Query was Live
	// before and after, if not nil, are called ahead of each method and when it
	// is done, outside the lock; the error of before is the method's.
	before func(method string) error
	after  func(method string)
}

func newMapStore() *mapStore {
	return &mapStore{records: make(map[string]keys.Record), calls: make(map[string]int), live: true}
}

// enter begins a method, and returns what ends it.
func (s *mapStore) enter(ctx context.Context, method string) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.before != nil {
		if err := s.before(method); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	s.calls[method]++
	s.order = append(s.order, method)
	return func() {
		s.mu.Unlock()
		if s.after != nil {
			s.after(method)
		}
	}, nil
}

func (s *mapStore) Insert(ctx context.Context, r keys.Record) error {
	leave, err := s.enter(ctx, "Insert")
	if err != nil {
		return err
	}
	defer leave()
	if err := r.Validate(); err != nil {
		return err
	}
	if _, used := s.records[r.ID]; used {
		return keys.ErrExists
	}
	s.records[r.ID] = r
	return nil
}

func (s *mapStore) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	leave, err := s.enter(ctx, "Get")
	if err != nil {
		return rec, parent, err
	}
	defer leave()
	s.calls["Get "+id]++
	s.order[len(s.order)-1] = "Get " + id
	rec, ok := s.records[id]
	if !ok {
		return rec, parent, keys.ErrNotFound
	}
	return rec, s.records[rec.Parent], nil
}

func (s *mapStore) Update(ctx context.Context, r keys.Record) error {
	leave, err := s.enter(ctx, "Update")
	if err != nil {
		return err
	}
	defer leave()
	old, ok := s.records[r.ID]
	if !ok {
		return keys.ErrNotFound
	}
	next, err := keys.Next(old, r)
	if err == nil {
		s.records[r.ID] = next
	}
	return err
}

func (s *mapStore) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	leave, err := s.enter(ctx, "List")
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var page []keys.Record
	for _, r := range s.records {
		if r.Org == q.Org && r.Kind == q.Kind && r.ID > q.After && !(q.Live && r.Revoked()) {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) })
	page = page[:min(q.Limit, len(page))]
	s.listed, s.live = s.listed+len(page), s.live && q.Live
	return page, nil
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

// reset forgets what was counted.
func (s *mapStore) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
	s.order = nil
	s.listed, s.live = 0, true
}
