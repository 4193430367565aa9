package storetest

import (
	"slices"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

func feedMarksIdle(p *probe, s feedStore) {
	if ids, err := s.MarkIdle(p.ctx, time.Hour); len(ids) != 0 || err != nil {
		p.failf("MarkIdle, before any announcement, returned %s, %v", quoteAll(ids), err)
	}
	for wait := 300 * time.Millisecond; ; wait *= 2 {
		old, fresh := p.cache("old "+wait.String()), p.cache("fresh "+wait.String())
		p.announce(s, old, time.Second)
		p.announce(s, fresh, time.Second)
		time.Sleep(wait)
		again := time.Now()
		p.announce(s, fresh, time.Second)
		ids, err := s.MarkIdle(p.ctx, time.Hour)
		p.ok(err, "MarkIdle")
		if len(ids) != 0 {
			p.failf("MarkIdle of what is idle for an hour marked %s", quoteAll(ids))
		}
		idle := time.Since(again) + wait/2
		ids, err = s.MarkIdle(p.ctx, idle)
		p.ok(err, "MarkIdle")
		if time.Since(again) > idle && wait < 4*time.Second {
			p.withdraw(s, old, fresh)
			continue // the call took so long that both may be idle
		}
		if text, want := quoteAll(ids), quoteAll([]string{old}); text != want {
			p.failf("MarkIdle of what is idle for %v marked %s, want %s, which was announced %v before the other one was announced again",
				idle, text, want, wait)
		}
		p.poll(s, fresh, "")
		p.announce(s, fresh, time.Second)
		ids, err = s.MarkIdle(p.ctx, idle)
		p.ok(err, "MarkIdle")
		if !slices.Contains(ids, old) {
			p.failf("MarkIdle, called again, returned %s, without %s, which was marked before and not withdrawn", quoteAll(ids), quote(old))
		}
		return
	}
}

func feedMarksStay(p *probe, s feedStore) {
	id, at := p.started(s, "a")
	p.announce(s, p.cache("long"), 3*time.Second)
	ids, err := s.MarkIdle(p.ctx, -time.Hour)
	p.ok(err, "MarkIdle")
	slices.Sort(ids)
	if text, want := quoteAll(ids), quoteAll([]string{id, p.cache("long")}); text != want {
		p.failf("MarkIdle of all marked %s, want %s", text, want)
	}
	for range 2 {
		p.notAnnounced(s, id, at, "which is marked")
		p.refused(s.Announce(p.ctx, id, time.Second), keys.ErrNotAnnounced, "Announce of %s, which is marked,", quote(id))
	}
	p.lease(s, 3*time.Second, "while the announcements are marked")
	p.withdraw(s, p.cache("long"), id)
	p.lease(s, 0, "after those that were marked were withdrawn")
}
