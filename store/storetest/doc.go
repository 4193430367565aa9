// Package storetest checks stores against the contracts of [keys.Store] and
// [ratelimit.Store], and has a store for tests that fails on demand ([Faults]).
//
// # For authors of stores
//
// One test is all that a store needs:
//
//	func TestStore(t *testing.T) {
//		storetest.Test(t, func(t testing.TB) store.Store {
//			db := newDatabase(t) // empty, and closed by t.Cleanup
//			return mystore.New(db)
//		}, nil)
//	}
//
// [TestRecords] and [TestLimits] are for stores that keep one half. With
// [BenchmarkRecords] stores can be compared.
//
// The rules of the contracts are cut into clauses ([Records], [Limits]), and
// each clause is a subtest under its own name, such as
// insert-never-overwrites. Each subtest gets a store of its own, and a failure
// says what the contract wants, why, and what the store did instead. A clause
// that makes no sense without another one that failed is skipped: one defect
// is reported once, under the name of the rule that it breaks. The clauses of
// [keys.FamilyStore], [keys.LocalStore] and [keys.UseStore] are judged if the
// store has their methods, and their subtests are skipped if it has not.
//
// The kit knows nothing of a store but its methods. It cannot see whether a
// store survives a power cut, holds across several nodes, or heeds a context
// that ends halfway through a call; those are for tests of its author's.
// Concurrency is tried by many goroutines at once: some clauses try one race
// each, and concurrent-histories-are-linearizable records what callers did at
// random, and asks whether any order of the calls explains all answers. So a race
// may hide in one run and show in the next; run the tests with the race detector
// too.
//
// Apart from the subtests, [CheckRecords] and [CheckLimits] return what they
// found. They are how the kit itself is tested: on stores that are broken on
// purpose, each in one way, for which exactly the one clause must be named.
//
// # For hosts
//
// [Faults] wraps a store and makes chosen calls fail, hang, lose their answers
// or lie, so that a host can see what its service does then.
//
// The package imports package testing. It is for tests only.
package storetest
