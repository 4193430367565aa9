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
	// DefaultMaxUses is how many credentials are kept in mind between two writes
	// by default.
	DefaultMaxUses = 100_000

	lastWrite = 5 * time.Second // for the write after the end
)

// UsesOptions are the settings of [Uses].
type UsesOptions struct {
	// Interval is how often uses are written. If zero, DefaultUsesInterval.
	Interval time.Duration

	// Max bounds the credentials whose uses wait to be written. Uses of others
	// are dropped until the next write, and counted. If zero, DefaultMaxUses.
	Max int

	// OnError is told of writes that failed, which are tried again with the
	// next one. If nil, it is told of none.
	OnError func(error)
}

// Uses writes down when credentials were last used: many uses with one write,
// and never while a request waits. The host gives it to its manager, and runs it:
//
//	uses, err := keys.NewUses(store, nil)
//	manager, err := keys.NewManager(store, &keys.Options{Uses: uses})
//	go uses.Run(ctx)
//
// What has not been written when the process is killed is lost. Uses is safe for
// concurrent use.
type Uses struct {
	store   UseStore
	opts    UsesOptions
	mu      sync.Mutex
	pending map[string]time.Time
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

// Note records a use, for [Uses.Flush] to write.
func (u *Uses) Note(id string, at time.Time) {
	at = whole(at)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.note(id, at)
}

// Last returns when the credentials with the given IDs were last used, as far as
// the store or this Uses knows: those that are not known to have been used are
// absent. The error is the store's.
func (u *Uses) Last(ctx context.Context, ids ...string) (map[string]time.Time, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	uses, err := u.store.LastUses(ctx, ids)
	if err != nil {
		return nil, err
	}
	if uses == nil {
		uses = make(map[string]time.Time)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		if at, ok := u.pending[id]; ok && at.After(uses[id]) {
			uses[id] = at
		}
	}
	return uses, nil
}

// note is Note for those who hold the lock.
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

// Dropped returns how many uses were dropped for want of room.
func (u *Uses) Dropped() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dropped
}

// Run writes what was noted at every interval until ctx ends, and once more
// then, and returns the error of that last write.
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
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			return u.Flush(ctx)
		}
	}
}

// Flush writes what was noted until now. What it could not write it keeps in
// mind, and returns the store's error.
func (u *Uses) Flush(ctx context.Context) error {
	u.mu.Lock()
	uses := u.pending
	u.pending = make(map[string]time.Time)
	u.mu.Unlock()
	if len(uses) == 0 {
		return nil
	}
	err := u.store.NoteUses(ctx, uses)
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		for id, at := range uses {
			u.note(id, at)
		}
	}
	return err
}
