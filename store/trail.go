package store

import (
	"context"
	"sync"

	"github.com/claviger-auth/claviger/keys"
)

// trails are the trails of a Memory, by organization.
type trails struct {
	mu  sync.RWMutex
	all map[string]*trail
}

// A trail is the one chain of an organization.
type trail struct {
	mu      sync.RWMutex
	cut     keys.Link
	entries []keys.Entry // those after cut
}

// last returns the place of the last entry. The caller holds the lock.
func (t *trail) last() keys.Link {
	if n := len(t.entries); n > 0 {
		return t.entries[n-1].Link()
	}
	return t.cut
}

// of returns the trail of an organization, or nil.
func (t *trails) of(org string) *trail {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.all[org]
}

// make returns the trail of an organization, which it makes if there is none.
func (t *trails) make(org string) *trail {
	if found := t.of(org); found != nil {
		return found
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	found := t.all[org]
	if found == nil {
		if t.all == nil {
			t.all = make(map[string]*trail)
		}
		found = new(trail)
		t.all[org] = found
	}
	return found
}

// write calls do, which writes r. If do returns true, write adds the entry that ctx
// has for r. Readers of the trail wait meanwhile, so that nobody who has seen the
// change misses the entry.
func (t *trails) write(ctx context.Context, r *keys.Record, do func() bool) {
	e, ok := keys.EntryFor(ctx, r)
	if !ok {
		do()
		return
	}
	trail := t.make(e.Org)
	trail.mu.Lock()
	defer trail.mu.Unlock()
	if do() {
		trail.add(e)
	}
}

// add adds an entry. The caller holds the lock.
func (t *trail) add(e keys.Entry) {
	e.Chain = ""
	t.entries = append(t.entries, e.Follow(t.last()))
}

// AddEntry adds an entry, as [keys.TrailStore] says.
func (m *Memory) AddEntry(ctx context.Context, e keys.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.Validate(); err != nil {
		return err
	}
	t := m.trails.make(e.Org)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(e)
	return nil
}

// Chains returns the one chain of an organization, as [keys.TrailStore] says.
func (m *Memory) Chains(ctx context.Context, org string) ([]keys.Chain, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := m.trails.of(org)
	if t == nil {
		return []keys.Chain{{}}, nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return []keys.Chain{{Cut: t.cut, Last: t.last()}}, nil
}

// Entries returns a page of entries, as [keys.TrailStore] says.
func (m *Memory) Entries(ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, errLimit
	}
	t := m.trails.of(org)
	if t == nil || chain != "" {
		return []keys.Entry{}, nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	from := min(max(after, t.cut.Seq)-t.cut.Seq, int64(len(t.entries)))
	page := t.entries[from:]
	return append([]keys.Entry{}, page[:min(limit, len(page))]...), nil
}

// CutEntries removes entries, as [keys.TrailStore] says.
func (m *Memory) CutEntries(ctx context.Context, org, chain string, upTo int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := m.trails.of(org)
	if t == nil || chain != "" {
		return ErrNotFound
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := upTo - t.cut.Seq
	switch {
	case upTo < 1 || n > int64(len(t.entries)):
		return ErrNotFound
	case n <= 0: // cut before
		return nil
	}
	t.cut = t.entries[n-1].Link()
	t.entries = append([]keys.Entry{}, t.entries[n:]...) // a copy, which frees the memory of the others
	return nil
}
