package storetest

import (
	"context"
	"errors"
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
		for _, wrong := range []error{keys.ErrNotFound, keys.ErrExists, keys.ErrConflict, keys.ErrInvalid} {
			if errors.Is(err, wrong) {
				p.failf("%s, whose context had ended (%v), failed with %q", call, ctx.Err(), err)
			}
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
