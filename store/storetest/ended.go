package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

const endedDoc = " with a context that has ended fails with an error, which is none of ErrNotFound, ErrExists, ErrConflict and ErrInvalid"

var contextClauses = []clause[keys.Store]{
	rule("context-ended-insert",
		"Insert"+endedDoc+", and adds nothing. The caller was told that it failed, and will not know of the record.",
		endedInsert, roundTrip, notFound),
	rule("context-ended-get",
		"Get"+endedDoc+". A request that ran out of time must not be told that its credential is unknown.",
		endedGet, roundTrip, notFound),
	rule("context-ended-update",
		"Update"+endedDoc+", and changes nothing.",
		endedUpdate, compares),
	rule("context-ended-list",
		"List"+endedDoc+". An empty list is an answer; a host would show it.",
		endedList, lists),
	rule("context-ended-sweep",
		"Sweep"+endedDoc+", and removes nothing.",
		endedSweep, sweeps),
	rule("context-ends-during-writes",
		"A write whose context ends while it runs is done in full or not at all, and returns soon. An error is none of ErrNotFound, "+
			"ErrExists, ErrConflict and ErrInvalid, unless it is the answer to the call. A store that writes in two steps "+
			"without a transaction leaves half a record, or one that is in no list.",
		endsDuringWrites, "context-ended-insert", "context-ended-update", increments, listFresh),
}

// ended calls f with contexts that were cancelled and that timed out. Each call
// must fail, and blame nothing but its context.
func (p *probe) ended(call string, f func(context.Context) error) {
	cancelled, cancel := context.WithCancel(p.ctx)
	cancel()
	late, cancel := context.WithDeadline(p.ctx, time.Unix(1, 0))
	defer cancel()
	for _, ctx := range []context.Context{cancelled, late} {
		err := f(ctx)
		if err == nil {
			p.failf("%s went well although its context had ended (%v)", call, ctx.Err())
		}
		p.blamesNobody(err, "%s, whose context had ended (%v),", call, ctx.Err())
	}
}

// blamesNobody fails if err is one of those that say what is wrong with a record
// or a query.
func (p *probe) blamesNobody(err error, format string, args ...any) {
	for _, wrong := range []error{keys.ErrNotFound, keys.ErrExists, keys.ErrConflict, keys.ErrInvalid} {
		if errors.Is(err, wrong) {
			p.failf("%s failed with %q, which wraps %q", fmt.Sprintf(format, args...), err, wrong)
		}
	}
}

func endedInsert(p *probe, s keys.Store) {
	r := p.full(keys.KindKey, "a")
	p.ended("Insert", func(ctx context.Context) error { return s.Insert(ctx, r) })
	p.absent(s, r.ID)
	p.insert(s, r)
	p.ended("Insert of an ID that exists", func(ctx context.Context) error { return s.Insert(ctx, r) })
}

func endedGet(p *probe, s keys.Store) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	for _, id := range []string{r.ID, p.clause + ".nobody"} {
		p.ended("Get", func(ctx context.Context) error {
			_, _, err := s.Get(ctx, id)
			return err
		})
	}
}

func endedUpdate(p *probe, s keys.Store) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	stale, absent := changed(r), changed(r)
	stale.Version = 7
	absent.ID = p.clause + ".nobody"
	for _, next := range []keys.Record{changed(r), stale, absent} {
		p.ended("Update", func(ctx context.Context) error { return s.Update(ctx, next) })
		p.same(p.get(s, r.ID), r, "the record after an Update whose context had ended")
	}
}

func endedList(p *probe, s keys.Store) {
	p.insert(s, p.full(keys.KindKey, "a"))
	for _, org := range []string{p.clause, p.clause + " without records"} {
		p.ended("List", func(ctx context.Context) error {
			_, err := s.List(ctx, keys.Query{Org: org, Kind: keys.KindKey, Limit: 10})
			return err
		})
	}
}

func endedSweep(p *probe, s keys.Store) {
	r := p.dead(keys.KindToken)[0]
	p.insert(s, r)
	p.ended("Sweep", func(ctx context.Context) error {
		_, err := s.Sweep(ctx, now, 10)
		return err
	})
	p.same(p.get(s, r.ID), r, "a dead token after a Sweep whose context had ended")
}

// A cut is a write whose context ended while it ran, with the record before it and
// the record that it writes.
type cut struct {
	call      string
	err       error
	was, next keys.Record // was is the zero Record for an Insert
}

// endsDuringWrites lets contexts end at many moments of the time that writes take.
// Each write has a record of its own, since a database may carry out a write a while
// after the call has returned.
func endsDuringWrites(p *probe, s keys.Store) {
	const moments = 24
	var was [moments]keys.Record
	start := time.Now()
	for n := range was {
		was[n] = p.full(keys.KindKey, fmt.Sprintf("updated %02d", n))
		p.insert(s, was[n])
	}
	took := time.Since(start) / moments
	var cuts []cut
	write := func(c cut, n int, f func(context.Context, keys.Record) error) {
		ctx, cancel := context.WithTimeout(p.ctx, took*time.Duration(n)*3/(2*moments))
		defer cancel()
		c.err = f(ctx, c.next)
		p.blamesNobody(c.err, "%s, whose context ended,", c.call)
		if c.call == "Update" {
			c.next.Version++
		}
		cuts = append(cuts, c)
	}
	for n := range moments {
		write(cut{call: "Insert", next: p.full(keys.KindKey, fmt.Sprintf("inserted %02d", n))}, n, s.Insert)
		write(cut{call: "Update", was: was[n], next: changed(was[n])}, n, s.Update)
	}
	for _, c := range cuts {
		p.inFull(s, c)
	}
}

// inFull fails unless Get and List both have either what a write wrote or, if it
// failed, what was there before.
func (p *probe) inFull(s keys.Store, c cut) {
	const patience = 2 * time.Second
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		got, _, err := s.Get(p.ctx, c.next.ID)
		if !errors.Is(err, keys.ErrNotFound) || c.was.ID != "" || c.err == nil {
			p.ok(err, "Get of %s, after %s, whose context ended, had returned %v,", c.next, c.call, c.err)
		}
		if c.err == nil || got.Version == c.next.Version && got.ID != "" {
			p.same(got, c.next, "the record that "+c.call+", whose context ended, wrote")
		} else {
			p.same(got, c.was, "the record as it was before "+c.call+", whose context ended,")
		}
		var listed keys.Record
		for _, r := range p.list(s, keys.Query{Org: c.next.Org, Kind: c.next.Kind, Limit: 1000}) {
			if r.ID == c.next.ID {
				listed = r
			}
		}
		lines := differences(listed, got)
		if len(lines) == 0 {
			return
		}
		if time.Since(start) > patience {
			p.failf("after %s, whose context ended, had returned %v, List has another record than Get:\n\t%s", c.call, c.err, strings.Join(lines, "\n\t"))
		}
	}
}
