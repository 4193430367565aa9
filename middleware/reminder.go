package middleware

import (
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

const (
	// reminderInterval is how often the hook is told, at most, that a key is used
	// although it has a successor.
	reminderInterval = time.Minute
	// maxReminded bounds the keys that are remembered. Each has a successor, and
	// its secret was right.
	maxReminded = 10_000
)

// tellReplaced tells the hook of the use of a key that has a successor, unless it
// was told of that lately. The event is the one that was told of the request.
func (g *Guard) tellReplaced(q *request, t keys.EventType, e keys.Event, successor string) {
	if successor == "" || !g.reminded.due(reminder{e.ID, t}, e.Time) {
		return
	}
	e.Type, e.ReplacedBy = t, successor
	g.hook(q.ctx, e)
}

// A reminder is what the hook is told again and again.
type reminder struct {
	id string
	t  keys.EventType
}

// reminders remember what the hook was told lately. The zero value is ready.
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

// forget forgets what was told longer ago than the interval, and all if that makes
// too little room: it is better to tell something twice than not at all.
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
