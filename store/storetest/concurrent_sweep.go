package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/claviger-auth/claviger/keys"
)

func concurrentSweep(p *probe, s keys.Store) {
	const sweepers = 2
	var lost, swept, writing atomic.Int64
	writing.Store(racers - sweepers)
	p.parallel(racers, func(i int) {
		if i < sweepers {
			for last := false; !last; pause() {
				last = writing.Load() == 0
				n, err := s.Sweep(p.ctx, now, 1000)
				p.ok(err, "Sweep while tokens were updated")
				swept.Add(int64(n))
			}
			return
		}
		defer writing.Add(-1)
		n := 0
		for going := p.going(); going(); n++ {
			r := p.sparse(keys.KindToken, fmt.Sprintf("%d-%d", i, n))
			r.ExpiresAt = expired
			p.insert(s, r)
			if n%2 == 1 {
				pause()
			}
			r.ExpiresAt = expires
			err := s.Update(p.ctx, r)
			if errors.Is(err, keys.ErrNotFound) {
				lost.Add(1)
				p.absent(s, r.ID)
				continue
			}
			p.ok(err, "Update of a token that ended, while others swept,")
			r.Version++
			p.spared(s, r)
			pause()
			p.spared(s, r)
		}
	})
	if swept.Load() != lost.Load() {
		p.failf("%d Sweeps at once said that they removed %d tokens in all, and %d were gone", sweepers, swept.Load(), lost.Load())
	}
}

// spared fails unless r is there.
func (p *probe) spared(s keys.Store, r keys.Record) {
	got, _, err := s.Get(p.ctx, r.ID)
	if errors.Is(err, keys.ErrNotFound) {
		p.failf("%s is gone although an Update had returned that gave it a later end: Sweep removed it", r)
	}
	p.ok(err, "Get of %s", r)
	p.same(got, r, "a token that was updated while others swept")
}
