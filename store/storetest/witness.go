package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// Histories are recorded in rounds, each with a few new IDs, so that there are many
// races, also for the first Insert. With these numbers a store on a disk takes a few
// seconds.
const (
	rounds = 5
	steps  = 20 // of each racer in each round
)

var historyClauses = []clause[keys.Store]{
	rule(linearizable,
		"Whatever is called at the same time, each call takes effect at one instant before it returns, and what it returns "+
			"is what it would have if the calls had come one after the other. So nobody sees a write that is then "+
			"refused, or an older version after a newer one, and no Update is lost or refused without cause.",
		recordHistories, seesInserts, afterDeath, "revoked-records-can-be-updated",
		"concurrent-insert-one-wins", oneUpdateWins, "concurrent-gets-are-whole", "concurrent-revoke-is-seen"),
	rule("concurrent-parents-are-linearizable",
		"Get, among Inserts and Updates of the record and of its parent, returns of each "+
			"what was written before the call began, or meanwhile, and nothing that was refused.",
		parentHistories, linearizable, parentFresh),
}

// recordHistories has several callers do random things to the same records, and
// looks whether there is an order of their calls that explains all answers.
func recordHistories(p *probe, s keys.Store) {
	start := time.Now()
	for n := 0; n < rounds || time.Since(start) < p.racing; n++ {
		records := []keys.Record{p.full(keys.KindKey, fmt.Sprint("key ", n)), p.full(keys.KindClient, fmt.Sprint("client ", n))}
		p.explain(s, n, records, (*witness).get)
	}
}

// parentHistories does what recordHistories does, and looks at the parents that
// Get returns too. What one call returns is taken for two reads that overlap.
func parentHistories(p *probe, s keys.Store) {
	start := time.Now()
	for n := 0; n < rounds || time.Since(start) < p.racing; n++ {
		client := p.full(keys.KindClient, fmt.Sprint("client ", n))
		records := []keys.Record{client, p.tokenOf(client, fmt.Sprint("token ", n))}
		p.explain(s, n, records, (*witness).getBoth)
	}
}

// explain records the histories of a round, and fails if one of them cannot be.
func (p *probe) explain(s keys.Store, round int, records []keys.Record, read func(*witness, string)) {
	var clock atomic.Int64
	witnesses := make([]*witness, racers)
	p.parallel(racers, func(i int) {
		w := &witness{
			probe: p, store: s, clock: &clock, number: i, read: read,
			random: rand.New(rand.NewPCG(uint64(round), uint64(i))),
			seen:   make(map[string]keys.Record), histories: make(map[string]history),
		}
		witnesses[i] = w
		for w.step = range steps {
			w.act(records[w.random.IntN(len(records))])
			time.Sleep(time.Duration(w.random.IntN(4)))
		}
	})
	for _, r := range records {
		witnesses[0].read(witnesses[0], r.ID)
	}
	for _, r := range records {
		var all history
		for _, w := range witnesses {
			all = append(all, w.histories[r.ID]...)
		}
		if fault := all.fault(); fault != "" {
			p.failf("of %d calls about %s by %d callers: %s", len(all), quote(r.ID), racers, fault)
		}
	}
}

// A witness is one of several callers. It remembers what it did.
type witness struct {
	*probe
	store  keys.Store
	clock  *atomic.Int64
	number int
	step   int
	read   func(*witness, string)
	random *rand.Rand

	seen      map[string]keys.Record // what the witness wrote or read last, by ID
	histories map[string]history     // by ID
}

// act does one thing to the record with r's ID: r is what may be inserted.
func (w *witness) act(r keys.Record) {
	last, known := w.seen[r.ID]
	switch n := w.random.IntN(10); {
	case n == 0 || n < 5 && !known:
		w.insert(r)
	case n < 5:
		w.update(last)
	default:
		w.read(w, r.ID)
	}
}

// note adds an operation that began at a time and is over.
func (w *witness) note(id string, began int64, op operation, format string, args ...any) {
	op.began, op.ended = began, w.clock.Add(1)
	op.text = fmt.Sprintf("caller %d, step %d: %s", w.number, w.step, fmt.Sprintf(format, args...))
	w.histories[id] = append(w.histories[id], op)
}

// sign makes r one that nobody else writes.
func (w *witness) sign(r *keys.Record) {
	r.Label = fmt.Sprintf("by caller %d in step %d", w.number, w.step)
	r.Digest = digest(r.Label)
}

func (w *witness) insert(r keys.Record) {
	w.sign(&r)
	began := w.clock.Add(1)
	err := w.store.Insert(w.ctx, r)
	switch {
	case err == nil:
		w.seen[r.ID] = r
		w.note(r.ID, began, inserted(r), "Insert went well")
	case errors.Is(err, keys.ErrExists):
		w.note(r.ID, began, existed(), "Insert failed with %q", err)
	default:
		w.ok(err, "Insert of %s, by %d callers at once,", r, racers)
	}
}

// update updates r, which the witness has seen, and now and then revokes it.
func (w *witness) update(r keys.Record) {
	w.sign(&r)
	if w.random.IntN(8) == 0 {
		r.RevokedAt = revoked
	}
	version := r.Version
	began := w.clock.Add(1)
	err := w.store.Update(w.ctx, r)
	switch {
	case err == nil:
		r.Version++
		w.seen[r.ID] = r
		w.note(r.ID, began, updated(r), "Update of version %d went well", version)
	case errors.Is(err, keys.ErrConflict):
		delete(w.seen, r.ID)
		w.note(r.ID, began, conflicted(version), "Update of version %d failed with %q", version, err)
	case errors.Is(err, keys.ErrNotFound):
		w.note(r.ID, began, missed(), "Update of version %d failed with %q", version, err)
	default:
		w.ok(err, "Update of %s, by %d callers at once,", r, racers)
	}
}

func (w *witness) get(id string) {
	began := w.clock.Add(1)
	r, _, err := w.store.Get(w.ctx, id)
	w.look(id, began, r, err, "Get")
}

// getBoth reads a record and its parent.
func (w *witness) getBoth(id string) {
	began := w.clock.Add(1)
	rec, parent, err := w.store.Get(w.ctx, id)
	w.look(id, began, rec, err, "Get")
	if err != nil || rec.Parent == "" {
		return
	}
	if parent.ID == "" {
		err = keys.ErrNotFound
	}
	w.look(rec.Parent, began, parent, err, "Get of its child")
}

// look notes what a read returned.
func (w *witness) look(id string, began int64, r keys.Record, err error, call string) {
	switch {
	case err == nil:
		w.seen[id] = r
		w.note(id, began, found(r), "%s gave version %d", call, r.Version)
	case errors.Is(err, keys.ErrNotFound):
		w.note(id, began, missed(), "%s found nothing", call)
	default:
		w.ok(err, "%s of %s, by %d callers at once,", call, quote(id), racers)
	}
}
