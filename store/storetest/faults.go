package storetest

import (
	"context"
	"fmt"
	"sync"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// Always is a number of calls that never runs out.
const Always = -1

// Faults is a store that passes calls on to another store, counts them, and makes
// calls go wrong that a test chooses. So a host can see what its service does if a
// database is down or slow, or if the answer to a write is lost.
//
// Each method has its own faults. A call of a method that is blocked waits first. Then
// it fails, or is passed on. Then its answer may be lost or corrupted. A Faults is
// safe for concurrent use. It is made by [NewFaults].
//
// A Faults has the methods of [keys.UseStore], [keys.CountStore], [keys.OrgStore] and
// [keys.TrailStore], whether or not the other store has them. It is no
// [keys.BatchStore], so an import inserts each row by itself. For [keys.Feed] there is
// [FeedFaults]. If the other store keeps no uses, lists no organizations or keeps no
// trail, the methods for these fail with an error that wraps [errors.ErrUnsupported].
// If it does not count, Count calls List, as callers of a store without Count do. The
// faults and the counts of [List] then apply too.
type Faults struct {
	store store.Store
	uses  keys.UseStore   // the store, if it is one
	count keys.CountStore // the store, if it is one
	orgs  keys.OrgStore   // the store, if it is one
	trail keys.TrailStore // the store, if it is one

	mu     sync.Mutex
	states [methods]state
}

var (
	_ store.Store     = (*Faults)(nil)
	_ keys.UseStore   = (*Faults)(nil)
	_ keys.CountStore = (*Faults)(nil)
	_ keys.OrgStore   = (*Faults)(nil)
	_ keys.TrailStore = (*Faults)(nil)
)

// A state is what a Faults knows of one method.
type state struct {
	calls   int
	fail    fault
	lose    fault
	corrupt fault
	gate    chan struct{} // closed when calls may go on; nil if they are not blocked
	blocks  int           // how often they are
}

// A fault is what happens to the next calls.
type fault struct {
	left   int // calls that it happens to; below 0 for all
	err    error
	change func(*keys.Record)
}

// next reports whether the fault happens to this call, and counts it.
func (f *fault) next() bool {
	if f.left == 0 {
		return false
	}
	f.left--
	if f.left < 0 {
		f.left = Always
	}
	return true
}

// NewFaults returns a store that passes every call on to s, until it is told
// otherwise. It panics if s is nil.
func NewFaults(s store.Store) *Faults {
	if s == nil {
		panic("storetest: NewFaults of a nil store")
	}
	f := &Faults{store: s}
	f.uses, _ = s.(keys.UseStore)
	f.count, _ = s.(keys.CountStore)
	f.orgs, _ = s.(keys.OrgStore)
	f.trail, _ = s.(keys.TrailStore)
	return f
}

// within returns the store that calls are passed on to.
func (f *Faults) within() store.Store { return f.store }

// Calls returns how many calls of m have begun, those included that were
// blocked or that failed.
func (f *Faults) Calls(m Method) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.states[m].calls
}

// Fail makes the next n calls of m fail with err, which must not be nil, and not
// reach the store. With [Always] all calls fail, and with 0 none does any more.
func (f *Faults) Fail(m Method, n int, err error) {
	f.set(m, n, err, func(s *state) *fault { return &s.fail })
}

// Lose makes the next n calls of m fail with err after the store has done what they
// asked for. So a write is done, and the caller cannot know. Calls that [Faults.Fail]
// makes fail do not count. [Always] and 0 are as for Fail.
func (f *Faults) Lose(m Method, n int, err error) {
	f.set(m, n, err, func(s *state) *fault { return &s.lose })
}

func (f *Faults) set(m Method, n int, err error, which func(*state) *fault) {
	if err == nil && n != 0 {
		panic(fmt.Sprintf("storetest: a fault of %v without an error", m))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	*which(&f.states[m]) = fault{left: n, err: err}
}

// Corrupt makes the next n calls of m, which is [Get] or [List], call change on the
// records that they return, for example to give them another ID or organization, or
// no digest. The stored records stay as they are. Calls that find nothing count too.
// Get calls change on the record and then on its parent, if it has one. Corrupt panics
// for other methods. [Always] and 0 are as for [Faults.Fail].
func (f *Faults) Corrupt(m Method, n int, change func(*keys.Record)) {
	if m != Get && m != List {
		panic(fmt.Sprintf("storetest: Corrupt of %v, which returns no records", m))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.states[m].corrupt = fault{left: n, change: change}
}

// Block makes calls of m wait until release is called. If a call's context ends before
// that, the call fails with the error of the context. Calls that have begun already
// are not held up. Block is for tests of time limits; in a bubble of package
// testing/synctest these take no real time. If m is blocked several times, calls wait
// for the last release. Calling one release again does nothing.
func (f *Faults) Block(m Method) (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.states[m]
	if s.blocks == 0 {
		s.gate = make(chan struct{})
	}
	s.blocks++
	gate := s.gate
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if s.gate != gate { // healed meanwhile
			return
		}
		if s.blocks--; s.blocks == 0 {
			s.open()
		}
	})
}

// open lets calls that wait go on.
func (s *state) open() {
	if s.gate != nil {
		close(s.gate)
	}
	s.gate, s.blocks = nil, 0
}

// Heal ends all faults, and lets calls that wait go on. The counts stay.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.states {
		s := &f.states[i]
		s.open()
		s.fail, s.lose, s.corrupt = fault{}, fault{}, fault{}
	}
}

// begin counts a call and returns the faults that are to happen to its answer,
// or an error if it must not be passed on.
func (f *Faults) begin(ctx context.Context, m Method) (answer, error) {
	f.mu.Lock()
	f.states[m].calls++
	gate := f.states[m].gate
	f.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return answer{}, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.states[m]
	if s.fail.next() {
		return answer{}, s.fail.err
	}
	var a answer
	if s.lose.next() {
		a.lost = s.lose.err
	}
	if s.corrupt.next() {
		a.change = s.corrupt.change
	}
	return a, nil
}

// An answer is what becomes of the answer to one call.
type answer struct {
	lost   error
	change func(*keys.Record)
}
