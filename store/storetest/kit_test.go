package storetest_test

import (
	"context"
	"errors"
	"os"
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
		both: d.store.both, noteUses: d.store.noteUses, lastUses: d.store.lastUses, count: d.store.count, orgs: d.store.orgs,
		addEntry: d.store.addEntry, chains: d.store.chains, entries: d.store.entries, cutEntries: d.store.cutEntries,
	}
}

// lap is how long races are in the tests. In a bubble, where time stands still while
// anybody works, it is how often racers pause.
const lap = 2 * time.Nanosecond

// judgedBy returns the clause up to which the i-th defect of a table is judged: the
// one that it breaks, or an empty name if all clauses judge it. They judge every
// twentieth defect, none with go test -short, and each one with CLAVIGER_LONG set.
func judgedBy(i int, clause string) string {
	if i%20 == 0 && !testing.Short() || os.Getenv("CLAVIGER_LONG") != "" {
		return ""
	}
	return clause
}

// checkRecords judges a store by the clauses up to the named one, or by all if the
// name is empty.
func checkRecords(t testing.TB, upTo string, open func() *broken) []*storetest.Violation {
	t.Helper()
	return storetest.CheckRecordsUpTo(t, upTo, func(testing.TB) keys.Store { return open() }, &storetest.Options[keys.Store]{Race: lap})
}

func checkLimits(t testing.TB, upTo string, open func() *broken) []*storetest.Violation {
	t.Helper()
	return storetest.CheckLimitsUpTo(t, upTo, func(testing.TB) ratelimit.Store { return open() }, &storetest.Options[ratelimit.Store]{Race: lap})
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
		check   func(t testing.TB, upTo string, open func() *broken) []*storetest.Violation
	}{
		{"records", storetest.Records(), recordDefects, checkRecords},
		{"limits", storetest.Limits(), limitDefects, checkLimits},
	} {
		// Those of handles, of feeds, of batches and of broken databases have tests of
		// their own.
		broken := []string{
			"broken-database-is-no-answer", "broken-database-returns-in-time", "broken-database-comes-back",
			"batch-inserts", "batch-is-one", "batch-context-ended", "batch-concurrent",
		}
		if half.name == "limits" {
			broken = nil
		}
		for _, d := range handleDefects {
			if slices.Contains(clauseNames(half.clauses), d.clause) {
				broken = append(broken, d.clause)
			}
		}
		if half.name == "records" {
			for _, d := range feedDefects {
				broken = append(broken, d.clause)
			}
		}
		for i, d := range half.defects {
			broken = append(broken, d.clause)
			if testing.Short() && i%25 != 0 {
				continue
			}
			if raceDetector && d.name == "pages share a buffer" {
				continue // that is a data race by itself
			}
			t.Run(half.name+"/"+d.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					violations := half.check(t, judgedBy(i, d.clause), d.clone)
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
		if v := checkRecords(t, "", open); v != nil {
			t.Errorf("records: %v", v)
		}
		if v := checkLimits(t, "", open); v != nil {
			t.Errorf("limits: %v", v)
		}
	})
}

// The entry points for authors judge the same clauses, one subtest each.
func TestEntryPoints(t *testing.T) {
	t.Parallel()
	var opened []string
	open, second := nodes(func(*node) {})
	t.Run("kit", func(t *testing.T) {
		storetest.Test(t, func(t testing.TB) store.Store {
			opened = append(opened, strings.TrimPrefix(t.Name(), "TestEntryPoints/kit/"))
			t.(*testing.T).Parallel()
			return open(t)
		}, &storetest.Options[store.Store]{Second: second, Race: time.Millisecond})
	})
	want := slices.DeleteFunc(append(clauseNames(storetest.Records()), clauseNames(storetest.Limits())...), func(name string) bool {
		return strings.HasPrefix(name, "broken-database-")
	})
	if diff := cmp.Diff(want, opened); diff != "" {
		t.Errorf("subtests with a store (-want +got):\n%s", diff)
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
	forgetful := func() *broken {
		return &broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
			r, err := b.one(ctx, id)
			r.Label, r.ExpiresAt = "", r.CreatedAt
			return r, err
		}}
	}
	violations := checkRecords(t, "", forgetful)
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
		open := func() *broken {
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
				return b.one(ctx, id)
			}}
		}
		violations := checkRecords(t, "", open)
		if diff := cmp.Diff([]string{"concurrent-calls-do-not-fail"}, names(violations)); diff != "" {
			t.Fatalf("clauses reported (-want +got):\n%s", diff)
		}
		if detail := violations[0].Detail; !strings.Contains(detail, "panic: concurrent map read") {
			t.Errorf("the detail does not tell of the panic: %s", detail)
		}
	})
}
