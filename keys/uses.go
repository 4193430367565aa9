package keys

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// DefaultUsesInterval is how often uses are written by default.
	DefaultUsesInterval = 10 * time.Second
	// DefaultMaxUses is the default bound on the credentials whose uses wait to be
	// written.
	DefaultMaxUses = 100_000

	// writeTime bounds each write of uses or refusals. It is longer than the bound
	// on other calls of a store, since so much is written at once.
	writeTime = 5 * time.Second
)

// UsesOptions are the settings of [Uses].
type UsesOptions struct {
	// Interval is how often uses are written. If zero, DefaultUsesInterval.
	Interval time.Duration

	// Max bounds the credentials whose uses wait to be written. Uses of others
	// are dropped until the next write, and counted. If zero, DefaultMaxUses.
	Max int

	// OnError is called with the error of each write by Run that failed. The uses
	// are written with the next one. If nil, such errors are dropped.
	OnError func(error)
}

// Uses notes when credentials were last used, and writes that into a store. It writes
// many uses at once, and no request waits for it. The host gives it to its manager,
// and runs it:
//
//	uses, err := keys.NewUses(store, nil)
//	manager, err := keys.NewManager(store, &keys.Options{Uses: uses})
//	go uses.Run(ctx)
//
// Uses that are not written when the process is killed are lost. [Manager.LastUses]
// reads the times. Uses is safe for concurrent use.
type Uses struct {
	store UseStore
	opts  UsesOptions

	flushing sync.Mutex // held for a whole write

	mu      sync.Mutex
	pending map[string]time.Time
	writing map[string]time.Time // what is being written; not changed any more
	dropped uint64
}

// NewUses returns a Uses that writes to store. A nil opts is the zero
// UsesOptions. The error says which setting is wrong.
func NewUses(store UseStore, opts *UsesOptions) (*Uses, error) {
	if store == nil {
		return nil, errors.New("keys: NewUses needs a store")
	}
	u := &Uses{store: store, pending: make(map[string]time.Time)}
	if opts != nil {
		u.opts = *opts
	}
	if u.opts.Interval == 0 {
		u.opts.Interval = DefaultUsesInterval
	}
	if u.opts.Max == 0 {
		u.opts.Max = DefaultMaxUses
	}
	if u.opts.Interval < 0 || u.opts.Max < 0 {
		return nil, errors.New("keys: the interval and the bound of Uses must not be negative")
	}
	return u, nil
}

// Note records a use, for [Uses.Flush] to write. It does not wait for the store.
func (u *Uses) Note(id string, at time.Time) {
	at = whole(at)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.note(id, at)
}

// last returns when the credentials with the given IDs were last used, as far as
// the store or u knows. The error is the store's.
func (u *Uses) last(ctx context.Context, ids []string) (map[string]time.Time, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	// The uses that wait are read first, since they may be written while the store
	// is read.
	waiting := u.waiting(ids)
	uses, err := u.store.LastUses(ctx, ids)
	if err != nil {
		return nil, err
	}
	if uses == nil {
		uses = make(map[string]time.Time)
	}
	for id, at := range waiting {
		if at.After(uses[id]) {
			uses[id] = at
		}
	}
	return uses, nil
}

// waiting returns the uses of the given IDs that are not known to be written.
func (u *Uses) waiting(ids []string) map[string]time.Time {
	uses := make(map[string]time.Time)
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		for _, noted := range [...]map[string]time.Time{u.writing, u.pending} {
			if at := noted[id]; at.After(uses[id]) {
				uses[id] = at
			}
		}
	}
	return uses
}

// note is Note. The caller holds the lock.
func (u *Uses) note(id string, at time.Time) {
	last, known := u.pending[id]
	switch {
	case known && !at.After(last):
	case known || len(u.pending) < u.opts.Max:
		u.pending[id] = at
	default:
		u.dropped++
	}
}

// Dropped returns how many uses were dropped because of [UsesOptions].Max.
func (u *Uses) Dropped() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dropped
}

// Run writes what was noted at every interval until ctx ends, and once more
// then. It returns the error of that last write.
func (u *Uses) Run(ctx context.Context) error {
	ticker := time.NewTicker(u.opts.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := u.Flush(ctx); err != nil && u.opts.OnError != nil {
				u.opts.OnError(err)
			}
		case <-ctx.Done():
			return u.Flush(context.WithoutCancel(ctx))
		}
	}
}

// Flush writes what was noted so far. It takes five seconds at most. If the store
// fails, the uses are kept for the next Flush, and the error is the store's.
func (u *Uses) Flush(ctx context.Context) error {
	u.flushing.Lock()
	defer u.flushing.Unlock()
	u.mu.Lock()
	uses := u.pending
	u.writing, u.pending = uses, make(map[string]time.Time)
	u.mu.Unlock()
	if len(uses) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	err := u.store.NoteUses(ctx, uses)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.writing = nil
	if err != nil {
		for id, at := range uses {
			u.note(id, at)
		}
	}
	return err
}
