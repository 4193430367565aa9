package keys

import (
	"context"
	"slices"
	"sync"
)

// A queue lets the changes to one record through one after another, so that
// those of one process do not make each other fail. Whoever ends a credential
// goes before all who wait to change it.
type queue struct {
	mu    sync.Mutex
	lines map[string]*line // by ID, of records that somebody is changing
}

// A line has those who wait to change one record. Each waits for its channel to
// be closed, which gives it the turn.
type line struct{ ending, changing []chan struct{} }

// enter waits for the turn to change a record, which leave gives back. The error
// is that of ctx.
func (q *queue) enter(ctx context.Context, id string, ends bool) error {
	q.mu.Lock()
	l := q.lines[id]
	if l == nil {
		if q.lines == nil {
			q.lines = make(map[string]*line)
		}
		q.lines[id] = new(line)
		q.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	if ends {
		l.ending = append(l.ending, turn)
	} else {
		l.changing = append(l.changing, turn)
	}
	q.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	is := func(c chan struct{}) bool { return c == turn }
	waiting := len(l.ending) + len(l.changing)
	l.ending, l.changing = slices.DeleteFunc(l.ending, is), slices.DeleteFunc(l.changing, is)
	if len(l.ending)+len(l.changing) == waiting {
		q.next(id) // it was given the turn meanwhile
	}
	return ctx.Err()
}

// leave gives the turn to the next in line.
func (q *queue) leave(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next(id)
}

func (q *queue) next(id string) {
	l := q.lines[id]
	switch {
	case len(l.ending) > 0:
		close(l.ending[0])
		l.ending = l.ending[1:]
	case len(l.changing) > 0:
		close(l.changing[0])
		l.changing = l.changing[1:]
	default:
		delete(q.lines, id)
	}
}
