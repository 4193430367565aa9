package keys

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// cleanUpTime bounds how long the library takes to take back what it did, even after
// the caller's context has ended.
const cleanUpTime = 2 * time.Second

// cleanUp returns a context for taking something back. It has the values of the
// caller's context, but an end of its own.
func cleanUp(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
}

// A boundedStore gives every call of a store a context that ends. Its errors wrap
// ErrUnavailable if the store could not answer.
type boundedStore struct {
	store   Store
	timeout time.Duration
}

// bounded returns a boundedStore over store, or over the store behind it if that is
// a Cache. Calls end after the timeout, except for those of a store that is read in
// place, since it never waits.
func bounded(store Store, timeout time.Duration) *boundedStore {
	if cache, ok := store.(*Cache); ok {
		store = cache.store
	}
	if localView(store) != nil {
		timeout = math.MaxInt64
	}
	return &boundedStore{store, timeout}
}

// context returns the context for one call.
func (b *boundedStore) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.timeout == math.MaxInt64 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, b.timeout)
}

func (b *boundedStore) Insert(ctx context.Context, r Record) error {
	bounded, cancel := b.context(ctx)
	defer cancel()
	return answer(ctx, b.store.Insert(bounded, r))
}

func (b *boundedStore) Get(ctx context.Context, id string) (rec, parent Record, err error) {
	bounded, cancel := b.context(ctx)
	defer cancel()
	rec, parent, err = b.store.Get(bounded, id)
	return rec, parent, answer(ctx, err)
}

func (b *boundedStore) Update(ctx context.Context, r Record) error {
	bounded, cancel := b.context(ctx)
	defer cancel()
	return answer(ctx, b.store.Update(bounded, r))
}

func (b *boundedStore) List(ctx context.Context, q Query) ([]Record, error) {
	bounded, cancel := b.context(ctx)
	defer cancel()
	page, err := b.store.List(bounded, q)
	return page, answer(ctx, err)
}

func (b *boundedStore) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	bounded, cancel := b.context(ctx)
	defer cancel()
	n, err := b.store.Sweep(bounded, before, limit)
	return n, answer(ctx, err)
}

// batches reports whether the store is a BatchStore. Otherwise batch must not be
// called.
func (b *boundedStore) batches() bool {
	_, ok := b.store.(BatchStore)
	return ok
}

func (b *boundedStore) batch(ctx context.Context, f func(ctx context.Context) error) error {
	bounded, cancel := b.context(ctx)
	defer cancel()
	return answer(ctx, b.store.(BatchStore).Batch(bounded, f))
}

// counts reports whether the store is a CountStore. Otherwise count must not be
// called.
func (b *boundedStore) counts() bool {
	_, ok := b.store.(CountStore)
	return ok
}

func (b *boundedStore) count(ctx context.Context, org string, kind Kind, now time.Time, most int) (int, error) {
	bounded, cancel := b.context(ctx)
	defer cancel()
	n, err := b.store.(CountStore).Count(bounded, org, kind, now, most)
	return n, answer(ctx, err)
}

// orgs returns a page of organizations. The error wraps errors.ErrUnsupported if the
// store is no OrgStore.
func (b *boundedStore) orgs(ctx context.Context, after string, limit int) ([]string, error) {
	store, ok := b.store.(OrgStore)
	if !ok {
		return nil, fmt.Errorf("keys: the store lists no organizations: %w", errors.ErrUnsupported)
	}
	bounded, cancel := b.context(ctx)
	defer cancel()
	page, err := store.Orgs(bounded, after, limit)
	return page, answer(ctx, err)
}

// answer returns the error of a store in the form that callers of this package
// expect: errors that are answers stay as they are, and all others are wrapped in
// ErrUnavailable. The context is that of the caller.
func answer(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	for _, known := range [...]error{ErrNotFound, ErrExists, ErrConflict, ErrInvalid, ErrTampered, errors.ErrUnsupported} {
		if errors.Is(err, known) {
			return err
		}
	}
	return unavailable(ctx, err)
}

// unavailable returns an error that wraps ErrUnavailable, err, and the error of
// the caller's context if that has ended. It wraps context.Canceled only if the
// caller's own context was canceled: otherwise a store that gives up for reasons of
// its own would look like a caller that has gone.
func unavailable(ctx context.Context, err error) error {
	ended := ctx.Err()
	if errors.Is(err, context.Canceled) && !errors.Is(ended, context.Canceled) {
		err = errors.New(err.Error())
	}
	if ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, ended, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
