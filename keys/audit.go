package keys

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// cutSize is how many entries are cut in one transaction.
const cutSize = 1000

// errNoTrail reports a store that keeps no trail.
var errNoTrail = fmt.Errorf("keys: the store keeps no trail: %w", errors.ErrUnsupported)

// trailed returns an error if the options ask for a trail that the store does not
// keep. The store may be a Cache.
func (s *settings) trailed(store Store) error {
	if cache, ok := store.(*Cache); ok {
		store = cache.store
	}
	if _, ok := store.(TrailStore); s.trail && !ok {
		return errNoTrail
	}
	return nil
}

// trailStore returns the store if it keeps a trail.
func (b *boundedStore) trailStore() (TrailStore, error) {
	store, ok := b.store.(TrailStore)
	if !ok {
		return nil, errNoTrail
	}
	return store, nil
}

// KeepsTrail reports whether m writes its changes into a trail, see [Options.Trail].
func (m *Manager) KeepsTrail() bool { return m.trail }

// Chains returns the chains of the trail of an organization, see [TrailStore]. The
// error wraps [errors.ErrUnsupported] if the store keeps no trail, or
// [ErrUnavailable]. Chains and the other methods that read a trail work whether or
// not the option Trail is set.
func (m *Manager) Chains(ctx context.Context, org string) ([]Chain, error) {
	store, err := m.store.trailStore()
	if err != nil {
		return nil, err
	}
	bounded, cancel := m.store.context(ctx)
	defer cancel()
	chains, err := store.Chains(bounded, org)
	return chains, answer(ctx, err)
}

// Entries iterates over the entries of a chain whose positions come after the given
// one, in ascending order. It does not verify them. Positions have no gaps, so the
// last n entries are those after Chain.Last.Seq-n. An error ends the iteration. It is
// one of those of [Manager.Chains], or wraps [ErrTampered] if positions do not
// ascend.
func (m *Manager) Entries(ctx context.Context, org, chain string, after int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		after := after // the iterator may be used again
		for {
			page, err := m.entries(ctx, org, chain, after)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range page {
				if e.Seq <= after { // or the iteration would never end
					yield(Entry{}, &TamperError{org, chain, e.Seq, "stands where it does not belong"})
					return
				}
				if after = e.Seq; !yield(e, nil) {
					return
				}
			}
			if len(page) < walkSize {
				return
			}
		}
	}
}

// entries returns a page of walkSize entries.
func (m *Manager) entries(ctx context.Context, org, chain string, after int64) ([]Entry, error) {
	store, err := m.store.trailStore()
	if err != nil {
		return nil, err
	}
	bounded, cancel := m.store.context(ctx)
	defer cancel()
	page, err := store.Entries(bounded, org, chain, after, walkSize)
	return page, answer(ctx, err)
}

// VerifyTrail reads the whole trail of an organization and verifies each chain, see
// [VerifyChain]. It returns a checkpoint for the end of each chain that has or had
// entries. Keep the checkpoints where nobody who can write to the database can
// change them, and give them to later calls. Checkpoints of other organizations are
// ignored. Entries may be added while VerifyTrail runs, but none may be cut.
//
// If chains are not as they were written, the error wraps a [*TamperError] for each
// of them; [errors.As] finds the first. It is an error too if a chain with kept
// checkpoints was cut at a place that is neither one of them, nor a place at which
// the chain was already cut when one of them was made. So keep the checkpoint at
// which you cut. Other errors are those of [Manager.Chains].
func (m *Manager) VerifyTrail(ctx context.Context, org string, kept ...Checkpoint) ([]Checkpoint, error) {
	now := whole(time.Now())
	chains, err := m.Chains(ctx, org)
	if err != nil {
		return nil, err
	}
	known := make(map[string][]Checkpoint)
	for _, c := range kept {
		if c.Org == org {
			known[c.Chain] = append(known[c.Chain], c)
		}
	}
	var ends []Checkpoint
	var wrong []error
	for _, c := range chains {
		last, err := m.verifyChain(ctx, org, c, known[c.Name])
		switch {
		case errors.Is(err, ErrTampered):
			wrong = append(wrong, err)
		case err != nil:
			return nil, errors.Join(append(wrong, err)...)
		case last.Seq > 0:
			ends = append(ends, Checkpoint{Org: org, Chain: c.Name, Link: last, Cut: c.Cut.Seq, Time: now})
		}
		delete(known, c.Name)
	}
	for name, all := range known { // what is left is of chains that are not there
		wrong = append(wrong, &TamperError{org, name, all[0].Seq, "is missing"})
	}
	return ends, errors.Join(wrong...)
}

// verifyChain verifies one chain against the checkpoints that were kept of it.
func (m *Manager) verifyChain(ctx context.Context, org string, c Chain, kept []Checkpoint) (Link, error) {
	var known []Link
	permitted := len(kept) == 0 // whether the chain may have been cut where it was
	before := int64(0)          // the last place before that one at which it may have been cut
	for _, k := range kept {
		known = append(known, k.Link)
		for _, seq := range [...]int64{k.Seq, k.Cut} {
			permitted = permitted || seq == c.Cut.Seq
			if seq < c.Cut.Seq {
				before = max(before, seq)
			}
		}
	}
	if !permitted {
		return Link{}, &TamperError{org, c.Name, before + 1, "was cut, but no known checkpoint permits that"}
	}
	// The end that the store has noted must be met too. Entries are read from the
	// first position, since an entry that should have been cut is wrong as well.
	last, err := VerifyChain(org, c.Name, c.Cut, m.Entries(ctx, org, c.Name, 0), append(known, c.Last)...)
	if err != nil || last.Seq <= c.Last.Seq {
		return last, err
	}
	// Either entries were added meanwhile, and the note has moved on with them, or
	// the note is wrong.
	chains, err := m.Chains(ctx, org)
	if err != nil {
		return Link{}, err
	}
	for _, now := range chains {
		if now.Name == c.Name && now.Last.Seq >= last.Seq {
			return last, nil
		}
	}
	return last, &TamperError{org, c.Name, c.Last.Seq + 1, "comes after the end that is noted"}
}

// CutTrail removes the entries of a chain up to and including the one at a
// checkpoint. It is for hosts that keep a trail for a limited time. Verify the trail
// first, and keep the checkpoint: the rest of the chain is verified from there on.
// It is no error if those entries were cut before.
//
// The error wraps [ErrNotFound] if the chain has no entry at that position,
// [ErrTampered] if it has another entry there, [errors.ErrUnsupported] if the store
// keeps no trail, or [ErrUnavailable]. With the last, some entries may have been
// removed, and the call should be made again.
func (m *Manager) CutTrail(ctx context.Context, c Checkpoint) error {
	store, err := m.store.trailStore()
	if err != nil {
		return err
	}
	chains, err := m.Chains(ctx, c.Org)
	if err != nil {
		return err
	}
	for _, chain := range chains {
		switch {
		case chain.Name != c.Chain || c.Seq < 1:
		case c.Link == chain.Cut || c.Seq < chain.Cut.Seq:
			return nil
		case c.Seq == chain.Cut.Seq:
			return &TamperError{c.Org, c.Chain, c.Seq, anotherEntry}
		default:
			return m.cutTrail(ctx, store, c, chain.Cut.Seq)
		}
	}
	return ErrNotFound
}

// cutTrail is CutTrail for a chain that is cut up to the position cut so far.
func (m *Manager) cutTrail(ctx context.Context, store TrailStore, c Checkpoint, cut int64) error {
	for e, err := range m.Entries(ctx, c.Org, c.Chain, c.Seq-1) {
		switch {
		case err != nil:
			return err
		case e.Seq != c.Seq:
			return ErrNotFound
		case e.Hash != c.Hash:
			return &TamperError{c.Org, c.Chain, c.Seq, anotherEntry}
		}
		for cut < c.Seq {
			cut = min(cut+cutSize, c.Seq)
			bounded, cancel := m.store.context(ctx)
			err := store.CutEntries(bounded, c.Org, c.Chain, cut)
			cancel()
			if err != nil {
				return answer(ctx, err)
			}
		}
		return nil
	}
	return ErrNotFound
}
