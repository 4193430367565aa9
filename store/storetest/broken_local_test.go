package storetest_test

import (
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// viewed is a view whose answers are changed.
func viewed(change func(b *broken, id string, r *keys.Record) *keys.Record) broken {
	return broken{view: func(b *broken, id string) *keys.Record {
		_, view := b.Memory.Local()
		return change(b, id, view(id))
	}}
}

// remembered returns the place that a view keeps for an ID.
func (o *overlay) remembered(id string) *keys.Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.views == nil {
		o.views = make(map[string]*keys.Record)
	}
	if o.views[id] == nil {
		o.views[id] = new(keys.Record)
	}
	return o.views[id]
}

// localDefects are those of Local.
var localDefects = []*defect{
	{"the dead are not shown", "local-finds-what-get-finds", viewed(func(_ *broken, _ string, r *keys.Record) *keys.Record {
		if r != nil && isDead(*r) {
			return nil
		}
		return r
	})},
	{"no record is an empty record", "local-finds-what-get-finds", viewed(func(_ *broken, _ string, r *keys.Record) *keys.Record {
		if r == nil {
			return new(keys.Record)
		}
		return r
	})},
	{"IDs are trimmed", "local-finds-what-get-finds", viewed(func(b *broken, id string, _ *keys.Record) *keys.Record {
		_, view := b.Memory.Local()
		return view(strings.TrimSpace(id))
	})},
	{"what was seen once is shown again", "local-is-fresh", viewed(func(b *broken, id string, r *keys.Record) *keys.Record {
		if r == nil {
			return nil
		}
		place := b.remembered(id)
		if place.ID == "" {
			*place = *r
		}
		return place
	})},
	{"records are updated in place", "local-records-stay", viewed(func(b *broken, id string, r *keys.Record) *keys.Record {
		if r == nil {
			return nil
		}
		place := b.remembered(id)
		*place = *r
		return place
	})},
}
