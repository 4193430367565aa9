// Package store joins the two contracts that a host's storage fulfils, records
// of credentials ([keys.Store]) and buckets of rate limits ([ratelimit.Store]),
// and has the store that needs nothing but memory.
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
// A store is six methods. The comments on [keys.Store] and [ratelimit.Store]
// say all that callers rely on. What a store has to decide is decided by
// functions: [keys.Next] says what an Update writes, [keys.Record.Sweepable] what
// Sweep removes, and [ratelimit.Limit.Take] what becomes of a bucket. So a method is a read, one
// such call and a write. A record can be kept as one text, its JSON
// ([keys.Record.MarshalJSON] and [keys.Record.UnmarshalJSON]), beside the columns
// that lists go by.
//
// Three rules are easily missed:
//
//   - Text is compared byte by byte: IDs that differ in case, in trailing
//     spaces or in Unicode form are different IDs. Many databases need a binary
//     collation for that.
//   - Nobody else writes between the read and the write of an Update. Without a
//     lock, or a condition on the version, revocations are undone now and then.
//   - A store that cannot answer returns its own error, never [ErrNotFound].
//
// The examples of the repository have two stores of about 150 lines each:
// examples/customstore keeps files, and examples/sqlstore a SQL database that
// processes share.
//
// Some more interfaces are optional: a [keys.UseStore] keeps when credentials were
// last used, a [keys.CountStore] counts, a [keys.OrgStore] lists organizations, a
// [keys.TrailStore] keeps who did what, and a [keys.Feed] tells caches what was
// changed. A store that holds another one in a field hides those methods unless it
// has them itself. Hiding those of a Feed does harm where other processes have a
// [keys.Cache]: revocations no longer wait for it.
//
// Package storetest checks every rule, and names the one that is broken. It also
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

// A Store keeps records and buckets. It is safe for concurrent use. The two
// halves have nothing in common but the place where they are kept; no method of
// one may wait for, or fail because of, the data of the other.
type Store interface {
	keys.Store
	ratelimit.Store
}

// Errors that stores return, or wrap, from the methods of [keys.Store]. They are
// the values of package keys under a second name, so that a store's source
// needs only one of the two.
var (
	ErrNotFound = keys.ErrNotFound // no record has the ID
	ErrExists   = keys.ErrExists   // the ID was used before
	ErrConflict = keys.ErrConflict // the record was changed since it was read
)
