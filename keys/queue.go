package keys

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxTurn bounds how long a change waits for others.
const maxTurn = 250 * time.Millisecond

// A queue lets the changes to one record through one after another, so that the
// changes of one process do not conflict with each other. It lets no change begin
// while somebody ends the credential. It is not needed for correctness: every write
// is compared with the version that was read. So a change waits for its turn for a
// short time only, and ending a credential never waits.
type queue struct {
	mu    sync.Mutex
	lines map[owned]*line // for records that somebody is writing
}

// An owned is an ID and the organization that named it. The record may belong to
// another organization, whose changes must not wait for those of this one.
type owned struct{ org, id string }

// A line has the calls that write one record.
type line struct {
	changing bool            // a change has the turn
	ending   int             // how many calls end the credential now
	waiting  []chan struct{} // each is closed to give a change its turn
}

// change waits for the turn to change a record, and returns a function that gives the
// turn back. If the wait takes too long, or ctx ends, it returns without the turn.
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
	return func() { q.leave(key) } // the change was given the turn meanwhile
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

// line returns the line of a record, and makes it if there is none.
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

// next gives the turn, if it is free, to the change that has waited longest. It drops
// a line that is empty.
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
