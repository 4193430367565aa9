// Package store joins the two contracts of a host's storage: records of credentials
// ([keys.Store]) and buckets of rate limits ([ratelimit.Store]). It also has a store
// in memory, [Memory].
//
// # Stores
//
//	Memory               this package     one process; gone when it ends
//	store/sqlitestore    own module       one machine; a file
//	store/pgstore        own module       many machines; PostgreSQL
//	store/redisstore     own module       many machines; Redis or Valkey
//
// The packages that use a store ask for one half of it: package keys for a
// [keys.Store], package ratelimit for a [ratelimit.Store]. So the halves can
// come from two places, such as records from a database and limits from
// [Memory].
//
// # Writing a store
//
// A store has six methods. The comments on [keys.Store] and [ratelimit.Store] say all
// that callers rely on. Functions make every decision: [keys.Next] says what an Update
// writes, [keys.Record.Sweepable] what Sweep removes, and [ratelimit.Limit.Take] what
// becomes of a bucket. So a method is a read, one such call and a write. A record can
// be kept as one text, its JSON ([keys.Record.MarshalJSON] and
// [keys.Record.UnmarshalJSON]), beside columns for the queries of List and Sweep.
//
// Three rules are easily missed:
//
//   - Text is compared byte by byte: IDs that differ in case, in trailing
//     spaces or in Unicode form are different IDs. Many databases need a binary
//     collation for that.
//   - Nobody else may write between the read and the write of an Update. Without a
//     lock, or a condition on the version, a revocation is undone now and then.
//   - A store that cannot answer returns its own error, never [ErrNotFound].
//
// The examples of the repository have two stores of about 150 lines each:
// examples/customstore keeps records in files, and examples/sqlstore in a SQL database
// that processes share.
//
// Other interfaces are optional: a [keys.UseStore] keeps when credentials were last
// used, a [keys.CountStore] counts records, a [keys.OrgStore] lists organizations, a
// [keys.BatchStore] makes one transaction of many inserts, a [keys.TrailStore] keeps
// who did what, and a [keys.Feed] tells caches what was changed. A store that holds
// another one in a field hides these methods unless it has them itself. Do not hide
// those of a Feed if a process has a [keys.Cache]: revocations would not wait for it.
//
// Package storetest checks every rule, and names each one that a store breaks. It also
// has benchmarks that are the same for every store:
//
//	func TestStore(t *testing.T) {
//		storetest.Test(t, func(t testing.TB) store.Store { return open(t) }, nil)
//	}
//
//	func BenchmarkRecords(b *testing.B) {
//		storetest.BenchmarkRecords(b, func(t testing.TB) keys.Store { return open(t) })
//	}
package store

import (
	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// A Store keeps records and buckets. It is safe for concurrent use. The two halves
// share nothing but the place where they are kept: no method of one may wait for the
// data of the other, or fail because of it.
type Store interface {
	keys.Store
	ratelimit.Store
}

// Errors that the methods of [keys.Store] return or wrap. They are the values of
// package keys under a second name.
var (
	ErrNotFound = keys.ErrNotFound // no record has the ID
	ErrExists   = keys.ErrExists   // the ID was used before
	ErrConflict = keys.ErrConflict // the record was changed since it was read
)
