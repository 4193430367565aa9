package storetest

import (
	"fmt"

	"github.com/claviger-auth/claviger/keys"
)

func trailIsCut(p *probe, s trailStore) {
	r := p.full(keys.KindKey, "a")
	var all []keys.Entry
	add := func(n int) {
		for range n {
			e := p.entry(r, len(all))
			p.ok(s.AddEntry(p.ctx, e), "AddEntry")
			all = append(all, e)
		}
	}
	other := r
	other.Org += " of others"
	add(10)
	p.ok(s.AddEntry(p.ctx, p.entry(other, 1)), "AddEntry")
	chain := p.chainOf(s, r.Org)
	cut := func(upTo, want int64) {
		p.ok(s.CutEntries(p.ctx, r.Org, chain.Name, upTo), "CutEntries up to %d", upTo)
		when := fmt.Sprintf("after CutEntries up to %d", upTo)
		p.sameTrail(s, r.Org, when, all[want:]...)
		if now := p.chainOf(s, r.Org); now.Cut.Seq != want || now.Last.Seq != int64(len(all)) {
			p.failf("Chains says that the chain was cut at %d and ends at %d %s, want %d and %d", now.Cut.Seq, now.Last.Seq, when, want, len(all))
		}
		if got := p.entries(s, r.Org, chain.Name, 0, 1000); len(got) != len(all)-int(want) {
			p.failf("Entries gave %d entries %s, want %d", len(got), when, len(all)-int(want))
		}
	}
	absent := func(upTo int64) {
		p.refused(s.CutEntries(p.ctx, r.Org, chain.Name, upTo), keys.ErrNotFound, "CutEntries up to %d of a chain of %d", upTo, len(all))
	}
	absent(0)
	absent(-1)
	absent(11)
	p.refused(s.CutEntries(p.ctx, r.Org, "no chain of this name", 1), keys.ErrNotFound, "CutEntries of a chain that is not there")
	p.refused(s.CutEntries(p.ctx, "nobody", chain.Name, 1), keys.ErrNotFound, "CutEntries of a chain without entries")
	cut(4, 4)
	cut(4, 4) // again
	cut(2, 4) // cut before
	add(2)
	cut(12, 12) // all
	absent(13)
	add(3)
	cut(13, 13)
	p.sameTrail(s, r.Org, "after all of it", all[13:]...)
	p.sameTrail(s, other.Org, "after that of another was cut", p.entry(other, 1))
}

// chainOf returns the one chain of an organization that has entries.
func (p *probe) chainOf(s trailStore, org string) (found keys.Chain) {
	chains, err := s.Chains(p.ctx, org)
	p.ok(err, "Chains of %s", quote(org))
	for _, c := range chains {
		if c.Last.Seq > 0 {
			found = c
		}
	}
	return found
}
