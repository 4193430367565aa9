package keys

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

const (
	// maxSlowPerID bounds the slow checks of one credential that run or wait.
	maxSlowPerID = 8
	// maxSlow bounds all of them.
	maxSlow = 128
)

// A slowLane bounds the checks of digests that are slow by design. At most half of
// the processors work on them, so that somebody who guesses at such a credential does
// not starve all other requests. For each credential one check runs at a time, so that
// its callers do not wait for somebody who guesses at another one. If too many checks
// wait already, a check fails.
type slowLane struct {
	places chan struct{} // has one element for each check that runs

	mu  sync.Mutex
	n   int
	ids map[string]*slowID
}

// A slowID has the checks of one credential.
type slowID struct {
	n    int
	turn chan struct{} // has an element while a check runs or waits for a place
}

func newSlowLane() *slowLane {
	return &slowLane{places: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), ids: make(map[string]*slowID)}
}

// enter waits until a check of the credential with the given ID may run. The caller
// calls leave after the check. The error says that too many checks wait, or is that of
// ctx.
func (l *slowLane) enter(ctx context.Context, id string) (leave func(), err error) {
	s, err := l.join(id)
	if err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		l.part(id, s)
		return nil, ctx.Err()
	}
	select {
	case l.places <- struct{}{}:
	case <-ctx.Done():
		<-s.turn
		l.part(id, s)
		return nil, ctx.Err()
	}
	return func() {
		<-l.places
		<-s.turn
		l.part(id, s)
	}, nil
}

func (l *slowLane) join(id string) (*slowID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.ids[id]
	if l.n >= maxSlow || s != nil && s.n >= maxSlowPerID {
		return nil, errors.New("keys: too many checks of slow digests at once")
	}
	if s == nil {
		s = &slowID{turn: make(chan struct{}, 1)}
		l.ids[id] = s
	}
	l.n++
	s.n++
	return s, nil
}

func (l *slowLane) part(id string, s *slowID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n--
	if s.n--; s.n == 0 {
		delete(l.ids, id)
	}
}
