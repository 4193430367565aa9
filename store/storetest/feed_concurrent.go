package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A changelog has the IDs of records whose last write has returned.
type changelog struct {
	mu  sync.Mutex
	ids []string
}

func (l *changelog) add(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = append(l.ids, id)
}

// from returns what has been added after the first n.
func (l *changelog) from(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids[n:len(l.ids):len(l.ids)]
}

// pollWhileWriting has racers change records through the stores in turn, each record
// once, while one of them polls through the first store. It fails unless each change
// that had returned when a poll began is named by that poll or an earlier one. A poll
// that named the record before it was changed does not count. One more record is
// changed all the time, and a poll has to name it as soon as Get sees the change.
func (p *probe) pollWhileWriting(stores ...feedStore) {
	id, at := p.started(stores[0], "a")
	watched := p.sparse(keys.KindKey, "watched")
	p.insert(stores[0], watched)
	var log changelog
	var writing atomic.Int64
	writing.Store(racers - 1)
	p.parallel(racers, func(i int) {
		if i > 0 {
			defer writing.Add(-1)
		}
		switch i {
		case 0:
		case 1:
			for r, going := watched, p.going(); going(); pause() {
				r = p.updated(stores[1%len(stores)], r)
			}
			return
		default:
			p.changeMany(stores[i%len(stores)], i, &log)
			return
		}
		named := make(map[string]bool)
		known := watched.Version // when the Poll before had returned
		for seen, last := 0, false; !last; {
			last = writing.Load() == 0
			want := log.from(seen)
			version := p.get(stores[0], watched.ID).Version
			c := p.poll(stores[0], id, at)
			if version > known && !c.All && !slices.Contains(c.IDs, watched.ID) {
				p.failf("Poll did not name %s, of which Get had given version %d before the call, and version %d after the Poll before it",
					quote(watched.ID), version, known)
			}
			known = p.get(stores[0], watched.ID).Version
			for _, id := range c.IDs {
				r, _, err := stores[0].Get(p.ctx, id)
				named[id] = named[id] || err != nil || r.Version > 1
			}
			for _, id := range want {
				if !named[id] && !c.All {
					p.failf("Poll did not name %s, whose change had been written before the call, by one of %d callers at once", quote(id), racers-1)
				}
			}
			seen, at = seen+len(want), c.Next
			pause()
		}
	})
}

// changeMany inserts records, and changes or sweeps each of them once.
func (p *probe) changeMany(s feedStore, racer int, log *changelog) {
	for n, going := 0, p.going(); going() || n < 3*races; n++ {
		if n%8 == 7 {
			r := p.sparse(keys.KindToken, fmt.Sprintf("%d-%d", racer, n))
			r.ExpiresAt = expired
			p.insert(s, r)
			if removed, err := s.Sweep(p.ctx, now, 1); err != nil {
				p.failf("Sweep, while others wrote, failed: %v", err)
			} else if removed == 1 {
				_, _, err := s.Get(p.ctx, r.ID)
				if errors.Is(err, keys.ErrNotFound) { // this Sweep removed it, or another caller's did before
					log.add(r.ID)
				}
			}
			continue
		}
		r := p.sparse(keys.KindKey, fmt.Sprintf("%d-%d", racer, n))
		p.insert(s, r)
		p.update(s, r)
		log.add(r.ID)
	}
}

// feedMarkRaces has racers announce one cache all the time, until it is marked.
func feedMarkRaces(p *probe, s feedStore) {
	for n, going := 0, p.going(); going() || n < races; n++ {
		id, at := p.started(s, fmt.Sprint(n))
		var marked, done atomic.Bool
		p.parallel(racers, func(i int) {
			for last := false; !last && i > 0; pause() {
				last = done.Load()
				late := marked.Load()
				if err := s.Announce(p.ctx, id, time.Second); late {
					p.refused(err, keys.ErrNotAnnounced, "Announce of %s, which began after MarkIdle had returned it,", quote(id))
				}
			}
			if i > 0 {
				return
			}
			defer done.Store(true)
			pause()
			ids, err := s.MarkIdle(p.ctx, -time.Hour)
			p.ok(err, "MarkIdle, while others announced the cache,")
			marked.Store(len(ids) > 0)
		})
		if marked.Load() {
			p.notAnnounced(s, id, at, "which was marked while others announced it")
		}
		p.withdraw(s, id)
	}
}
