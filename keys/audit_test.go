package keys_test

import (
	"context"
	"errors"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// A trail that was cut is verified from there on, and the checkpoints that a host
// keeps show what the store cannot.
func TestCutTrail(t *testing.T) {
	t.Parallel()
	s := new(store.Memory)
	m := newTrail(t, s)
	ctx := t.Context()
	grow := func(n int) {
		t.Helper()
		for range n {
			if err := s.AddEntry(ctx, keys.Entry{Org: "acme", Time: entryTime, Action: keys.ActionRefused, Count: 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	verify := func(seq int64, kept ...keys.Checkpoint) keys.Checkpoint {
		t.Helper()
		ends, err := m.VerifyTrail(ctx, "acme", kept...)
		if err != nil || len(ends) != 1 || ends[0].Seq != seq {
			t.Fatalf("VerifyTrail gave %v, %v; want position %d", ends, err, seq)
		}
		return ends[0]
	}
	if ends, err := m.VerifyTrail(ctx, "acme"); err != nil || len(ends) != 0 {
		t.Errorf("VerifyTrail of nothing gave %v, %v", ends, err)
	}
	grow(2)
	first := verify(2)
	grow(2500) // more than are cut in one transaction
	old := verify(2502, first, keys.Checkpoint{Org: "globex", Link: keys.Link{Seq: 9}})
	grow(3)
	for _, tt := range []struct {
		name string
		edit func(*keys.Checkpoint)
		want error
	}{
		{"another hash", func(c *keys.Checkpoint) { c.Hash[0]++ }, keys.ErrTampered},
		{"after the end", func(c *keys.Checkpoint) { c.Seq = 2506 }, keys.ErrNotFound},
		{"another organization", func(c *keys.Checkpoint) { c.Org = "globex" }, keys.ErrNotFound},
		{"another chain", func(c *keys.Checkpoint) { c.Chain = "x" }, keys.ErrNotFound},
	} {
		c := old
		tt.edit(&c)
		if err := m.CutTrail(ctx, c); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	verify(2505, first)
	for range 2 {
		if err := m.CutTrail(ctx, old); err != nil {
			t.Fatal(err)
		}
	}
	end := verify(2505, old, first)
	verify(2505)
	verify(2505, end) // which knows of the cut
	if end.Cut != 2502 || old.Cut != 0 {
		t.Errorf("checkpoints with the cuts %d and %d, want 2502 and 0", end.Cut, old.Cut)
	}
	if _, err := m.VerifyTrail(ctx, "acme", first); !errors.Is(err, keys.ErrTampered) {
		t.Errorf("a cut that no checkpoint knows of: %v", err)
	}
	if got := len(trailOf(t, m, "acme", nil)); got != 3 {
		t.Errorf("%d entries are left, want 3", got)
	}
	grow(1)
	if err := m.CutTrail(ctx, verify(2506, old, end)); err != nil {
		t.Fatal(err)
	}
	verify(2506, verify(2506))
	for name, kept := range map[string]keys.Checkpoint{
		"from before the cut":        end,
		"of another entry":           {Org: "acme", Link: keys.Link{Seq: 2506}},
		"of an entry that is gone":   {Org: "acme", Link: keys.Link{Seq: 2507}},
		"of a chain that is not one": {Org: "acme", Chain: "x", Link: keys.Link{Seq: 1}},
	} {
		if _, err := m.VerifyTrail(ctx, "acme", kept); !errors.Is(err, keys.ErrTampered) {
			t.Errorf("a checkpoint %s: %v", name, err)
		}
	}
}

// If the store does not answer, it is not the trail that is wrong.
func TestVerifyTrailUnavailable(t *testing.T) {
	t.Parallel()
	m := newTrail(t, new(store.Memory))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.VerifyTrail(ctx, "acme"); !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrTampered) {
		t.Errorf("VerifyTrail failed with %v", err)
	}
}
