package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// The view of a Memory finds what Get finds, at once, and what it has returned
// never changes: a check that has begun reads it without a lock.
func TestMemoryLocal(t *testing.T) {
	t.Parallel()
	m := new(store.Memory)
	self, view := m.Local()
	if self != keys.Store(m) {
		t.Fatalf("Local is of %v, want the Memory", self)
	}
	for _, kind := range []keys.Kind{keys.KindKey, keys.KindToken} {
		r := record(t, kind, "Some "+string(kind))
		if view(r.ID) != nil {
			t.Errorf("%v is found before it is inserted", r)
		}
		insert(t, m, r)
		first := view(r.ID)
		changed := r
		changed.Label, changed.RevokedAt = "changed", start
		if err := m.Update(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		changed.Version++
		second := view(r.ID)
		if n, err := m.Sweep(t.Context(), start.Add(time.Hour), 10); err != nil || n != 1 && kind == keys.KindToken {
			t.Fatal(n, err)
		}
		if first == nil || *first != r || second == nil || *second != changed {
			t.Errorf("before and after Update the view has %v and %v, want %v and %v", first, second, r, changed)
		}
		if third := view(r.ID); (third == nil) != (kind == keys.KindToken) {
			t.Errorf("after Sweep the view has %v", third)
		}
		for _, id := range []string{"", strings.ToUpper(r.ID), r.ID + " ", r.ID[:len(r.ID)-1], "\x00", "\xff"} {
			if view(id) != nil {
				t.Errorf("the view finds %q beside %q", id, r.ID)
			}
		}
	}
}

// denying is a store that embeds a Memory and denies an organization.
type denying struct{ store.Memory }

func (d *denying) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if rec, parent, err = d.Memory.Get(ctx, id); err == nil && rec.Org == "acme" {
		return keys.Record{}, keys.Record{}, keys.ErrNotFound
	}
	return rec, parent, err
}

// The view of a struct that embeds a Memory is the Memory's, and the first result of
// Local says so.
func TestMemoryLocalOfOthers(t *testing.T) {
	t.Parallel()
	d := new(denying)
	if self, _ := d.Local(); self != keys.Store(&d.Memory) || self == keys.Store(d) {
		t.Errorf("Local is of %p, want %p, which is within %p", self, &d.Memory, d)
	}
}
