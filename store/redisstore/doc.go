// Package redisstore keeps records and buckets in Redis or Valkey: one server,
// one behind Sentinel, or a cluster. It needs Redis 6 or later.
//
//	client := redis.NewClient(&redis.Options{
//		Addr:                  "redis.internal:6379",
//		ContextTimeoutEnabled: true, // New requires it
//	})
//	s, err := redisstore.New(client, nil)
//	if err != nil { … }
//	if err := s.Check(ctx); err != nil { … } // whether the server keeps what it acknowledges
//
// A [Store] is a [store.Store], and has all optional interfaces of package keys but
// [keys.BatchStore].
//
// # Guarantees
//
// These hold whatever the settings are. Each write is one script, which is done in
// full or not at all. All reads go to the primary, so that every process sees a
// revocation as soon as it was acknowledged. A record that is missing lets nobody in.
// If a server does not answer, is loading, is no primary, or gives an answer of an
// unexpected form, the call fails with an error that is not [keys.ErrNotFound].
//
// Which acknowledged writes can be lost depends on the server:
//
//	                                       process killed   machine lost power   failover
//	appendonly yes, appendfsync always     nothing          nothing              what replicas lack
//	appendonly yes, appendfsync everysec   nothing          about a second       what replicas lack
//	appendonly no                          all, or all      the same             what replicas lack
//	                                       since a snapshot
//	Options.Replicas: n                    as above         as above             nothing, if one of the
//	                                                                             n takes over
//	maxmemory-policy not noeviction        anything at any time: quota is given back,
//	                                       credentials are lost, and used IDs can be used again
//
// [Store.Check] accepts only the first line, and only with noeviction. It reports each
// of the others with an error of its own.
//
// Replication is asynchronous. When a primary is lost, so are the writes that it
// acknowledged and had not yet passed on: keys that were just made are unknown
// afterwards, and a key that was just revoked is good again. With
// [Options.Replicas] set to n, Insert and Update wait until n replicas have the write
// in memory, and no call reports a revocation as done before that. Sentinel and
// clusters choose which replica to promote. If there are more than n replicas, it may
// be one that lacks the write, so n should be the number of replicas. Takes do not
// wait: a failover gives back what was taken last.
//
// After a failover the old primary may still run, and some clients may still reach it.
// It does not know what was revoked on the new one. Once Sentinel has told it to be a
// replica, some seconds later, calls fail with [ErrNotPrimary]. Until then it works as
// a primary. The server's setting min-replicas-to-write bounds that time: a primary
// that has lost its replicas refuses writes, and reads of this package, after
// min-replicas-max-lag seconds at the latest. The price is that a primary whose
// replicas fail refuses them too.
//
// When a backup is restored, what was revoked after it was made is good again.
//
// # Limits alone
//
// A server that keeps nothing but buckets needs no append-only file and no
// replicas. If its data is lost, all buckets are full again. It must not evict keys:
// maxmemory-policy must be noeviction. [Store.CheckLimits] checks only this. Many
// managed servers deny INFO and CONFIG; both checks then report [ErrNotTold] for what
// they could not find out.
//
// # Out of memory
//
// With noeviction, a server that is out of memory refuses writes. Keys cannot be made
// or changed. Take fails, and the [ratelimit.FailurePolicy] of the limiter decides.
// Credentials are checked, listed and revoked as before, and Sweep frees memory.
//
// # Time
//
// A call ends at the deadline of its context, and each of its round trips after
// [Options.Timeout] at the latest. If a context is cancelled before its deadline
// while the server is waited for, the call may end as late as that. The client's
// own time limits work too, if they are shorter. When a server hangs, no more
// connections are made than the client's pool has.
//
// Limits go by the server's clock, the same for all processes. If it jumps, or a
// replica whose clock differs takes over, no bucket locks out for longer than its
// window, nor admits more than a burst at once.
//
// With appendfsync always, each request that is admitted waits for the disk,
// since its bucket is a write. Buckets need not last that long. A second server
// without an append-only file, and a second Store over it for the limits, makes
// Take as fast as the network.
//
// The client may send reads again, as its settings say. Writes are sent once, whatever
// the settings. Otherwise a request could pay twice, and an Insert that was sent twice
// would find its own ID taken. After an error of the client it is not known whether a
// write was done.
//
// # Caches of records
//
// A [keys.Cache] can hold the records of a Store, once all processes are of this
// release. Processes of the release before do not tell caches what they change, and do
// not wait for them.
//
// Each write that changes or removes a record also adds its ID to a stream of the
// record's shard. A cache reads all sixteen streams in one round trip. About the last
// 2,048 changes of each are kept, which takes a megabyte or two. A cache drops all that
// it holds if there were more changes since it last asked, if the server was restarted,
// promoted or emptied, or if it has taken over the data of another one. A server that
// is no primary does not answer a cache, and a cache without answers is not used.
//
// Caches are announced in the server too. When writes may have been lost, so may
// announcements. Methods of a [keys.Manager] that revoke, change or rotate then wait
// for the longest lease that there can be, which makes six seconds. They do so in the
// first six seconds after the server has started. After the server was promoted or
// emptied, and in a new store, they do so for six seconds from the first such call or
// the first [Store.Check]. The server cannot tell whether there were caches, so hosts
// without caches wait as well.
//
// All processes must be allowed to call INFO, by which the server says which one it
// is. Where that is denied there can be no cache, and nobody waits.
//
// # Layout
//
// All keys begin with the prefix, which is claviger by default. The tag in braces is
// one of sixteen, chosen by a hash of the ID, so that the keys that a write needs are
// in one slot of a cluster.
//
//	claviger:{tag}:r:ID          a record: a hash
//	claviger:{tag}:i:KIND:ORG    the IDs of records that are not revoked: a sorted set
//	claviger:{tag}:x:KIND:ORG    the IDs of revoked records: a sorted set
//	claviger:{tag}:e:KIND:ORG    the IDs in i whose records expire, by when they do: a sorted set
//	claviger:{tag}:d             the IDs of tokens that end, by when they do: a sorted set
//	claviger:{tag}:o             the organizations that have a record: a sorted set
//	claviger:{tag}:c             the IDs of the records that were changed last: a stream
//	claviger:{18}:a              the announcements of caches: a hash
//	claviger:{18}:s              since when no announcement can have been lost: a hash
//	claviger:{tag}:t:ORG         entries of the trail: a stream
//	claviger:{tag}:h:ORG         where that ends, and up to where it was cut: a hash
//	claviger:b:BUCKET            a bucket: Unix nanoseconds at which it is full; expires
//
// A record has the fields org, kind, parent, env, createdby, replaces, created,
// label, scopes, rate, life, networks, metadata, replacedby, digest, before,
// until, expires, revoked, disabled and version, and beside them used and pending.
// Times are in Unix milliseconds. A field that would be empty is absent. Records
// hold digests, and no secrets. Nothing but buckets expires by itself: Sweep
// removes tokens, and keys and clients stay, so that their IDs are not used again.
//
// There is nothing to set up. Keys can be copied to another server one by one; they
// are the same on a single server and on a cluster. While a slot of a cluster is moved
// to another node, writes to it may fail, and should be tried again.
//
// # The trail
//
// With [keys.Options].Trail, the script that writes a record adds the entry. Each
// organization has sixteen chains, one for each tag, since no script reaches two of
// them. The ID of the credential decides in which one an entry is, so all that
// happened to one credential stands in order. An entry is JSON in the field e of the
// stream, and its position the first number of the stream's ID. The store computes
// the hash, and the script checks that nobody has added another entry meanwhile. If
// somebody has, the script returns the new end of the chain, and the store tries again
// with it. So a change takes as many round trips as without a trail, and one more
// whenever another process was the last to add to the chain. CutEntries and AddEntry
// are scripts too.
//
// # Rights
//
// A user of the server needs these rights, with the prefix of [Options] in place of
// claviger:
//
//	ACL SETUSER app on >PASSWORD ~claviger:* +@all -@admin -@dangerous +info +config|get
//
// For a cluster add +cluster|slots and +cluster|shards. Without INFO there can be no
// cache of records, and without one of the two [Store.Check] reports [ErrNotTold]; all
// else works. Do not list single commands: scripts call many, and a later release may
// call others.
//
// # Other releases
//
// A record with a field that an earlier release does not know names its format in its
// version: "1:7" is version 7 of format 1. Processes that do not know the format refuse
// to read the record, with [keys.ErrCorrupt], and cannot write it. So no restriction is
// ignored, and during an upgrade such credentials are good only in the new processes.
// This release does the same with formats and fields that it does not know.
//
// Records of the release before format 1 are read and updated as they are. Once no
// process of that release is left, call [Store.Migrate].
//
// The program examples/partnerapi runs over this store with -store redis://….
package redisstore
