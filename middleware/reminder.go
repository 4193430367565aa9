package middleware

import (
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

const (
	// reminderInterval is the least time between two reminders that one key is
	// used although it has a successor.
	reminderInterval = time.Minute
	// maxReminded bounds the reminders that are remembered. Nobody can fill the
	// memory with made-up keys: each of these has a successor, and its secret was
	// right.
	maxReminded = 10_000
)

// tellReplaced tells the hook that a key which has a successor was used, unless it
// was told so within reminderInterval. The event e is the one that the hook has got
// for the request.
func (g *Guard) tellReplaced(q *request, t keys.EventType, e keys.Event, successor string) {
	if successor == "" || !g.reminded.due(reminder{e.ID, t}, e.Time) {
		return
	}
	e.Type, e.ReplacedBy = t, successor
	g.hook(g.hookContext(q), e)
}

// A reminder is the use of one key that has a successor, as the hook is told of it.
type reminder struct {
	id string
	t  keys.EventType
}

// reminders remember when the hook was last told of each. The zero value is ready.
type reminders struct {
	mu   sync.Mutex
	told map[reminder]time.Time
}

// due reports whether the hook is to be told of r at now, and notes that it is.
func (m *reminders) due(r reminder, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, known := m.told[r]
	if known && now.Sub(last) < reminderInterval {
		return false
	}
	if m.told == nil || len(m.told) >= maxReminded && !known {
		m.forget(now)
	}
	m.told[r] = now
	return true
}

// forget drops reminders that are older than the interval. If that makes too little
// room, it drops all: it is better to tell the hook twice than not at all.
func (m *reminders) forget(now time.Time) {
	kept := make(map[reminder]time.Time)
	for r, at := range m.told {
		if now.Sub(at) < reminderInterval {
			kept[r] = at
		}
	}
	if len(kept) >= maxReminded*3/4 {
		clear(kept)
	}
	m.told = kept
}
