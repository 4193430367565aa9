// Package pgstore keeps credentials and rate limits in PostgreSQL, for hosts that
// run many processes on many machines. It needs PostgreSQL 13 or later and is
// tested with 15.
//
// # Wiring
//
//	pool, err := pgxpool.New(ctx, "postgres://app@db/app?target_session_attrs=read-write&connect_timeout=2")
//	...
//	err = pgstore.Migrate(ctx, pool, nil) // or paste the files of Migrations
//	...
//	db, err := pgstore.New(pool, nil)
//	...
//	err = db.Check(ctx) // the server, the tables and the way to them are fit
//	...
//	manager, err := keys.NewManager(db, opts)
//	limiter, err := ratelimit.NewLimiter(db, nil)
//
// A check of a credential is one round trip. It reads one row by its primary key,
// or two rows for an access token and its client. To count a request takes one
// more.
//
// Hosts call Sweep of the manager, which calls [Store.Sweep], and
// [Store.SweepBuckets] from time to time. Nothing else removes a row.
//
// The errors of the driver may quote a connection string that cannot be read, with
// the password in it: do not log the error of pgxpool.New or pgxpool.ParseConfig.
// Errors of this package never hold a password.
//
// # Guarantees
//
// What Insert and Update have acknowledged survives a crash of the host. It
// survives a crash of the server if fsync and full_page_writes are on, which
// [Store.Check] verifies. It does not depend on synchronous_commit: Insert and
// Update set it to on for their own transaction, unless it is remote_apply, which
// is stricter. So a host may turn it off for itself or for the role. In a
// transaction of the host's, the setting is raised for the whole transaction.
//
// A check that begins after Update has returned sees what was written, in every
// process, since all processes read from the primary. A [keys.Cache] keeps that
// promise for its checks: see there. A standby
// lags behind, so no record is read from one. Get, List, Count and Orgs fail with
// [ErrStandby], and the server refuses the other calls. A server whose
// transactions are read-only by default refuses all writes, and answers reads if
// it is a primary.
//
// A limit holds over all processes together. It goes by the server's clock.
//
// # Time limits
//
// Every call ends when its context does, whatever it waits for: a connection of
// the pool, a lock, or a server that hangs. The library gives each call such a
// context: see [keys.Options] and [ratelimit.Options]. A call that was cut off
// returns at once, while the driver closes its connection and asks the server to
// cancel the statement. Until then the connection counts as one of the pool's, so
// that there are never more of them than the pool may have.
//
// A write that was cut off may be carried out all the same, even later: a server
// that hung goes on with what it was sent. Whoever must know reads the record.
//
// Set connect_timeout in the connection string. It bounds how long a place in the
// pool is taken by a server that cannot be reached, and is two minutes by default.
//
// # Lost connections
//
// If the server says that a connection has ended, or the connection breaks, a call
// that only reads is tried again, as often as the pool has other connections that
// may have ended with it. So nobody notices when an administrator ends all
// connections, or when the server is restarted and is back already. A call that
// writes is not tried again, since it may have been carried out. Nor is a
// connection that cannot be made.
//
// A statement that the server rolled back because of what others did at the same
// time, with a serialization failure or a deadlock, is tried again up to five times
// in all, after random pauses, and from the second time on under READ COMMITTED.
// So hosts may have any default_transaction_isolation. All tries together end with
// the context.
//
// # What a failover can lose
//
// With synchronous_standby_names set, a failover loses nothing that was
// acknowledged, as long as a synchronous standby is promoted: Insert and Update
// return when the standby has the write on disk, and wait while there is no
// standby. Without it, standbys are asynchronous. The promotion of one loses what
// the primary had acknowledged and not yet sent: keys that were made in the last
// moments are unknown, and keys that were revoked in the last moments are good
// again. The library cannot know. Hosts that cannot bear that configure a
// synchronous standby. Stop the old primary before the new one is used: while both
// accept writes, each has its own records.
//
// Takes do not wait for the disk. So limits are forgotten for the last moments,
// also in a crash without a failover: up to three times wal_writer_delay, which is
// 0.6 s by default. That gives back what was admitted in that time and no more.
// With [Options].SyncTake a Take waits for the disk. The price is one write to the
// disk for each request that is admitted.
//
// The table buckets can be made UNLOGGED (ALTER TABLE … SET UNLOGGED), so that
// takes cost nothing in the write-ahead log. A crash or a failover then empties all
// buckets at once, and each admits up to one burst more than it should have. Leave
// the other tables as they are made.
//
// # Transactions of the host's
//
// [Store.With] gives a store over a [pgx.Tx]. What a [keys.Manager] over it does is
// committed or rolled back together with the host's own rows. A credential that was
// made in it is good only after the commit. Answers such as [keys.ErrConflict] leave
// the transaction usable. Errors of the database abort it, as always, and nothing
// is tried again.
//
// # Poolers
//
// No statement relies on what an earlier one left in the session, and the only
// lock that outlives a statement is Migrate's, which its transaction holds. So the
// store works behind a pooler in transaction mode, such as PgBouncer. But there, a
// statement that was prepared by one transaction may be unknown to the next one,
// unless the pooler keeps account of prepared statements (PgBouncer 1.21 or later,
// with max_prepared_statements). Set [Options].Mode to [pgx.QueryExecModeExec], or
// put default_query_exec_mode=exec into the connection string. [Store.Check] finds
// out if that is missing.
//
// # Migrations
//
// The tables have a version, which the table migrations records. [Migrate] brings
// them to the version of this package. A migration that was released is never
// changed. Each one leaves the statements of the release before it working. So
// migrate first, then replace the processes, and do not skip releases while old
// processes run. Processes of the older release go on, but they do not start again:
// Check and Migrate refuse tables that are newer than the package. An older process
// also knows nothing of fields that are new, such as the networks of a key and a
// pause. Use those when all processes are replaced. There is no way back but a
// backup.
//
// The tables may be in use meanwhile. 0002_live.sql makes an index. Until it is
// done, records can be read and not written: about a second for a million rows.
// Hosts with big tables make the index beforehand, and then the migration finds it
// and does nothing:
//
//	CREATE INDEX CONCURRENTLY records_live ON claviger.records
//	(org, kind, id) INCLUDE (expires_at) WHERE revoked_at IS NULL
//
// If that fails it leaves an index that is invalid: drop it, and try again.
//
// 0003_fields.sql adds columns, and 0004_changes.sql adds tables, and triggers on
// records. They rewrite nothing. They need the table for themselves for some
// milliseconds, and wait for transactions that have used it, while everybody else
// waits behind them. So Migrate gives up after 0.4 s, lets the others through, and
// tries again. Hosts that paste the files do likewise, with lock_timeout. 0005_trail.sql
// adds tables and functions alone, and waits for nobody.
//
// # Rights
//
// A role that does not own the tables needs these, and has none on tables that a
// migration adds:
//
//	GRANT USAGE ON SCHEMA claviger TO app;
//	GRANT SELECT ON claviger.migrations TO app;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON claviger.records, claviger.uses, claviger.buckets TO app;
//	GRANT SELECT ON claviger.announcements TO app;
//	GRANT SELECT, INSERT ON claviger.feed TO app;
//	GRANT INSERT, UPDATE, DELETE ON claviger.announcements TO app; -- with a keys.Cache
//	GRANT SELECT ON claviger.changes TO app;                       -- with a keys.Cache
//	GRANT SELECT ON claviger.trail, claviger.chains TO app;        -- to read the trail
//
// Every process that changes records asks which caches there are, in announcements and
// feed. Without the rights on these two, calls that revoke or change something write
// it, and fail with [keys.ErrUnsettled]; [Store.Check] looks for them. Without those for
// a cache, the cache is never in use, and says why to its OnError. The triggers run with
// the rights of whoever migrated.
//
// # The trail
//
// With [keys.Options].Trail, the statement that writes a record adds a row to the
// table trail, and notes in chains where the trail of the organization ends. It does
// so by a function that runs with the rights of whoever migrated. So the host's role
// can add entries, and needs no right on the two tables but SELECT, to read them: then
// it can neither change nor remove what is there. Whoever cuts old entries needs
// DELETE on trail and UPDATE on chains.
//
// Writers of one organization take turns by its row in chains, until they commit. The
// turn is taken before the record is locked: so transactions of the host's that change
// several credentials of one organization never wait for each other in a circle. One
// that changes those of several organizations takes them in one order, such as that of
// their names. A host's transaction keeps the turn until it ends: keep it short.
//
// # The feed of changes
//
// The triggers write the ID of every record that is updated or deleted into the
// table changes, whoever does it: this package, a process of an older release, a
// statement by hand, or replication. The tables changes, feed and announcements
// are for processes that keep copies of records. The files of [Migrations] say what
// is in them and how to read it. An update costs up to a third more of the server's
// time by that, and no additional write to the disk. Sweep removes changes that are
// older than a minute.
package pgstore
