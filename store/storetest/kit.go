package storetest

import (
	"context"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
)

// Test checks both halves of a store, each clause in a subtest. It calls open
// once for each subtest, and open returns a store that is empty, and that
// nobody else uses; what has to be closed is closed by t.Cleanup. It fails
// the test, with t.Fatal, if it cannot.
func Test(t *testing.T, open func(t testing.TB) store.Store) {
	t.Helper()
	TestRecords(t, func(t testing.TB) keys.Store { return open(t) })
	TestLimits(t, func(t testing.TB) ratelimit.Store { return open(t) })
}

// TestRecords is [Test] for the half that keeps records. A store that is a
// [keys.FamilyStore] or a [keys.UseStore] is judged by the clauses of those too;
// for others their subtests are skipped.
func TestRecords(t *testing.T, open func(t testing.TB) keys.Store) {
	t.Helper()
	test(t, recordClauses, open)
}

// TestLimits is [Test] for the half that keeps buckets. Two subtests wait
// for buckets to be filled again, or not to be, which takes two seconds.
func TestLimits(t *testing.T, open func(t testing.TB) ratelimit.Store) {
	t.Helper()
	test(t, limitClauses, open)
}

// test runs a subtest for each clause, in their order. With -run some may be
// left out; those count as kept.
func test[S any](t *testing.T, clauses []clause[S], open func(testing.TB) S) {
	t.Helper()
	out := make(verdict)
	for _, c := range clauses {
		kept := t.Run(c.Name, func(t *testing.T) {
			if missing := out.missing(c.Clause); missing != "" {
				out[c.Name] = true
				t.Skipf("not judged, since it builds on %s", missing)
			}
			s := open(t)
			if !c.judges(s) {
				t.Skipf("not judged, since the store is no %s", c.Optional)
			}
			if v := c.judge(t.Context(), s); v != nil {
				t.Error(v)
			}
		})
		if !kept {
			out[c.Name] = true
		}
	}
}

// Records returns the clauses of [keys.Store], and those of [keys.FamilyStore]
// and [keys.UseStore], in the order in which they are judged. Needs come before
// the clauses that build on them.
func Records() []Clause { return public(recordClauses) }

// Limits returns the clauses of [ratelimit.Store], as [Records] does.
func Limits() []Clause { return public(limitClauses) }

// CheckRecords judges stores by the clauses of [Records] and returns the
// violations, nil if there are none. It calls open for each clause that it
// judges, and open returns a store that is empty, and that nobody else uses.
// The calls to the store get a context made from ctx.
func CheckRecords(ctx context.Context, open func() keys.Store) []*Violation {
	return check(ctx, recordClauses, open)
}

// CheckLimits judges stores by the clauses of [Limits], as [CheckRecords] does.
func CheckLimits(ctx context.Context, open func() ratelimit.Store) []*Violation {
	return check(ctx, limitClauses, open)
}
