package storetest_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A plain store has the six methods alone.
type plain struct{ store.Store }

// A store that has none of the optional interfaces is not judged by their
// clauses, and does not break them. One that has them is, through Faults too.
func TestOptionalClauses(t *testing.T) {
	t.Parallel()
	silent := func() *broken {
		return &broken{
			noteUses: func(*broken, context.Context, map[string]time.Time) error { return errDriver },
			count: func(*broken, context.Context, string, keys.Kind, time.Time, int) (int, error) {
				return 0, errDriver
			},
			orgs:   func(*broken, context.Context, string, int) ([]string, error) { return nil, errDriver },
			chains: func(*broken, context.Context, string) ([]keys.Chain, error) { return nil, errDriver },
		}
	}
	all := []string{"uses-round-trip", "count-counts-the-living", "orgs-are-listed", "trail-is-kept"}
	for name, tt := range map[string]struct {
		open func() keys.Store
		want []string
	}{
		"a store that is sound":   {func() keys.Store { return new(store.Memory) }, nil},
		"a store of six methods":  {func() keys.Store { return plain{silent()} }, nil},
		"Faults over six methods": {func() keys.Store { return storetest.NewFaults(plain{silent()}) }, nil},
		"Faults over six and a feed": {func() keys.Store {
			fed := newFed(new(feedDB), alteration{})
			return storetest.NewFeedFaults(struct {
				plain
				keys.Feed
			}{plain{fed}, fed})
		}, nil},
		"a store that has all":          {func() keys.Store { return silent() }, all},
		"Faults over one that has all":  {func() keys.Store { return storetest.NewFaults(silent()) }, all},
		"Faults over one that is sound": {func() keys.Store { return storetest.NewFaults(new(store.Memory)) }, nil},
	} {
		if testing.Short() && tt.want == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				violations := storetest.CheckRecords(t, func(testing.TB) keys.Store { return tt.open() }, &storetest.Options[keys.Store]{Race: lap})
				if diff := cmp.Diff(tt.want, names(violations)); diff != "" {
					t.Errorf("clauses reported (-want +got):\n%s", diff)
				}
			})
		})
	}
	t.Run("in subtests", func(t *testing.T) {
		storetest.TestRecords(t, func(testing.TB) keys.Store { return plain{silent()} }, &storetest.Options[keys.Store]{Race: lap})
	})
	of := make(map[string]int)
	for _, c := range storetest.Records() {
		of[c.Optional]++
		for prefix, optional := range map[string]string{
			"uses-": "keys.UseStore", "count-": "keys.CountStore", "orgs-": "keys.OrgStore", "batch-": "keys.BatchStore",
			"feed-": "keys.Feed", "second-feed-": "keys.Feed with Options.Second",
			"trail-": "keys.TrailStore", "second-handle-": "Options.Second", "broken-database-": "Options.Break",
		} {
			if strings.HasPrefix(c.Name, prefix) != (c.Optional == optional) {
				t.Errorf("%s is a clause of %q", c.Name, c.Optional)
			}
		}
	}
	if of[""] < 50 || of["keys.UseStore"] < 8 || len(of) != 10 {
		t.Errorf("clauses of each interface: %v", of)
	}
}
