package keys

import (
	"context"
	"time"
)

// cleanUpTime is how long the library goes on, after the caller's context has
// ended, to take back what it did.
const cleanUpTime = 2 * time.Second

// cleanUp returns the context for taking something back: that of the caller,
// but for its end.
func cleanUp(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
}

// A boundedStore gives every call of a store a context that ends.
type boundedStore struct {
	store   Store
	timeout time.Duration
}

// bounded returns store with calls that end after a time. A store that is read
// in place waits for nothing, and stays as it is.
func bounded(store Store, timeout time.Duration) Store {
	if localView(store) != nil {
		return store
	}
	return &boundedStore{store, timeout}
}

func (b *boundedStore) Insert(ctx context.Context, r Record) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.store.Insert(ctx, r)
}

func (b *boundedStore) Get(ctx context.Context, id string) (rec, parent Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.store.Get(ctx, id)
}

func (b *boundedStore) Update(ctx context.Context, r Record) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.store.Update(ctx, r)
}

func (b *boundedStore) List(ctx context.Context, q Query) ([]Record, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.store.List(ctx, q)
}

func (b *boundedStore) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.store.Sweep(ctx, before, limit)
}
