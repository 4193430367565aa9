package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A batchStore is what the clauses of [keys.BatchStore] are about.
type batchStore interface {
	keys.Store
	keys.BatchStore
}

const batchInserts = "batch-inserts"

// lockWait is how long a Get may wait for a batch, if it does.
const lockWait = time.Second

var batchClauses = []clause[keys.Store]{
	optional("keys.BatchStore", batchInserts,
		"What is inserted in a batch is there when Batch has returned nil, with every field. An ID that was used before, in the batch too, is "+
			"refused with ErrExists and an invalid record with ErrInvalid, and the batch goes on.",
		batchKeeps, roundTrip, neverOverwrite, "insert-validates", listFresh),
	optional("keys.BatchStore", "batch-is-one",
		"Before Batch returns nobody sees what was inserted in it. With an error of f, which Batch returns, nothing was inserted, and the "+
			"IDs are free.",
		batchIsOne, batchInserts),
	optional("keys.BatchStore", "batch-context-ended",
		"Batch"+endedDoc+", and inserts nothing, whether the context had ended before or ends before f returns. A call that waits for "+
			"the end of a batch returns soon after its own context has ended.",
		batchEnded, batchInserts),
	optional("keys.BatchStore", "batch-concurrent",
		"Of batches at the same time that insert the same IDs, in whatever order, each is done in full or not at all: what an Insert said in a "+
			"batch that went well is so. A database that ends a deadlock undoes what a batch did so far; a store that passes over the "+
			"error keeps a part of it, or says that all is there.",
		concurrentBatches, "batch-is-one", "batch-context-ended", "concurrent-insert-one-wins"),
}

// inBatch inserts records in a batch.
func (p *probe) inBatch(s batchStore, records ...keys.Record) {
	p.ok(s.Batch(p.ctx, func(ctx context.Context) error {
		for _, r := range records {
			if err := s.Insert(ctx, r); err != nil {
				return err
			}
		}
		return nil
	}), "Batch of %d inserts", len(records))
}

func batchKeeps(p *probe, s batchStore) {
	there, again := p.full(keys.KindKey, "there"), p.sparse(keys.KindKey, "again")
	p.insert(s, there)
	other, invalid := there, p.sparse(keys.KindKey, "invalid")
	other.Label, invalid.Org = "another", ""
	key, client := p.full(keys.KindKey, "key"), p.full(keys.KindClient, "client")
	p.ok(s.Batch(p.ctx, func(ctx context.Context) error {
		for _, step := range []struct {
			r    keys.Record
			want error
		}{{key, nil}, {other, keys.ErrExists}, {again, nil}, {again, keys.ErrExists}, {invalid, keys.ErrInvalid}, {client, nil}} {
			err := s.Insert(ctx, step.r)
			if step.want != nil {
				p.refused(err, step.want, "Insert of %s in a batch", step.r)
			} else if err != nil {
				return err
			}
		}
		return nil
	}), "Batch with inserts some of which are refused")
	for _, r := range []keys.Record{there, again, key, client} {
		p.same(p.get(s, r.ID), r, "what Get returns after the batch")
	}
	p.absent(s, invalid.ID)
	p.inBatch(s) // of nothing
}

func batchIsOne(p *probe, s batchStore) {
	r := p.full(keys.KindKey, "undone")
	cause := errors.New("storetest: the cause")
	err := s.Batch(p.ctx, func(ctx context.Context) error {
		if err := s.Insert(ctx, r); err != nil {
			return err
		}
		// A store whose readers wait for writers would wait for itself here.
		short, cancel := context.WithTimeout(p.ctx, lockWait)
		defer cancel()
		if _, _, err := s.Get(short, r.ID); err == nil {
			p.failf("Get sees %s before its batch has ended", r)
		}
		return cause
	})
	p.refused(err, cause, "Batch whose function returned that error")
	p.absent(s, r.ID)
	p.inBatch(s, r)
	p.same(p.get(s, r.ID), r, "what Get returns after the batch")
}

// insertDuringBatch has another caller insert during a batch. It may have to wait, but
// not beyond its context. The batch ends after a while, so that nobody waits forever.
func (p *probe) insertDuringBatch(s batchStore) {
	const patience = timeLimit / 2
	late := false
	returned := make(chan error, 1)
	p.ok(s.Batch(p.ctx, func(context.Context) error {
		go func() {
			short, cancel := context.WithTimeout(p.ctx, lockWait)
			defer cancel()
			returned <- s.Insert(short, p.full(keys.KindKey, "meanwhile"))
		}()
		select {
		case err := <-returned:
			returned <- err
		case <-time.After(patience):
			late = true
		}
		return nil
	}), "Batch during which another caller inserts")
	err := <-returned
	if late {
		p.failf("Insert by another caller waited for a batch for %v, though its context had ended after %v", patience, lockWait)
	}
	if err != nil {
		p.blamesNobody(err, "Insert, by another caller, whose context ended during a batch")
	}
}

// concurrentBatches has callers insert the same IDs in batches, half of them in the
// opposite order.
func concurrentBatches(p *probe, s batchStore) {
	const callers, size = 2, 6
	well := false
	start := time.Now()
	for n := 0; n < 3 || time.Since(start) < p.racing; n++ { // a database may take a second to find a deadlock
		var won [callers]map[int]keys.Record // by the place of the ID
		p.parallel(callers, func(i int) {
			wins := make(map[int]keys.Record)
			err := s.Batch(p.ctx, func(ctx context.Context) error {
				clear(wins) // it may be called again
				for place := range size {
					k := place
					if i%2 == 1 {
						k = size - 1 - place
					}
					r := p.sparse(keys.KindKey, fmt.Sprint(n, " ", k))
					r.Label = fmt.Sprint("caller ", i)
					if err := s.Insert(ctx, r); err == nil {
						wins[k] = r
					} else if !errors.Is(err, keys.ErrExists) {
						return err
					}
				}
				return nil
			})
			if err == nil {
				won[i] = wins
			}
		})
		owners := make(map[int]keys.Record)
		for _, wins := range won {
			well = well || wins != nil
			for k, r := range wins {
				if other, twice := owners[k]; twice {
					p.failf("Insert of %s went well in two batches at once, those of %s and %s", r, other.Label, r.Label)
				}
				owners[k] = r
			}
		}
		for k := range size {
			if r, won := owners[k]; won {
				p.same(p.get(s, r.ID), r, "the record after batches at once, one of which inserted it and went well")
			} else {
				p.absent(s, p.sparse(keys.KindKey, fmt.Sprint(n, " ", k)).ID)
			}
		}
	}
	if !well {
		p.failf("no batch went well, of %d at once in each round", callers)
	}
}

func batchEnded(p *probe, s batchStore) {
	r := p.full(keys.KindKey, "late")
	p.ended("Batch", func(ctx context.Context) error {
		return s.Batch(ctx, func(ctx context.Context) error { return s.Insert(ctx, r) })
	})
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	err := s.Batch(ctx, func(ctx context.Context) error {
		err := s.Insert(ctx, r)
		cancel()
		return err
	})
	if err == nil {
		p.failf("Batch went well although its context had ended before its function returned")
	}
	p.blamesNobody(err, "Batch whose context ended")
	p.insertDuringBatch(s)
	p.absent(s, r.ID)
	p.inBatch(s, r)
}
