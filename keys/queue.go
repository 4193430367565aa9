package keys

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxTurn bounds how long a change waits for others.
const maxTurn = 250 * time.Millisecond

// A queue lets the changes to one record through one after another, so that
// those of one process do not make each other fail. It lets none begin while
// somebody ends the credential. It is a courtesy: what keeps writers from undoing
// each other is the version that every write is compared with. So nobody waits
// for a turn for long, and nobody waits to end a credential.
type queue struct {
	mu    sync.Mutex
	lines map[owned]*line // of records that somebody is writing
}

// An owned is an ID that an organization named. Whether it is one of its own is
// not known yet: calls for the IDs of others must not stand in their way.
type owned struct{ org, id string }

// A line has those who write one record.
type line struct {
	changing bool // somebody has the turn
	ending   int
	waiting  []chan struct{} // each is closed to give its owner the turn
}

// change waits for the turn to change a record, and returns what gives it back.
// If the wait takes too long, or ctx ends, it returns without the turn.
func (q *queue) change(ctx context.Context, org, id string) (leave func()) {
	key := owned{org, id}
	q.mu.Lock()
	l := q.line(key)
	if !l.changing && l.ending == 0 {
		l.changing = true
		q.mu.Unlock()
		return func() { q.leave(key) }
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	q.mu.Unlock()

	timer := time.NewTimer(maxTurn)
	defer timer.Stop()
	select {
	case <-turn:
		return func() { q.leave(key) }
	case <-timer.C:
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(l.waiting, turn); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		return func() {}
	}
	return func() { q.leave(key) } // it was given the turn meanwhile
}

// end keeps changes from beginning until done is called.
func (q *queue) end(org, id string) (done func()) {
	key := owned{org, id}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.line(key).ending++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.lines[key].ending--
		q.next(key)
	}
}

// line returns the line of a record, which is made if there is none.
func (q *queue) line(key owned) *line {
	l := q.lines[key]
	if l == nil {
		if q.lines == nil {
			q.lines = make(map[owned]*line)
		}
		l = new(line)
		q.lines[key] = l
	}
	return l
}

func (q *queue) leave(key owned) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lines[key].changing = false
	q.next(key)
}

// next gives the turn to whoever waits longest, if it is free, and forgets a line
// that nobody is in.
func (q *queue) next(key owned) {
	l := q.lines[key]
	switch {
	case l.changing || l.ending > 0:
	case len(l.waiting) > 0:
		l.changing = true
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
	default:
		delete(q.lines, key)
	}
}
