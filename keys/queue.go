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
// those of one process do not make each other fail, and lets none begin while
// somebody ends the credential. It is a courtesy: what keeps writers from undoing
// each other is the version that every write is compared with. So nobody waits
// for a turn for long, and nobody waits to end a credential.
type queue struct {
	mu    sync.Mutex
	lines map[string]*line // by ID, of records that somebody is writing
}

// A line has those who write one record.
type line struct {
	changing bool // somebody has the turn
	ending   int
	waiting  []chan struct{} // each is closed to give its owner the turn
}

// change waits for the turn to change a record, and returns what gives it back.
// If the wait takes too long, or ctx ends, it returns without the turn.
func (q *queue) change(ctx context.Context, id string) (leave func()) {
	q.mu.Lock()
	l := q.line(id)
	if !l.changing && l.ending == 0 {
		l.changing = true
		q.mu.Unlock()
		return func() { q.leave(id) }
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	q.mu.Unlock()

	timer := time.NewTimer(maxTurn)
	defer timer.Stop()
	select {
	case <-turn:
		return func() { q.leave(id) }
	case <-timer.C:
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(l.waiting, turn); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		q.next(id)
		return func() {}
	}
	return func() { q.leave(id) } // it was given the turn meanwhile
}

// end keeps changes from beginning until done is called.
func (q *queue) end(id string) (done func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.line(id).ending++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.lines[id].ending--
		q.next(id)
	}
}

// line returns the line of a record, which is made if there is none.
func (q *queue) line(id string) *line {
	l := q.lines[id]
	if l == nil {
		if q.lines == nil {
			q.lines = make(map[string]*line)
		}
		l = new(line)
		q.lines[id] = l
	}
	return l
}

func (q *queue) leave(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lines[id].changing = false
	q.next(id)
}

// next gives the turn to whoever waits longest, if it is free, and forgets a line
// that nobody is in.
func (q *queue) next(id string) {
	l := q.lines[id]
	switch {
	case l.changing || l.ending > 0:
	case len(l.waiting) > 0:
		l.changing = true
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
	default:
		delete(q.lines, id)
	}
}
