package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// counting is a Count of the records that are counted one by one.
func counting(counts func(was, is keys.Record, now time.Time) bool, same func(r keys.Record, org string, kind keys.Kind) bool) broken {
	return broken{
		insert: insertNoted,
		count: func(b *broken, ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (n int, err error) {
			if err := (keys.Query{Org: org, Kind: kind, Limit: most}).Validate(); err != nil {
				return 0, err
			}
			for _, was := range b.noted() {
				if is, err := b.one(context.Background(), was.ID); err == nil && same(is, org, kind) && counts(was, is, now) {
					n++
				}
			}
			return n, ctx.Err()
		},
	}
}

func ofOrg(r keys.Record, org string, kind keys.Kind) bool { return r.Org == org && r.Kind == kind }

func lives(_, is keys.Record, now time.Time) bool { return !is.Revoked() && !is.Expired(now) }

// listing is an Orgs whose good answers are changed.
func listing(change func(b *broken, after string, limit int, orgs []string) []string) broken {
	return broken{insert: insertNoted, orgs: func(b *broken, ctx context.Context, after string, limit int) ([]string, error) {
		orgs, err := b.Memory.Orgs(ctx, after, limit)
		if err != nil {
			return nil, err
		}
		return change(b, after, limit, orgs), nil
	}}
}

// orgsOf returns what Orgs would return of some records.
func (b *broken) orgsOf(keep func(keys.Record) bool, after string, limit int) []string {
	var orgs []string
	for _, r := range b.noted() {
		if keep(r) && r.Org > after {
			orgs = append(orgs, r.Org)
		}
	}
	slices.Sort(orgs)
	orgs = slices.Compact(orgs)
	return orgs[:min(limit, len(orgs))]
}

// countDefects are those of Count and Orgs.
var countDefects = []*defect{
	{"what expired counts", "count-counts-the-living", counting(func(_, is keys.Record, _ time.Time) bool { return !is.Revoked() }, ofOrg)},
	{"what is revoked later counts", "count-counts-the-living", counting(func(_, is keys.Record, now time.Time) bool {
		return !is.RevokedAt.After(now) == !is.Revoked() && !is.Expired(now) || is.RevokedAt.After(now)
	}, ofOrg)},
	{"what is paused does not count", "count-counts-the-living", counting(func(was, is keys.Record, now time.Time) bool {
		return lives(was, is, now) && !is.Disabled()
	}, ofOrg)},
	{"what expires just then counts", "count-counts-the-living", counting(func(was, is keys.Record, now time.Time) bool {
		return lives(was, is, now.Add(-time.Millisecond))
	}, ofOrg)},
	{"what ended in 1970 counts", "count-counts-the-living", counting(func(was, is keys.Record, now time.Time) bool {
		return lives(was, is, now) || is.ExpiresAt.UnixMilli() == 0
	}, ofOrg)},
	{"counting is by the clock", "count-counts-the-living", counting(func(was, is keys.Record, _ time.Time) bool {
		return lives(was, is, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	}, ofOrg)},
	{"only inserts are counted", "count-sees-writes", counting(func(was, _ keys.Record, now time.Time) bool { return lives(was, was, now) }, ofOrg)},
	{"organizations are counted without regard to case", "count-isolates-organizations", counting(lives, func(r keys.Record, org string, kind keys.Kind) bool {
		return strings.EqualFold(r.Org, org) && r.Kind == kind
	})},
	{"all kinds are counted", "count-isolates-organizations", counting(lives, func(r keys.Record, org string, _ keys.Kind) bool { return r.Org == org })},
	{"organizations are counted without spaces", "count-isolates-organizations", counting(lives, func(r keys.Record, org string, kind keys.Kind) bool {
		return strings.TrimRight(r.Org, " ") == org && r.Kind == kind
	})},
	{"nothing can be in an impossible organization", "count-validates", broken{
		count: func(b *broken, ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (int, error) {
			n, err := b.Memory.Count(ctx, org, kind, now, most)
			if errors.Is(err, keys.ErrInvalid) && most > 0 {
				return 0, nil
			}
			return n, err
		},
	}},
	{"a limit of 0 is no count", "count-validates", broken{
		count: func(b *broken, ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (int, error) {
			if most < 1 {
				return 0, ctx.Err()
			}
			return b.Memory.Count(ctx, org, kind, now, most)
		},
	}},
	{"no time is no record", "count-context-ended", broken{
		count: func(b *broken, ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (int, error) {
			n, err := b.Memory.Count(ctx, org, kind, now, most)
			if errors.Is(err, context.Canceled) {
				return 0, nil
			}
			return n, err
		},
	}},

	{"organizations in the order of a dictionary", "orgs-are-listed", listing(func(_ *broken, _ string, _ int, orgs []string) []string {
		slices.SortStableFunc(orgs, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
		return orgs
	})},
	{"organizations of the living", "orgs-are-listed", listing(func(b *broken, after string, limit int, _ []string) []string {
		return b.orgsOf(func(r keys.Record) bool { return !isDead(r) }, after, limit)
	})},
	{"organizations with what is not revoked", "orgs-are-listed", listing(func(b *broken, after string, limit int, _ []string) []string {
		return b.orgsOf(func(r keys.Record) bool { return !r.Revoked() }, after, limit)
	})},
	{"organizations that are gone", "orgs-are-listed", listing(func(b *broken, after string, limit int, _ []string) []string {
		return b.orgsOf(func(keys.Record) bool { return true }, after, limit)
	})},
	{"an organization comes once for each kind", "orgs-are-listed", listing(func(b *broken, after string, limit int, _ []string) []string {
		var all []string
		for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient, keys.KindToken} {
			all = append(all, b.orgsOf(func(r keys.Record) bool { return r.Kind == kind }, after, limit)...)
		}
		slices.Sort(all)
		return all[:min(limit, len(all))]
	})},
	{"organizations from the cursor on", "orgs-page", listing(func(b *broken, after string, limit int, orgs []string) []string {
		if after == "" || len(b.orgsOf(func(r keys.Record) bool { return r.Org == after }, "", 1)) == 0 {
			return orgs
		}
		return append([]string{after}, orgs...)[:min(limit, len(orgs)+1)]
	})},
	{"one organization too many", "orgs-page", broken{orgs: func(b *broken, ctx context.Context, after string, limit int) ([]string, error) {
		return b.Memory.Orgs(ctx, after, limit+1)
	}}},
	{"the cursor must be an organization", "orgs-page", listing(func(b *broken, after string, _ int, orgs []string) []string {
		if after != "" && len(b.orgsOf(func(r keys.Record) bool { return r.Org == after }, "", 1)) == 0 {
			return nil
		}
		return orgs
	})},
	{"no time is no organization", "orgs-context-ended", broken{orgs: func(b *broken, ctx context.Context, after string, limit int) ([]string, error) {
		orgs, _ := b.Memory.Orgs(ctx, after, limit)
		return orgs, nil
	}}},
}
