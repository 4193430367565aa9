package storetest

import (
	"slices"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
)

// Test checks both halves of a store, each clause in a subtest. It calls open once
// for each subtest. The function open returns an empty store that nobody else uses,
// and closes it by t.Cleanup. If it cannot open one, it ends the test with t.Fatal.
func Test(t *testing.T, open func(t testing.TB) store.Store, opts *Options[store.Store]) {
	t.Helper()
	records := func(s store.Store) keys.Store { return s }
	limits := func(s store.Store) ratelimit.Store { return s }
	TestRecords(t, func(t testing.TB) keys.Store { return open(t) }, half(opts, records))
	TestLimits(t, func(t testing.TB) ratelimit.Store { return open(t) }, half(opts, limits))
}

// TestRecords is [Test] for the half that keeps records. A store that has the
// methods of an optional interface, such as [keys.UseStore], is judged by the
// clauses of that too; for others their subtests are skipped.
func TestRecords(t *testing.T, open func(t testing.TB) keys.Store, opts *Options[keys.Store]) {
	t.Helper()
	test(t, recordClauses, open, opts)
}

// TestLimits is [Test] for the half that keeps buckets. Some subtests wait until
// quota comes back, or does not, which takes two seconds.
func TestLimits(t *testing.T, open func(t testing.TB) ratelimit.Store, opts *Options[ratelimit.Store]) {
	t.Helper()
	test(t, allLimitClauses, open, opts)
}

// test runs a subtest for each clause, in their order. Clauses that the flag -run leaves
// out count as kept.
func test[S any](t *testing.T, clauses []clause[S], open func(testing.TB) S, opts *Options[S]) {
	t.Helper()
	opts = orZero(opts)
	out := make(verdict)
	for _, c := range clauses {
		kept := t.Run(c.Name, func(t *testing.T) {
			if missing := out.missing(c.Clause); missing != "" {
				out[c.Name] = true
				t.Skipf("not judged, since it builds on %s", missing)
			}
			if !c.possible(opts) {
				t.Skipf("not judged, since there is no %s", c.Optional)
			}
			s := open(t)
			if !c.applies(s) {
				t.Skipf("not judged, since the store is no %s", c.Optional)
			}
			if v := c.judge(t, s, opts); v != nil {
				t.Error(v)
			}
		})
		if !kept {
			out[c.Name] = true
		}
	}
}

func orZero[S any](opts *Options[S]) *Options[S] {
	if opts == nil {
		return new(Options[S])
	}
	return opts
}

// allLimitClauses are the clauses of [ratelimit.Store].
var allLimitClauses = slices.Concat(limitClauses, secondLimitClauses)

// Records returns the clauses of [keys.Store] and of the optional interfaces, in the
// order in which they are judged. Clauses come after those that they build on.
func Records() []Clause { return public(recordClauses) }

// Limits returns the clauses of [ratelimit.Store], as [Records] does.
func Limits() []Clause { return public(allLimitClauses) }

// CheckRecords judges stores by the clauses of [Records], as [TestRecords] does,
// and returns the violations, nil if there are none. It calls open for each clause
// that it judges.
func CheckRecords(t testing.TB, open func(t testing.TB) keys.Store, opts *Options[keys.Store]) []*Violation {
	t.Helper()
	return check(t, recordClauses, open, opts)
}

// CheckLimits judges stores by the clauses of [Limits], as [CheckRecords] does.
func CheckLimits(t testing.TB, open func(t testing.TB) ratelimit.Store, opts *Options[ratelimit.Store]) []*Violation {
	t.Helper()
	return check(t, allLimitClauses, open, opts)
}

// check judges a fresh store by each clause, and returns the violations.
func check[S any](t testing.TB, clauses []clause[S], open func(testing.TB) S, opts *Options[S]) []*Violation {
	opts = orZero(opts)
	var violations []*Violation
	out := make(verdict)
	for _, c := range clauses {
		if out.missing(c.Clause) != "" {
			out[c.Name] = true
			continue
		}
		if !c.possible(opts) {
			continue
		}
		s := open(t)
		if !c.applies(s) {
			continue
		}
		if v := c.judge(t, s, opts); v != nil {
			out[c.Name] = true
			violations = append(violations, v)
		}
	}
	return violations
}
