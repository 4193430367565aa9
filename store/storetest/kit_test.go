package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A defect is one way to break a store, and the clause that must be named.
type defect struct {
	name   string
	clause string
	store  broken
}

// clone returns a new store with the defect. A broken must not be copied once
// it is in use; those in the tables never are.
func (d *defect) clone() *broken {
	return &broken{
		insert: d.store.insert, get: d.store.get, update: d.store.update,
		list: d.store.list, sweep: d.store.sweep, take: d.store.take,
		family: d.store.family, view: d.store.view, noteUses: d.store.noteUses, lastUses: d.store.lastUses,
	}
}

func checkRecords(ctx context.Context, open func() *broken) []*storetest.Violation {
	return storetest.CheckRecords(ctx, func() keys.Store { return open() })
}

func checkLimits(ctx context.Context, open func() *broken) []*storetest.Violation {
	return storetest.CheckLimits(ctx, func() ratelimit.Store { return open() })
}

// names returns the clauses that violations name.
func names(violations []*storetest.Violation) []string {
	var all []string
	for _, v := range violations {
		all = append(all, v.Clause)
	}
	return all
}

func clauseNames(clauses []storetest.Clause) []string {
	var all []string
	for _, c := range clauses {
		all = append(all, c.Name)
	}
	return all
}

// Each defect is reported once, under the name of the clause that it breaks, and
// every clause has a defect that breaks it.
func TestDefects(t *testing.T) {
	t.Parallel()
	for _, half := range []struct {
		name    string
		clauses []storetest.Clause
		defects []*defect
		check   func(context.Context, func() *broken) []*storetest.Violation
	}{
		{"records", storetest.Records(), recordDefects, checkRecords},
		{"limits", storetest.Limits(), limitDefects, checkLimits},
	} {
		var broken []string
		for _, d := range half.defects {
			broken = append(broken, d.clause)
			t.Run(half.name+"/"+d.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					violations := half.check(t.Context(), d.clone)
					if diff := cmp.Diff([]string{d.clause}, names(violations)); diff != "" {
						t.Errorf("clauses reported (-want +got):\n%s\n%v", diff, violations)
					}
				})
			})
		}
		slices.Sort(broken)
		want := slices.Sorted(slices.Values(clauseNames(half.clauses)))
		if diff := cmp.Diff(want, slices.Compact(broken)); diff != "" {
			t.Errorf("clauses that a defect breaks (-all +broken):\n%s", diff)
		}
	}
}

func TestMemoryBreaksNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := func() *broken { return new(broken) }
		if v := checkRecords(t.Context(), open); v != nil {
			t.Errorf("records: %v", v)
		}
		if v := checkLimits(t.Context(), open); v != nil {
			t.Errorf("limits: %v", v)
		}
	})
}

// Update may refuse a lifetime that comes with another kind than the record's,
// in place of leaving it out.
func TestRefusedKindsBreakNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := defect{store: updateRefusingKinds(&keys.InvalidError{Field: "token lifetime", Reason: "is not a client's"})}
		if v := checkRecords(t.Context(), d.clone); v != nil {
			t.Errorf("%v", v)
		}
	})
}

// The entry points for authors judge the same clauses, one subtest each.
func TestEntryPoints(t *testing.T) {
	t.Parallel()
	opened := 0
	t.Run("kit", func(t *testing.T) {
		storetest.Test(t, func(t testing.TB) store.Store {
			opened++
			names := append(clauseNames(storetest.Records()), clauseNames(storetest.Limits())...)
			if want := "TestEntryPoints/kit/" + names[opened-1]; t.Name() != want {
				t.Errorf("subtest %d is called %q, want %q", opened, t.Name(), want)
			}
			return new(store.Memory)
		})
	})
	if want := len(storetest.Records()) + len(storetest.Limits()); opened != want {
		t.Errorf("%d stores were opened for %d clauses", opened, want)
	}
}

func TestClauses(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, c := range slices.Concat(storetest.Records(), storetest.Limits()) {
		if strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz-") != "" || c.Name == "" || seen[c.Name] {
			t.Errorf("%q is not a name, or not the first clause with it", c.Name)
		}
		if len(c.Doc) < 60 || !strings.HasSuffix(c.Doc, ".") {
			t.Errorf("%s: the explanation is no sentence: %q", c.Name, c.Doc)
		}
		for _, need := range c.Needs {
			if !seen[need] {
				t.Errorf("%s needs %q, which is not judged before it", c.Name, need)
			}
		}
		seen[c.Name] = true
	}
	storetest.Records()[2].Needs[0] = "overwritten"
	if storetest.Records()[2].Needs[0] == "overwritten" {
		t.Error("callers can change the clauses")
	}
}

func TestViolation(t *testing.T) {
	t.Parallel()
	forgetful := func() keys.Store {
		return &broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
			r, err := b.Memory.Get(ctx, id)
			r.Label, r.ExpiresAt = "", r.CreatedAt
			return r, err
		}}
	}
	violations := storetest.CheckRecords(t.Context(), forgetful)
	i := slices.IndexFunc(violations, func(v *storetest.Violation) bool { return v.Clause == "insert-get-round-trip" })
	if i < 0 {
		t.Fatalf("no violation of insert-get-round-trip in %v", violations)
	}
	var err error = violations[i]
	for _, want := range []string{
		"breaks insert-get-round-trip", storetest.Records()[0].Doc,
		`Label: got "", want "label of full key"`,
		"ExpiresAt: got 2024-02-29T23:59:59.999Z, want 2124-07-14T03:04:05.001Z",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "RateLimit") {
		t.Errorf("the message has fields that do not differ:\n%v", err)
	}
}

// A store that panics breaks the clause, even if it does so in a goroutine.
func TestPanickingStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := func() keys.Store {
			return &broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
				b.mu.Lock()
				b.busy++
				overlapping := b.busy > 1
				b.mu.Unlock()
				defer func() { b.mu.Lock(); defer b.mu.Unlock(); b.busy-- }()
				latency(1)
				if overlapping {
					panic(errors.New("concurrent map read and map write"))
				}
				return b.Memory.Get(ctx, id)
			}}
		}
		violations := storetest.CheckRecords(t.Context(), open)
		if diff := cmp.Diff([]string{"concurrent-calls-do-not-fail"}, names(violations)); diff != "" {
			t.Fatalf("clauses reported (-want +got):\n%s", diff)
		}
		if detail := violations[0].Detail; !strings.Contains(detail, "panic: concurrent map read") {
			t.Errorf("the detail does not tell of the panic: %s", detail)
		}
	})
}

// A store that has none of the optional interfaces is not judged by their
// clauses, and does not break them. One that has them is, through Faults too.
func TestOptionalClauses(t *testing.T) {
	t.Parallel()
	silent := func() *broken {
		return &broken{
			family: func(*broken, context.Context, string) (rec, parent keys.Record, err error) {
				return rec, parent, errDriver
			},
			noteUses: func(*broken, context.Context, map[string]time.Time) error { return errDriver },
		}
	}
	const family, uses = "family-gets-both", "uses-round-trip"
	for name, tt := range map[string]struct {
		open func() keys.Store
		want []string
	}{
		"a store that is sound":         {func() keys.Store { return new(store.Memory) }, nil},
		"a store of six methods":        {func() keys.Store { return plain{silent()} }, nil},
		"Faults over six methods":       {func() keys.Store { return storetest.NewFaults(plain{silent()}) }, nil},
		"a store that has all":          {func() keys.Store { return silent() }, []string{family, uses}},
		"Faults over one that has all":  {func() keys.Store { return storetest.NewFaults(silent()) }, []string{family, uses}},
		"Faults over one that is sound": {func() keys.Store { return storetest.NewFaults(new(store.Memory)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				violations := storetest.CheckRecords(t.Context(), tt.open)
				if diff := cmp.Diff(tt.want, names(violations)); diff != "" {
					t.Errorf("clauses reported (-want +got):\n%s", diff)
				}
			})
		})
	}
	t.Run("in subtests", func(t *testing.T) {
		storetest.TestRecords(t, func(testing.TB) keys.Store { return plain{silent()} })
	})
	of := make(map[string]int)
	for _, c := range storetest.Records() {
		of[c.Optional]++
		if strings.HasPrefix(c.Name, "uses-") != (c.Optional == "keys.UseStore") {
			t.Errorf("%s is a clause of %q", c.Name, c.Optional)
		}
	}
	if of[""] < 50 || of["keys.FamilyStore"] < 8 || of["keys.UseStore"] < 8 || of["keys.LocalStore"] < 3 || len(of) != 4 {
		t.Errorf("clauses of each interface: %v", of)
	}
}
