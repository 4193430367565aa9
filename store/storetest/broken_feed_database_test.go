package storetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A fedOutage is an outage of a store that has a feed.
type fedOutage struct {
	*outage
	feed    *fed
	down    bool
	longest func(error) error // what becomes of errors of LongestLease
}

// answers returns nil if the database is there.
func (o *fedOutage) answers() error {
	if o.down {
		return errDown
	}
	return nil
}

func (o *fedOutage) Announce(ctx context.Context, id string, lease time.Duration) error {
	if err := o.answers(); err != nil {
		return err
	}
	return o.feed.Announce(ctx, id, lease)
}

func (o *fedOutage) Withdraw(ctx context.Context, ids ...string) error {
	if err := o.answers(); err != nil {
		return err
	}
	return o.feed.Withdraw(ctx, ids...)
}

func (o *fedOutage) MarkIdle(ctx context.Context, idle time.Duration) ([]string, error) {
	if err := o.answers(); err != nil {
		return nil, err
	}
	return o.feed.MarkIdle(ctx, idle)
}

func (o *fedOutage) LongestLease(ctx context.Context) (time.Duration, error) {
	if err := o.answers(); err != nil {
		return 0, o.longest(err)
	}
	return o.feed.LongestLease(ctx)
}

func (o *fedOutage) Poll(ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
	if err := o.answers(); err != nil {
		return keys.Changes{}, err
	}
	return o.feed.Poll(ctx, id, after)
}

// TestBrokenFeeds takes the database of a feed down.
func TestBrokenFeeds(t *testing.T) {
	t.Parallel()
	for _, d := range []struct {
		name    string
		want    []string
		longest func(error) error
	}{
		{"none", nil, func(err error) error { return err }},
		{"down is no lease", []string{"broken-database-is-no-answer"}, func(error) error { return nil }},
	} {
		if testing.Short() && d.want == nil {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				open := func(testing.TB) keys.Store {
					f := newFed(new(feedDB), alteration{})
					return &fedOutage{outage: &outage{Faults: storetest.NewFaults(f)}, feed: f, longest: d.longest}
				}
				violations := storetest.CheckRecords(t, open, &storetest.Options[keys.Store]{
					Race: lap,
					Break: func(_ testing.TB, s keys.Store) (mend func()) {
						o := s.(*fedOutage)
						o.breakIt()
						o.down = true
						return func() { o.Heal(); o.down = false }
					},
				})
				if diff := cmp.Diff(d.want, names(violations)); diff != "" {
					t.Errorf("clauses reported (-want +got):\n%s\n%v", diff, violations)
				}
			})
		})
	}
}
