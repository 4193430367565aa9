package storetest_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// writing is a store in which something happens to each entry: note is given the
// entry, or nil if there is none, and a write. The other function is its AddEntry; nil
// for the sound one.
func writing(
	note func(b *broken, ctx context.Context, e *keys.Entry, write func(context.Context) error) error,
	addEntry func(b *broken, ctx context.Context, e keys.Entry) error,
) broken {
	return broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			return note(b, ctx, entryFor(ctx, r), func(ctx context.Context) error { return b.Memory.Insert(ctx, r) })
		},
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			return note(b, ctx, entryFor(ctx, r), func(ctx context.Context) error { return b.Memory.Update(ctx, r) })
		},
		addEntry: addEntry,
	}
}

func entryFor(ctx context.Context, r keys.Record) *keys.Entry {
	if e, ok := keys.EntryFor(ctx, &r); ok {
		return &e
	}
	return nil
}

// without returns ctx with no entry of any record.
func without(ctx context.Context) context.Context { return keys.NewEntryContext(ctx, keys.Entry{}) }

// retold is a store that changes each entry.
func retold(change func(e *keys.Entry)) broken {
	return writing(func(b *broken, ctx context.Context, e *keys.Entry, write func(context.Context) error) error {
		if e != nil {
			change(e)
			ctx = keys.NewEntryContext(ctx, *e)
		}
		return write(ctx)
	}, func(b *broken, ctx context.Context, e keys.Entry) error {
		change(&e)
		return b.Memory.AddEntry(ctx, e)
	})
}

// reading is an Entries whose good answers are changed.
func reading(change func(after int64, limit int, entries []keys.Entry) []keys.Entry) broken {
	return broken{entries: func(b *broken, ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
		entries, err := b.Memory.Entries(ctx, org, chain, after, limit)
		if err != nil {
			return nil, err
		}
		return change(after, limit, entries), nil
	}}
}

// trailDefects are those of keys.TrailStore.
var trailDefects = []*defect{
	{"entries without an address", "trail-is-kept", retold(func(e *keys.Entry) { e.Address = netip.Addr{} })},
	{"entries in whole seconds", "trail-is-kept", retold(func(e *keys.Entry) { e.Time = e.Time.Truncate(1e9) })},
	{"entries with a short actor", "trail-is-kept", retold(func(e *keys.Entry) { e.Actor = e.Actor[:min(len(e.Actor), 64)] })},
	{"counts of 32 bits", "trail-is-kept", retold(func(e *keys.Entry) { e.Count = int64(int32(e.Count)) & 0x7fffffff })},
	{"entries of the chain that they name", "trail-is-kept", broken{addEntry: func(b *broken, ctx context.Context, e keys.Entry) error {
		if e.Chain != "" {
			return nil // there is no such chain
		}
		return b.Memory.AddEntry(ctx, e)
	}}},
	{"pauses without an entry", "trail-is-kept", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		if e := entryFor(ctx, r); e != nil && e.Action == keys.ActionPaused {
			ctx = without(ctx)
		}
		return b.Memory.Update(ctx, r)
	}}},
	{"updates without an entry", "trail-is-kept", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		return b.Memory.Update(without(ctx), r)
	}}},
	{"each entry twice", "trail-is-kept", writing(func(b *broken, ctx context.Context, e *keys.Entry, write func(context.Context) error) error {
		if err := write(ctx); err != nil || e == nil {
			return err
		}
		return b.Memory.AddEntry(ctx, *e)
	}, nil)},
	{"hashes that nobody keeps", "trail-is-kept", reading(func(_ int64, _ int, entries []keys.Entry) []keys.Entry {
		for i := range entries {
			entries[i].Hash = keys.ChainHash{}
		}
		return entries
	})},

	{"an entry for what was refused", "trail-has-nothing-else", writing(func(b *broken, ctx context.Context, e *keys.Entry, write func(context.Context) error) error {
		err := write(ctx)
		if err != nil && e != nil && ctx.Err() == nil {
			return errors.Join(err, b.Memory.AddEntry(ctx, *e))
		}
		return err
	}, nil)},
	{"an entry for each change", "trail-has-nothing-else", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		if entryFor(ctx, r) == nil {
			e := keys.Entry{Org: r.Org, Time: r.CreatedAt, Action: keys.ActionChanged, ID: r.ID}
			ctx = keys.NewEntryContext(ctx, e)
		}
		return b.Memory.Update(ctx, r)
	}}},
	{"invalid entries are added", "trail-has-nothing-else", broken{addEntry: func(b *broken, ctx context.Context, e keys.Entry) error {
		if e.Validate() != nil {
			return nil
		}
		return b.Memory.AddEntry(ctx, e)
	}}},

	{"a chain that ends in a ring", "trail-is-linked", reading(func(_ int64, _ int, entries []keys.Entry) []keys.Entry {
		for i := range entries {
			if entries[i].Seq > 15 {
				entries[i].Previous = keys.ChainHash{}
			}
		}
		return entries
	})},
	{"chains that come with their entries", "trail-is-linked", broken{chains: func(b *broken, ctx context.Context, org string) ([]keys.Chain, error) {
		chains, err := b.Memory.Chains(ctx, org)
		if err == nil && chains[0].Last.Seq > 15 {
			chains = append(chains, keys.Chain{Name: "another"})
		}
		return chains, err
	}}},

	{"one entry too many", "trail-is-read-in-pages", broken{
		entries: func(b *broken, ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
			if limit > 0 {
				limit++
			}
			return b.Memory.Entries(ctx, org, chain, after, limit)
		},
	}},
	{"entries from the position on", "trail-is-read-in-pages", broken{
		entries: func(b *broken, ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
			if after > 0 && limit < 100 {
				after--
			}
			return b.Memory.Entries(ctx, org, chain, after, limit)
		},
	}},
	{"no limit is none", "trail-is-read-in-pages", broken{
		entries: func(b *broken, ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
			if limit < 1 {
				limit = 100
			}
			return b.Memory.Entries(ctx, org, chain, after, limit)
		},
	}},
	{"the latest entries first", "trail-is-read-in-pages", reading(func(_ int64, limit int, entries []keys.Entry) []keys.Entry {
		if limit < 100 {
			slices.Reverse(entries)
		}
		return entries
	})},

	{"trails without regard to case", "trail-isolates-organizations", writing(func(b *broken, ctx context.Context, e *keys.Entry, write func(context.Context) error) error {
		if e == nil || strings.ToLower(e.Org) == e.Org {
			return write(ctx)
		}
		if err := write(without(ctx)); err != nil {
			return err
		}
		e.Org = strings.ToLower(e.Org)
		return b.Memory.AddEntry(ctx, *e)
	}, nil)},
	{"the trail of all", "trail-isolates-organizations", broken{
		chains: func(b *broken, ctx context.Context, org string) ([]keys.Chain, error) {
			return b.Memory.Chains(ctx, strings.TrimRight(org, " "))
		},
		entries: func(b *broken, ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
			return b.Memory.Entries(ctx, strings.TrimRight(org, " "), chain, after, limit)
		},
	}},

	{"no time is no entry", "trail-context-ended", broken{
		entries: func(b *broken, ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
			entries, err := b.Memory.Entries(ctx, org, chain, after, limit)
			if errors.Is(err, context.DeadlineExceeded) {
				return nil, nil
			}
			return entries, err
		},
	}},
	{"no time is no chain", "trail-context-ended", broken{chains: func(b *broken, ctx context.Context, org string) ([]keys.Chain, error) {
		return b.Memory.Chains(context.WithoutCancel(ctx), org)
	}}},
	{"entries are added late", "trail-context-ended", broken{addEntry: func(b *broken, ctx context.Context, e keys.Entry) error {
		return b.Memory.AddEntry(context.WithoutCancel(ctx), e)
	}}},
	{"entries are cut late", "trail-context-ended", broken{cutEntries: func(b *broken, ctx context.Context, org, chain string, upTo int64) error {
		return b.Memory.CutEntries(context.WithoutCancel(ctx), org, chain, upTo)
	}}},

	{"a cut that is forgotten", "trail-is-cut", broken{chains: func(b *broken, ctx context.Context, org string) ([]keys.Chain, error) {
		chains, err := b.Memory.Chains(ctx, org)
		if err == nil {
			chains[0].Cut = keys.Link{}
		}
		return chains, err
	}}},
	{"the entry of the cut stays", "trail-is-cut", broken{cutEntries: func(b *broken, ctx context.Context, org, chain string, upTo int64) error {
		return b.Memory.CutEntries(ctx, org, chain, max(upTo-1, min(upTo, 1)))
	}}},
	{"a cut beyond the end", "trail-is-cut", broken{cutEntries: func(b *broken, ctx context.Context, org, chain string, upTo int64) error {
		chains, err := b.Memory.Chains(ctx, org)
		if err == nil {
			upTo = min(upTo, max(chains[0].Last.Seq, 1))
		}
		return errors.Join(err, b.Memory.CutEntries(ctx, org, chain, upTo))
	}}},
	{"what was cut is not found", "trail-is-cut", broken{cutEntries: func(b *broken, ctx context.Context, org, chain string, upTo int64) error {
		chains, err := b.Memory.Chains(ctx, org)
		if err == nil && upTo <= chains[0].Cut.Seq {
			err = keys.ErrNotFound
		}
		if err != nil {
			return err
		}
		return b.Memory.CutEntries(ctx, org, chain, upTo)
	}}},

	{"the entry after the record", "trail-and-record-are-one", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		e := entryFor(ctx, r)
		err := b.Memory.Update(without(ctx), r)
		if err == nil && e != nil {
			latency(1)
			err = b.Memory.AddEntry(ctx, *e)
		}
		return err
	}}},
	{"an entry that cannot be written is passed over", "trail-and-record-are-one", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		if e := entryFor(ctx, r); e != nil && e.Validate() != nil {
			ctx = without(ctx)
		}
		return b.Memory.Update(ctx, r)
	}}},
	{"the entry before the record", "trail-and-record-are-one", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		e := entryFor(ctx, r)
		was, _, err := b.Memory.Get(ctx, r.ID)
		if err == nil {
			_, err = keys.Next(was, r)
		}
		if err == nil && e != nil {
			ctx = without(ctx)
			err = b.Memory.AddEntry(ctx, *e)
			latency(1)
		}
		if r.Validate() != nil || err == nil {
			err = b.Memory.Update(ctx, r)
		}
		return err
	}}},

	{"two at the end of a chain", "trail-of-many-is-linked", broken{addEntry: func(b *broken, ctx context.Context, e keys.Entry) error {
		chains, err := b.Memory.Chains(ctx, e.Org)
		if err != nil {
			return err
		}
		latency(1)
		now, err := b.Memory.Chains(ctx, e.Org)
		if err != nil || now[0].Last.Seq != chains[0].Last.Seq {
			return err // the other one's entry is there, and this one lost
		}
		return b.Memory.AddEntry(ctx, e)
	}}},
	{"who comes second fails", "trail-of-many-is-linked", broken{addEntry: func(b *broken, ctx context.Context, e keys.Entry) error {
		if !b.lock(e.Org) {
			return errDriver
		}
		defer b.unlock(e.Org)
		latency(1)
		return b.Memory.AddEntry(ctx, e)
	}}},
}
