package storetest

import (
	"testing"
	"time"

	"github.com/claviger-auth/claviger/store"
)

// Options tell the kit more about a store than how it is opened. S is the interface
// that the store is tested for. A nil *Options is the zero Options.
type Options[S any] struct {
	// Second returns another store on the data of s, as a second process would
	// have it: with connections and caches of its own. It closes what has to be
	// closed by t.Cleanup. If nil, the clauses about two handles are skipped.
	Second func(t testing.TB, s S) S

	// Break makes the database of s fail: it stops it, freezes it or cuts it off. A
	// frozen one finds most, since calls then wait instead of failing at once. The
	// function that it returns makes the database work again, with the data that
	// it had. If nil, the clauses about a broken database are skipped.
	Break func(t testing.TB, s S) (mend func())

	// Race is how long the callers of each clause about concurrency go on. If
	// zero, 150 milliseconds, or 5 with go test -short. A longer race finds more
	// stores that are wrong only for some nanoseconds.
	Race time.Duration
}

// race returns how long races are.
func (o *Options[S]) race() time.Duration {
	switch {
	case o.Race > 0:
		return o.Race
	case testing.Short():
		return 5 * time.Millisecond
	}
	return 150 * time.Millisecond
}

// half returns the options for one of the halves of a store.Store.
func half[S any](o *Options[store.Store], of func(store.Store) S) *Options[S] {
	if o == nil {
		return nil
	}
	h := &Options[S]{Race: o.Race}
	if o.Second != nil {
		h.Second = func(t testing.TB, s S) S { return of(o.Second(t, any(s).(store.Store))) }
	}
	if o.Break != nil {
		h.Break = func(t testing.TB, s S) (mend func()) { return o.Break(t, any(s).(store.Store)) }
	}
	return h
}
