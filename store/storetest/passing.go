package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// Insert is [keys.Store.Insert], with the faults of [Insert].
func (f *Faults) Insert(ctx context.Context, r keys.Record) error {
	a, err := f.begin(ctx, Insert)
	if err != nil {
		return err
	}
	return cmp.Or(a.lost, f.store.Insert(ctx, r))
}

// Get is [keys.Store.Get], with the faults of [Get].
func (f *Faults) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	a, err := f.begin(ctx, Get)
	if err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	rec, parent, err = f.store.Get(ctx, id)
	if err = cmp.Or(a.lost, err); err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	if a.change != nil {
		a.change(&rec)
		if parent.ID != "" {
			a.change(&parent)
		}
	}
	return rec, parent, nil
}

// Update is [keys.Store.Update], with the faults of [Update].
func (f *Faults) Update(ctx context.Context, r keys.Record) error {
	a, err := f.begin(ctx, Update)
	if err != nil {
		return err
	}
	return cmp.Or(a.lost, f.store.Update(ctx, r))
}

// List is [keys.Store.List], with the faults of [List].
func (f *Faults) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	a, err := f.begin(ctx, List)
	if err != nil {
		return nil, err
	}
	page, err := f.store.List(ctx, q)
	if err = cmp.Or(a.lost, err); err != nil {
		return nil, err
	}
	if a.change != nil {
		for i := range page {
			a.change(&page[i])
		}
	}
	return page, nil
}

// Sweep is [keys.Store.Sweep], with the faults of [Sweep].
func (f *Faults) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	a, err := f.begin(ctx, Sweep)
	if err != nil {
		return 0, err
	}
	n, err := f.store.Sweep(ctx, before, limit)
	if err = cmp.Or(a.lost, err); err != nil {
		return 0, err
	}
	return n, nil
}

// Take is [ratelimit.Store.Take], with the faults of [Take].
func (f *Faults) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	a, err := f.begin(ctx, Take)
	if err != nil {
		return ratelimit.Decision{}, err
	}
	d, err := f.store.Take(ctx, b, l, now, n)
	if err = cmp.Or(a.lost, err); err != nil {
		return ratelimit.Decision{}, err
	}
	return d, nil
}

// unsupported is the error of a method that the store within does not have.
func unsupported(of string) error {
	return fmt.Errorf("storetest: the store within Faults is no %s: %w", of, errors.ErrUnsupported)
}

// NoteUses is [keys.UseStore.NoteUses], with the faults of [NoteUses].
func (f *Faults) NoteUses(ctx context.Context, uses map[string]time.Time) error {
	a, err := f.begin(ctx, NoteUses)
	if err != nil {
		return err
	}
	if f.uses == nil {
		return unsupported("keys.UseStore")
	}
	return cmp.Or(a.lost, f.uses.NoteUses(ctx, uses))
}

// LastUses is [keys.UseStore.LastUses], with the faults of [LastUses].
func (f *Faults) LastUses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	a, err := f.begin(ctx, LastUses)
	if err != nil {
		return nil, err
	}
	if f.uses == nil {
		return nil, unsupported("keys.UseStore")
	}
	uses, err := f.uses.LastUses(ctx, ids)
	if err = cmp.Or(a.lost, err); err != nil {
		return nil, err
	}
	return uses, nil
}

// Count is [keys.CountStore.Count], with the faults of [Count].
func (f *Faults) Count(ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (n int, err error) {
	a, err := f.begin(ctx, Count)
	if err != nil {
		return 0, err
	}
	if f.count != nil {
		n, err = f.count.Count(ctx, org, kind, now, most)
	} else {
		n, err = f.countList(ctx, org, kind, now, most)
	}
	if err = cmp.Or(a.lost, err); err != nil {
		return 0, err
	}
	return n, nil
}

// countList is Count for a store without that method. It calls List.
func (f *Faults) countList(ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (n int, err error) {
	q := keys.Query{Org: org, Kind: kind, Limit: 1000, Live: true}
	for n < most {
		page, err := f.List(ctx, q)
		if err != nil {
			return 0, err
		}
		for _, r := range page {
			if !r.Expired(now) {
				n++
			}
			q.After = r.ID
		}
		if len(page) < q.Limit {
			break
		}
	}
	return n, nil
}

// Orgs is [keys.OrgStore.Orgs], with the faults of [Orgs].
func (f *Faults) Orgs(ctx context.Context, after string, limit int) ([]string, error) {
	a, err := f.begin(ctx, Orgs)
	if err != nil {
		return nil, err
	}
	if f.orgs == nil {
		return nil, unsupported("keys.OrgStore")
	}
	orgs, err := f.orgs.Orgs(ctx, after, limit)
	if err = cmp.Or(a.lost, err); err != nil {
		return nil, err
	}
	return orgs, nil
}

// AddEntry is [keys.TrailStore.AddEntry], with the faults of [AddEntry].
func (f *Faults) AddEntry(ctx context.Context, e keys.Entry) error {
	a, err := f.begin(ctx, AddEntry)
	if err != nil {
		return err
	}
	if f.trail == nil {
		return unsupported("keys.TrailStore")
	}
	return cmp.Or(a.lost, f.trail.AddEntry(ctx, e))
}

// Chains is [keys.TrailStore.Chains], with the faults of [Chains].
func (f *Faults) Chains(ctx context.Context, org string) ([]keys.Chain, error) {
	a, err := f.begin(ctx, Chains)
	if err != nil {
		return nil, err
	}
	if f.trail == nil {
		return nil, unsupported("keys.TrailStore")
	}
	chains, err := f.trail.Chains(ctx, org)
	if err = cmp.Or(a.lost, err); err != nil {
		return nil, err
	}
	return chains, nil
}

// Entries is [keys.TrailStore.Entries], with the faults of [Entries].
func (f *Faults) Entries(ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
	a, err := f.begin(ctx, Entries)
	if err != nil {
		return nil, err
	}
	if f.trail == nil {
		return nil, unsupported("keys.TrailStore")
	}
	entries, err := f.trail.Entries(ctx, org, chain, after, limit)
	if err = cmp.Or(a.lost, err); err != nil {
		return nil, err
	}
	return entries, nil
}

// CutEntries is [keys.TrailStore.CutEntries], with the faults of [CutEntries].
func (f *Faults) CutEntries(ctx context.Context, org, chain string, upTo int64) error {
	a, err := f.begin(ctx, CutEntries)
	if err != nil {
		return err
	}
	if f.trail == nil {
		return unsupported("keys.TrailStore")
	}
	return cmp.Or(a.lost, f.trail.CutEntries(ctx, org, chain, upTo))
}
