package keys_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// A cutting store notes up to where it was cut.
type cutting struct {
	*store.Memory
	cuts []int64
}

func (s *cutting) CutEntries(ctx context.Context, org, chain string, upTo int64) error {
	s.cuts = append(s.cuts, upTo)
	return s.Memory.CutEntries(ctx, org, chain, upTo)
}

// A trail that was cut is verified from there on, and the checkpoints that a host
// keeps show what the store cannot.
func TestCutTrail(t *testing.T) {
	t.Parallel()
	s := &cutting{Memory: new(store.Memory)}
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
	grow(2500)
	old := verify(2502, first, keys.Checkpoint{Org: "globex", Link: keys.Link{Seq: 9}})
	grow(3)
	for _, tt := range []struct {
		name string
		edit func(*keys.Checkpoint)
		want error
	}{
		{"another hash", func(c *keys.Checkpoint) { c.Hash[0]++ }, keys.ErrTampered},
		{"after the end", func(c *keys.Checkpoint) { c.Seq = 2506 }, keys.ErrNotFound},
		{"nothing", func(c *keys.Checkpoint) { c.Link = keys.Link{} }, keys.ErrNotFound},
		{"before the beginning", func(c *keys.Checkpoint) { c.Seq = -1 }, keys.ErrNotFound},
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
	other := old
	other.Hash[0]++
	if err := m.CutTrail(ctx, other); !errors.Is(err, keys.ErrTampered) {
		t.Errorf("another hash of the last entry that was cut: %v", err)
	}
	if want := []int64{1000, 2000, 2502}; !slices.Equal(s.cuts, want) {
		t.Errorf("cut up to %d, in a transaction each; want %d", s.cuts, want)
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

// A checking store finds out by itself that its trail was changed.
type checking struct{ *store.Memory }

func (checking) Chains(context.Context, string) ([]keys.Chain, error) { return nil, keys.ErrTampered }

// If the store says that the trail was changed, it did answer.
func TestStoresThatVerify(t *testing.T) {
	t.Parallel()
	m := newTrail(t, checking{new(store.Memory)})
	if _, err := m.VerifyTrail(t.Context(), "acme"); !errors.Is(err, keys.ErrTampered) || errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("VerifyTrail failed with %v", err)
	}
}

// A slow trail does not return its entries until it is told to stop.
type slowTrail struct{ *store.Memory }

func (slowTrail) Entries(ctx context.Context, _, _ string, _ int64, _ int) ([]keys.Entry, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Calls that read a trail are bounded, as all calls of the store.
func TestEntriesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, err := keys.NewManager(struct {
			keys.Store
			keys.TrailStore
		}{struct{ keys.Store }{new(store.Memory)}, slowTrail{new(store.Memory)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := m.VerifyTrail(t.Context(), "acme"); !errors.Is(err, keys.ErrUnavailable) || time.Since(began) != keys.DefaultTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A doctored store is one whose trail somebody has changed behind the manager's back.
type doctored struct {
	*store.Memory
	chains  func([]keys.Chain) []keys.Chain
	entries func(after int64, page []keys.Entry) []keys.Entry
}

func (d *doctored) Chains(ctx context.Context, org string) ([]keys.Chain, error) {
	chains, err := d.Memory.Chains(ctx, org)
	if d.chains != nil {
		chains = d.chains(chains)
	}
	return chains, err
}

func (d *doctored) Entries(ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
	page, err := d.Memory.Entries(ctx, org, chain, after, limit)
	if d.entries != nil {
		page = d.entries(after, page)
	}
	return page, err
}

// TestVerifyDoctoredTrail verifies and cuts a trail of five entries, of which two were
// cut, that was changed in the database.
func TestVerifyDoctoredTrail(t *testing.T) {
	t.Parallel()
	s := &doctored{Memory: new(store.Memory)}
	m := newTrail(t, s)
	for range 5 {
		if err := s.AddEntry(t.Context(), keys.Entry{Org: "acme", Time: entryTime, Action: keys.ActionRefused, Count: 1}); err != nil {
			t.Fatal(err)
		}
	}
	ends, err := m.VerifyTrail(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	var all []keys.Entry
	for e := range m.Entries(t.Context(), "acme", "", 0) {
		all = append(all, e)
	}
	second := keys.Checkpoint{Org: "acme", Link: all[1].Link()}
	if err := m.CutTrail(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		chains  func([]keys.Chain) []keys.Chain
		entries func(int64, []keys.Entry) []keys.Entry
		kept    []keys.Checkpoint
		seq     int64 // of what is wrong; 0 for nothing
	}{
		{"as it is", nil, nil, []keys.Checkpoint{ends[0], second}, 0},
		{"the last entry is gone", nil, func(after int64, page []keys.Entry) []keys.Entry {
			return page[:max(len(page)-1, 0)]
		}, nil, 5},
		{"its end is another's", func(chains []keys.Chain) []keys.Chain {
			other := chains[0]
			other.Name, chains[0].Last = "other", all[3].Link()
			return append(chains, other)
		}, nil, nil, 5},
		{"cut where no checkpoint is", nil, nil, []keys.Checkpoint{{Org: "acme", Link: all[0].Link()}, {Org: "acme", Link: all[2].Link()}}, 2},
		{"a chain that is gone", nil, nil, []keys.Checkpoint{{Org: "acme", Chain: "gone", Link: keys.Link{Seq: 7}}}, 7},
		{"cut before all checkpoints", nil, nil, []keys.Checkpoint{{Org: "acme", Link: all[2].Link()}}, 1},
	} {
		s.chains, s.entries = tt.chains, tt.entries
		_, err := m.VerifyTrail(t.Context(), "acme", tt.kept...)
		var wrong *keys.TamperError
		if errors.As(err, &wrong); (wrong != nil) != (tt.seq > 0) || wrong != nil && wrong.Seq != tt.seq {
			t.Errorf("%s: %v, want position %d", tt.name, err, tt.seq)
		}
	}
	// What is wrong is said even if the rest cannot be read.
	ctx, cancel := context.WithCancel(t.Context())
	s.chains = func(chains []keys.Chain) []keys.Chain { return append(chains, keys.Chain{Name: "other"}) }
	s.entries = func(_ int64, page []keys.Entry) []keys.Entry {
		cancel()
		return page[:max(len(page)-1, 0)]
	}
	if _, err := m.VerifyTrail(ctx, "acme"); !errors.Is(err, keys.ErrTampered) || !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("half of it: %v", err)
	}
	s.chains, s.entries = nil, func(_ int64, page []keys.Entry) []keys.Entry { return page[min(1, len(page)):] }
	if err := m.CutTrail(t.Context(), keys.Checkpoint{Org: "acme", Link: all[2].Link()}); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("cut where there is no entry: %v", err)
	}
	// A page that leads nowhere ends.
	s.entries = func(after int64, _ []keys.Entry) []keys.Entry {
		page := make([]keys.Entry, 1000)
		for i := range page {
			page[i] = all[4]
		}
		return page
	}
	n := 0
	for _, err = range m.Entries(t.Context(), "acme", "", 0) {
		if n++; n > 3000 {
			t.Fatal("the entries never end")
		}
	}
	if !errors.Is(err, keys.ErrTampered) {
		t.Errorf("one entry again and again: %v", err)
	}
}

// TestTrailBehindACache makes managers with a trail over caches: what counts is the
// store behind.
func TestTrailBehindACache(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		store keys.Store
		ok    bool
	}{
		"a store with a trail": {struct {
			*quiet
			keys.TrailStore
		}{&quiet{Store: new(store.Memory)}, new(store.Memory)}, true},
		"a store without": {&quiet{Store: struct{ keys.Store }{new(store.Memory)}}, false},
	} {
		cache, err := keys.NewCache(tt.store, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := keys.NewManager(cache, &keys.Options{Trail: true})
		if (err == nil) != tt.ok {
			t.Errorf("%s: a manager: %v", name, err)
		}
		if err == nil {
			if _, err := m.VerifyTrail(t.Context(), "acme"); err != nil {
				t.Errorf("%s: its trail: %v", name, err)
			}
		}
		if _, err := keys.NewRefusals(cache, nil); (err == nil) != tt.ok {
			t.Errorf("%s: refusals: %v", name, err)
		}
	}
}
