package storetest

import (
	"sync/atomic"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A tally is one record whose uses are noted by many, and the latest time that
// a call which has returned has noted for it.
type tally struct {
	id     string
	record keys.Record  // as it is stored; of the one caller who updates it
	latest atomic.Int64 // Unix milliseconds
}

// noted raises the latest time to t.
func (y *tally) noted(t time.Time) {
	for ms := t.UnixMilli(); ; {
		was := y.latest.Load()
		if ms <= was || y.latest.CompareAndSwap(was, ms) {
			return
		}
	}
}

func usesConcurrent(p *probe, s useStore) {
	tallies := make([]tally, 5)
	var ids []string
	for i := range tallies {
		y := &tallies[i]
		y.record = p.full(kinds[i%len(kinds)], show(i))
		y.id = y.record.ID
		p.insert(s, y.record)
		ids = append(ids, y.id)
	}
	var writing atomic.Int64
	writing.Store(racers - 1)
	p.parallel(racers, func(i int) {
		switch i {
		case 0:
			p.readUses(s, tallies, ids, &writing)
		case 1:
			defer writing.Add(-1)
			p.updateUsed(s, tallies)
		default:
			defer writing.Add(-1)
			p.noteMany(s, tallies, i)
		}
	})
	want := make(map[string]time.Time)
	for i := range tallies {
		y := &tallies[i]
		want[y.id] = time.UnixMilli(y.latest.Load())
		p.same(p.get(s, y.id), y.record, "a record that was updated while its uses were noted")
	}
	p.lastUses(s, want, "after many had noted uses at once", ids...)
}

// noteMany notes uses of all records in batches, at times that go back and forth.
func (p *probe) noteMany(s useStore, tallies []tally, racer int) {
	for n, going := 0, p.going(); going() || n < 2*races; n++ {
		batch := make(map[string]time.Time, len(tallies))
		for i := range tallies {
			ms := (n*7+i*3+racer*5)%20*1000 + racer
			batch[tallies[i].id] = used.Add(time.Duration(ms) * time.Millisecond)
		}
		p.noteUses(s, batch)
		for i := range tallies {
			tallies[i].noted(batch[tallies[i].id])
		}
		pause()
	}
}

// updateUsed updates the records in turn. Nobody else does, so all goes well.
func (p *probe) updateUsed(s useStore, tallies []tally) {
	for range races {
		for i := range tallies {
			tallies[i].record = p.updated(s, changed(tallies[i].record))
			pause()
		}
	}
}

// readUses reads the last uses until nobody writes any more, and fails if one is
// before what was noted or read when the call began.
func (p *probe) readUses(s useStore, tallies []tally, ids []string, writing *atomic.Int64) {
	for writing.Load() > 0 {
		least := make([]time.Time, len(tallies))
		for i := range tallies {
			least[i] = time.UnixMilli(tallies[i].latest.Load())
		}
		got, err := s.LastUses(p.ctx, ids)
		p.ok(err, "LastUses, while others noted uses,")
		for i := range tallies {
			t := got[ids[i]]
			if t.UnixMilli() < least[i].UnixMilli() && least[i].UnixMilli() > 0 {
				p.failf("LastUses gave %s for %s, though a later use, at %s, had been noted or read before the call",
					show(t), quote(ids[i]), show(least[i].UTC()))
			}
			if !t.IsZero() {
				tallies[i].noted(t)
			}
		}
		pause()
	}
}
