package storetest

import (
	"fmt"

	"github.com/claviger-auth/claviger/keys"
)

// trailAndRecord has one caller write, and others who look at the record and at the
// trail in turn.
func trailAndRecord(p *probe, s trailStore) {
	r := p.full(keys.KindKey, "watched")
	e := p.entry(r, 0)
	p.insertWith(s, r, e)
	chain := p.chainOf(s, r.Org)
	last := func() int64 {
		var n int64
		for after := int64(0); ; {
			page := p.entries(s, r.Org, chain.Name, after, 1000)
			if len(page) == 0 {
				return n
			}
			n, after = page[len(page)-1].Version, page[len(page)-1].Seq
		}
	}
	done := make(chan struct{})
	p.parallel(4, func(i int) {
		if i == 0 {
			defer close(done)
			for n, going := 1, p.going(); going(); n++ {
				r.Label = fmt.Sprint("version ", n)
				p.ok(s.Update(keys.NewEntryContext(p.ctx, p.entry(r, n)), r), "Update with an entry")
				r.Version++
				pause()
			}
			return
		}
		for writing := true; writing; {
			select {
			case <-done:
				writing = false
			default:
			}
			if version, entry := p.get(s, r.ID).Version, last(); entry < version {
				p.failf("Get gave version %d of a record, and the trail, which was read after that, ends with the entry of version %d", version, entry)
			}
			if entry, version := last(), p.get(s, r.ID).Version; version < entry {
				p.failf("the trail has the entry of version %d, and Get, which was called after that, gave version %d", entry, version)
			}
			pause()
		}
	})
	p.entriesThatFail(s)
}

func concurrentEntries(p *probe, s trailStore) { p.entriesAtOnce(s) }

// entriesAtOnce has racers write entries of one organization, by the stores in turn.
func (p *probe) entriesAtOnce(stores ...trailStore) {
	written := make([][]keys.Entry, racers)
	p.parallel(racers, func(i int) {
		s := stores[i%len(stores)]
		for n, going := 0, p.going(); going() || n < races; n++ {
			r := p.full(keys.KindKey, fmt.Sprint(i, " ", n))
			e := p.entry(r, 3*n)
			p.insertWith(s, r, e)
			next := p.entry(r, 3*n+1)
			p.ok(s.Update(keys.NewEntryContext(p.ctx, next), changed(r)), "Update with an entry, while others wrote,")
			added := p.entry(r, 3*n+2)
			p.ok(s.AddEntry(p.ctx, added), "AddEntry, while others wrote,")
			written[i] = append(written[i], e, next, added)
		}
	})
	all := make(map[keys.Entry]bool)
	for _, entries := range written {
		for _, e := range entries {
			all[e] = true
		}
	}
	got := 0
	for _, entries := range p.trail(stores[0], p.clause, "after many wrote at once") {
		for _, e := range entries {
			if !all[e] {
				p.failf("the trail has an entry that nobody wrote, or one twice, after many wrote at once:\n\t%s", showEntry(e))
			}
			delete(all, e)
			got++
		}
	}
	if len(all) > 0 {
		p.failf("the trail lacks %d entries, and has %d, after many wrote at once", len(all), got)
	}
}
