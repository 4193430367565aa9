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
// The rules of the contracts are divided into clauses ([Records], [Limits]). Each
// clause is a subtest with its own name, such as insert-never-overwrites, and
// gets a store of its own. A failure says what the contract wants, why, and what
// the store did instead. If a clause builds on one that has failed, it is skipped. So
// one defect is reported once, under the name of the rule that it breaks. The clauses
// of [keys.UseStore], [keys.CountStore], [keys.OrgStore], [keys.TrailStore],
// [keys.BatchStore] and [keys.Feed] are judged if the store has their methods.
//
// With a database most of the time goes in waiting. If open calls the Parallel method of
// its t, the clauses run at once, as many as the flag -parallel says. Then each clause
// is judged, even if it builds on one that fails:
//
//	func open(t testing.TB) store.Store {
//		t.(*testing.T).Parallel()
//		return mystore.New(newDatabase(t))
//	}
//
// [Options] tell the kit more. With Second it opens another handle on the same
// data, as a second process would, and finds caches and locks that belong to one
// process. With Break it takes the database down, and checks that the store fails as
// it should and in time, and works again afterwards:
//
//	&storetest.Options[store.Store]{
//		Second: func(t testing.TB, s store.Store) store.Store { return mystore.New(connect(t, s)) },
//		Break:  func(t testing.TB, s store.Store) (mend func()) { stop(s); return func() { start(s) } },
//	}
//
// # Concurrency and time
//
// In some clauses several callers do the same thing for 150 ms ([Options.Race])
// and count how often it went well: a lost update is found even if its window is a few
// nanoseconds. Others record what callers did at random, and check whether any
// order of the calls explains all answers. A race may still go unnoticed in one run and
// be found in the next. Run the tests with the race detector too.
//
// A clause that takes more than 30 seconds fails, and shows where its calls
// wait. With a slow store some clauses use fewer records or buckets.
//
// The kit only calls the methods of a store. Authors need tests of their own for what
// it cannot see: what survives a power cut; what a Sweep costs with a million records;
// that a record with a higher format number is refused (see [keys.RecordFormat]); and
// what becomes of a feed and its announcements when the database loses recent writes,
// by a crash, a failover or a restore.
//
// [CheckRecords] and [CheckLimits] return the violations instead of failing. The kit
// itself is tested with them, on some three hundred stores that are broken on
// purpose, each in one way, for which exactly the one clause must be named.
//
// # For hosts
//
// [Faults] wraps a store and makes chosen calls fail, hang, lose their answers
// or return damaged records, so that a host can see what its service does then. The
// host gives it to its manager and its limiter in place of the store, and a test says
// what goes wrong. These are the faults, and what they lead to:
//
//	Fail(Get, Always, err)        a database that is down: requests are answered 503
//	Fail(Take, Always, err)       limits that are down: the process goes by buckets of its own,
//	                              or requests are answered 503, as ratelimit.Options say
//	Fail(Insert, 1, err)          one failure: the next call goes well
//	release := Block(Get)         a database that hangs: 503 after the Timeout of the options
//	Lose(Update, 1, err)          a write whose answer is lost: an error that wraps
//	                              keys.ErrUnavailable, though the change has been made
//	Corrupt(Get, 1, change)       damaged records: 503, and nobody is let in
//	Heal()                        all is well again
//	Calls(Get)                    how often the store was asked
//
// A host with a [keys.Cache] takes a [FeedFaults], over a store with a feed, so that
// those of the feed can go wrong too:
//
//	Fail(Poll, Always, err)          the cache ends within its lease, and every request asks the store
//	Fail(LongestLease, Always, err)  a revocation is written, and its error wraps keys.ErrUnsettled
//
// In a bubble of package testing/synctest, a call that hangs takes no time. Package
// middleware/guardtest makes a manager, a limiter and a guard over a Faults in one
// line.
//
// The package imports package testing. It is for tests only.
//
// The stores in examples/customstore and examples/sqlstore are tested with it.
package storetest
