// Package redisstore keeps records and buckets in Redis or Valkey: one server,
// one behind Sentinel, or a cluster. It needs no more than Redis 6.
//
//	client := redis.NewClient(&redis.Options{
//		Addr:                  "redis.internal:6379",
//		ContextTimeoutEnabled: true, // New insists
//	})
//	s, err := redisstore.New(client, nil)
//	if err != nil { … }
//	if err := s.Check(ctx); err != nil { … } // is the server set up to keep things?
//
// A [Store] is a [store.Store], a [keys.FamilyStore] and a [keys.UseStore].
//
// # What holds, and what it takes
//
// Whatever the settings: each write is one script, done in full or not at all.
// Gets ask the primary and no cache, so a revocation that was acknowledged is
// seen at once by all processes. What is not there is denied. A server that
// does not answer, is loading, or says something else than it should is an
// error, and never the verdict that a credential does not exist.
//
// What of acknowledged writes is lost depends on the server:
//
//	                                       process killed   machine lost power   failover
//	appendonly yes, appendfsync always     nothing          nothing              what replicas lack
//	appendonly yes, appendfsync everysec   nothing          about a second       what replicas lack
//	appendonly no                          all, or all      the same             what replicas lack
//	                                       since a snapshot
//	Options.Replicas: n                    as above         as above             nothing, if one of the
//	                                                                             n takes over
//	maxmemory-policy not noeviction        anything at any time: limits are given back,
//	                                       credentials and the memory of used IDs vanish
//
// [Store.Check] refuses all but the first line with noeviction, each by an error
// of its own.
//
// Replication is asynchronous. A primary that is lost takes along what it
// acknowledged and had not yet passed on: keys that were just made are unknown
// afterwards, and a key that was just revoked is good again. With
// [Options.Replicas], Insert and Update wait until so many replicas have the
// write, and a revocation is not said to be done before that, however often it
// is tried. A replica has it in memory then, and not yet on its disk. Sentinel
// and clusters may promote another replica than one that has the write if there
// are more than n; so n should be their number. Buckets never wait: after a
// failover, limits give back what was taken last.
//
// An old primary that is cut off from its replicas may go on for a while and
// serve those who still reach it. It does not know what is revoked on the new
// one. The server's settings min-replicas-to-write and min-replicas-max-lag end
// its writes, but not its reads.
//
// A restored backup is as old as it is: what was revoked since is good again.
//
// # Out of memory
//
// With noeviction, a server that is full refuses writes. Keys are neither made
// nor changed, and buckets fail, for which a [ratelimit.Limiter] has its
// [ratelimit.FailurePolicy]. Credentials are checked as before, and Sweep makes room.
// From Redis 7 on, revoking works too.
//
// # Time
//
// Calls end when their contexts do, and after [Options.Timeout] at the latest;
// a context that is cancelled while the server is waited for may be noticed as
// late as that. The client's own time limits work too, if they are shorter.
//
// Limits go by the server's clock, the same for all processes. If it jumps, or a
// replica whose clock differs takes over, no bucket locks out for longer than its
// window, nor admits more than a burst at once.
//
// With appendfsync always, each request that is admitted waits for the disk,
// since its bucket is a write. Buckets need not last that long: a second server
// that syncs each second, and a second Store over it for the limits, makes Take
// as fast as the network.
//
// The client may repeat reads, as its settings say. Writes are sent once,
// whatever they say: a request does not pay twice, and a new ID is not found to
// be taken. An error of the client's leaves open whether a write was done.
//
// # Layout
//
// The prefix, which is claviger by default, begins all keys. The tag in braces
// is one of sixteen, by a hash of the ID; so the keys that a write needs are in
// one slot of a cluster.
//
//	claviger:{tag}:r:ID          a record: a hash
//	claviger:{tag}:i:KIND:ORG    the IDs of one kind of an organization: a sorted set
//	claviger:{tag}:d             the IDs of tokens, by when they are over: a sorted set
//	claviger:b:BUCKET            a bucket: Unix nanoseconds at which it is full; expires
//
// A record has the fields org, kind, parent, label, scopes, rate, life, digest,
// before, until, created, expires, revoked and version, and beside them used and
// pending. Times are in Unix milliseconds; what is empty is absent. Records hold
// digests, and no secrets. Nothing but buckets expires by itself: Sweep removes
// tokens, and keys and clients stay, so that their IDs are not used again.
//
// There is nothing to set up. Releases to come read what this one writes: they
// may add fields, which this one leaves alone, and will not change the meaning
// of those above, nor the number of tags. Keys can be copied to another server
// one by one; a cluster and a single server have the same.
//
// In a cluster, a token and its client are read in two round trips, on one
// server in one. While a slot is moved to another node, writes to it may fail
// and should be tried again.
package redisstore
