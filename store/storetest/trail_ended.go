package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

func trailEnded(p *probe, s trailStore) {
	r := p.full(keys.KindKey, "a")
	e := p.entry(r, 1)
	p.ok(s.AddEntry(p.ctx, e), "AddEntry")
	p.ended("AddEntry", func(ctx context.Context) error { return s.AddEntry(ctx, e) })
	for _, org := range []string{r.Org, r.Org + " that has none"} {
		chains, err := s.Chains(p.ctx, org)
		p.ok(err, "Chains")
		p.ended("Chains", func(ctx context.Context) error {
			_, err := s.Chains(ctx, org)
			return err
		})
		for _, c := range chains {
			p.ended("Entries", func(ctx context.Context) error {
				_, err := s.Entries(ctx, org, c.Name, 0, 10)
				return err
			})
			p.ended("CutEntries", func(ctx context.Context) error { return s.CutEntries(ctx, org, c.Name, 1) })
		}
	}
	p.sameTrail(s, r.Org, "after calls whose context had ended", e)
}

// entriesThatFail has Inserts and Updates write entries that [keys.Entry.Validate]
// refuses. A store may write them or fail.
func (p *probe) entriesThatFail(s trailStore) {
	r := p.full(keys.KindKey, "changed")
	p.insertWith(s, r, p.entry(r, 0))
	entries := func() (n int) {
		chains, err := s.Chains(p.ctx, r.Org)
		p.ok(err, "Chains of %s", quote(r.Org))
		for _, c := range chains {
			n += len(p.entries(s, r.Org, c.Name, c.Cut.Seq, 1<<20))
		}
		return n
	}
	for i, spoil := range []func(*keys.Entry){
		func(e *keys.Entry) { e.Reason = strings.Repeat("x", 1<<16) },
		func(e *keys.Entry) { e.Fields = "label\x00" },
		func(e *keys.Entry) { e.Actor = "\xff" },
		func(e *keys.Entry) { e.Action = keys.Action(strings.Repeat("x", 17)) },
	} {
		made := p.full(keys.KindKey, fmt.Sprint("made ", i))
		for _, next := range []keys.Record{made, changed(r)} {
			e := p.entry(next, 1)
			spoil(&e)
			before := entries()
			ctx := keys.NewEntryContext(p.ctx, e)
			write, what := s.Insert, "Insert"
			if next.ID == r.ID {
				write, what = s.Update, "Update"
			}
			err := write(ctx, next)
			got, _, absent := s.Get(p.ctx, next.ID)
			written := absent == nil && (next.ID != r.ID || got.Version > r.Version)
			if added := entries() > before; added != (err == nil) || written != (err == nil) {
				p.failf("%s with an entry that is not valid: error %v, record written: %t, entry written: %t; want both or neither", what, err, written, added)
			}
			if next.ID == r.ID {
				r = got
			}
		}
	}
}
