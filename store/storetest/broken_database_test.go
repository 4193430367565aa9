package storetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// An outage is a store whose database can be down. It fails then, or waits for as
// long as it is allowed to.
type outage struct {
	*storetest.Faults
	hangs bool // the database does not answer; otherwise it refuses

	get    func(error) error // what becomes of errors of Get
	list   func(error) error // and of List
	chains func(error) error // and of Chains
	wait   time.Duration     // how long a Get waits, whatever its context says
}

func (o *outage) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if o.wait > 0 {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.wait)
		defer cancel()
		if err := ctx.Err(); err != nil {
			return rec, parent, err
		}
		ctx = late
	}
	rec, parent, err = o.Faults.Get(ctx, id)
	if err != nil && o.get != nil {
		err = o.get(err)
	}
	return rec, parent, err
}

func (o *outage) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	page, err := o.Faults.List(ctx, q)
	if err != nil && o.list != nil {
		err = o.list(err)
	}
	return page, err
}

func (o *outage) Chains(ctx context.Context, org string) ([]keys.Chain, error) {
	chains, err := o.Faults.Chains(ctx, org)
	if err != nil && o.chains != nil {
		err = o.chains(err)
	}
	return chains, err
}

// all are the methods of records.
var all = []storetest.Method{
	storetest.Insert, storetest.Get, storetest.Update, storetest.List, storetest.Sweep,
	storetest.NoteUses, storetest.LastUses, storetest.Count, storetest.Orgs,
	storetest.AddEntry, storetest.Chains, storetest.Entries, storetest.CutEntries,
}

// breakIt takes the database down.
func (o *outage) breakIt() {
	for _, m := range all {
		if o.hangs {
			o.Block(m)
		} else {
			o.Fail(m, storetest.Always, errDown)
		}
	}
}

func TestBrokenDatabases(t *testing.T) {
	t.Parallel()
	heal := func(o *outage) { o.Heal() }
	for i, d := range []struct {
		name   string
		want   []string
		broken outage
		mend   func(*outage)
	}{
		{"none, and it refuses", nil, outage{}, heal},
		{"none, and it hangs", nil, outage{hangs: true}, heal},
		{"down is not found", []string{"broken-database-is-no-answer"}, outage{get: func(err error) error {
			if errors.Is(err, errDown) {
				return keys.ErrNotFound
			}
			return err
		}}, heal},
		{"down is an empty list", []string{"broken-database-is-no-answer"}, outage{list: func(err error) error {
			if errors.Is(err, errDown) {
				return nil
			}
			return err
		}}, heal},
		{"down is a trail of no chains", []string{"broken-database-is-no-answer"}, outage{chains: func(err error) error {
			if errors.Is(err, errDown) {
				return nil
			}
			return err
		}}, heal},
		{"what waits does not heed its context", []string{"broken-database-returns-in-time"}, outage{hangs: true, wait: 10 * time.Second}, heal},
		{"it does not come back", []string{"broken-database-comes-back"}, outage{}, func(*outage) {}},
		{"it has forgotten all", []string{"broken-database-comes-back"}, outage{}, func(o *outage) { o.Faults = storetest.NewFaults(new(store.Memory)) }},
	} {
		if testing.Short() && i%3 != 2 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				open := func(testing.TB) keys.Store {
					o := d.broken
					o.Faults = storetest.NewFaults(new(store.Memory))
					return &o
				}
				violations := storetest.CheckRecords(t, open, &storetest.Options[keys.Store]{
					Race: lap,
					Break: func(_ testing.TB, s keys.Store) (mend func()) {
						o := s.(*outage)
						o.breakIt()
						return func() { d.mend(o) }
					},
				})
				if diff := cmp.Diff(d.want, names(violations)); diff != "" {
					t.Errorf("clauses reported (-want +got):\n%s\n%v", diff, violations)
				}
			})
		})
	}
}
