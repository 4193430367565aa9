package keys

import (
	"context"
	"errors"
	"iter"
	"math"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

const (
	// maxDraws bounds how often an ID that was used before is drawn again.
	maxDraws = 4
	// pageSize is how many records the manager asks a store for at once.
	pageSize = 100
	// walkSize is how many it asks for if it needs all of them.
	walkSize = 1000
	// sweepBatch is how many tokens are removed at once. It is small, since a
	// database may lock out its writers meanwhile.
	sweepBatch = 100
)

// Forever is a lifetime without an end: see [Spec], [Change] and [Rotation].
const Forever time.Duration = math.MaxInt64

// A Manager makes, changes and revokes credentials. It is safe for concurrent
// use, also by several processes on one store.
//
// Its methods take the organization that acts. To them, a credential of another
// organization or of another kind does not exist. The methods are for the host itself,
// and may do everything. What a caller asks for goes through
// [Manager.As], which lets the caller give away only what it has.
type Manager struct {
	store    *boundedStore
	verifier *Verifier
	queue    queue
	imports  chan struct{} // holds a value while a batch with entries is written
	settings
}

// NewManager returns a Manager over a store. A nil opts is the zero Options.
// The error says which option is wrong.
func NewManager(store Store, opts *Options) (*Manager, error) {
	if store == nil {
		return nil, errors.New("keys: NewManager needs a store")
	}
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	if err := s.trailed(store); err != nil {
		return nil, err
	}
	v := newVerifier(store, s)
	return &Manager{store: v.store, verifier: v, imports: make(chan struct{}, 1), settings: s}, nil
}

// Verifier returns the Verifier of m, over the same store with the same Options.
func (m *Manager) Verifier() *Verifier { return m.verifier }

// Catalog returns the catalog of scopes of the Options.
func (m *Manager) Catalog() *scopes.Catalog { return m.catalog }

// RateLimit returns how many requests a minute a credential may make, by the figure in
// its record and the plan of its organization. The error wraps [ErrUnavailable].
func (m *Manager) RateLimit(ctx context.Context, rec Record) (int, error) {
	return m.limit(ctx, rec.Org, rec.RateLimit)
}

// Get returns a credential of org, even if it is revoked or expired. An empty kind
// stands for all kinds. The error wraps [ErrNotFound] or [ErrUnavailable].
func (m *Manager) Get(ctx context.Context, org string, kind Kind, id string) (Record, error) {
	if !named.only(id) { // no format has such an ID
		return Record{}, ErrNotFound
	}
	rec, err := m.Find(ctx, id)
	if err == nil && (rec.Org != org || kind != "" && rec.Kind != kind) {
		err = ErrNotFound
	}
	if err != nil {
		return Record{}, err
	}
	return rec, nil
}

// Find returns a credential by its ID alone, whatever its organization. It is for
// operators. The error wraps [ErrNotFound] or [ErrUnavailable].
func (m *Manager) Find(ctx context.Context, id string) (Record, error) {
	if !PossibleID(id) {
		return Record{}, ErrNotFound
	}
	rec, _, err := m.store.Get(ctx, id)
	if err == nil && rec.ID != id {
		err = corrupt(ctx, "not the record that was asked for")
	}
	if err != nil {
		return Record{}, err
	}
	return rec, nil
}

// List iterates over the records that q asks for, in ascending byte order of
// their IDs. It reads pages of q.Limit records, or of 100 if q.Limit is zero, until
// there are no more. An error ends the iteration, and comes with the zero Record. It
// wraps [ErrInvalid] if [Query.Validate] refuses q, or [ErrUnavailable].
func (m *Manager) List(ctx context.Context, q Query) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		q := q // the iterator may be used again
		if q.Limit == 0 {
			q.Limit = pageSize
		}
		for {
			page, err := m.store.List(ctx, q)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for i := range page {
				if !q.selects(&page[i]) {
					// A mistake of the store must not show records of others.
					yield(Record{}, corrupt(ctx, "a list with a record that was not asked for"))
					return
				}
				q.After = page[i].ID
				if !yield(page[i], nil) {
					return
				}
			}
			if len(page) < q.Limit {
				return
			}
		}
	}
}

// Orgs iterates over the organizations that have a credential and whose names
// come after the given one, in ascending byte order. It is for operators. An error
// ends the iteration. It wraps [errors.ErrUnsupported] if the store is no
// [OrgStore], or [ErrUnavailable].
func (m *Manager) Orgs(ctx context.Context, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		after := after // the iterator may be used again
		for {
			page, err := m.store.orgs(ctx, after, pageSize)
			if err != nil {
				yield("", err)
				return
			}
			for _, org := range page {
				if org <= after { // or the iteration would never end
					yield("", corrupt(ctx, "organizations that are out of order"))
					return
				}
				if after = org; !yield(org, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

// Count returns how many keys or clients of org are neither revoked nor expired, but
// counts no further than to the number most, which must be at least 1. The error wraps
// [ErrInvalid] or [ErrUnavailable].
func (m *Manager) Count(ctx context.Context, org string, kind Kind, most int) (int, error) {
	if err := (Query{Org: org, Kind: kind, Limit: most}).Validate(); err != nil {
		return 0, err
	}
	now := time.Now()
	if m.store.counts() {
		n, err := m.store.count(ctx, org, kind, now, most)
		return min(n, most), err
	}
	n := 0
	for rec, err := range m.List(ctx, Query{Org: org, Kind: kind, Live: true, Limit: walkSize}) {
		if err != nil {
			return 0, err
		}
		if !rec.Expired(now) {
			n++
		}
		if n == most {
			break
		}
	}
	return n, nil
}

// LastUses returns when the credentials with the given IDs were last used. A
// credential without a known use is absent. If the Options have no Uses, the result is
// nil. The error wraps [ErrUnavailable].
func (m *Manager) LastUses(ctx context.Context, ids ...string) (map[string]time.Time, error) {
	if m.uses == nil {
		return nil, nil
	}
	bounded, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	uses, err := m.uses.last(bounded, ids)
	return uses, answer(ctx, err)
}

// Sweep removes the tokens that were expired or revoked before the given time, in
// batches, until there are no more. It returns how many it removed, even with an
// error, which wraps [ErrUnavailable]. Hosts call it on a ticker. Keys and clients
// stay forever.
func (m *Manager) Sweep(ctx context.Context, before time.Time) (int, error) {
	for n := 0; ; {
		swept, err := m.store.Sweep(ctx, before, sweepBatch)
		n += swept
		if err != nil || swept < sweepBatch {
			return n, err
		}
	}
}

// tell reports an event to the hook.
func (m *Manager) tell(ctx context.Context, t EventType, rec *Record) {
	if m.hook != nil {
		m.hook(ctx, Event{Type: t, Time: time.Now(), Org: rec.Org, ID: rec.ID, Kind: rec.Kind})
	}
}
