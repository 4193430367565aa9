// Package pgstore keeps credentials and rate limits in PostgreSQL, for hosts that
// run many processes on many machines. It needs PostgreSQL 13 or later and is
// tested with 15.
//
// # Wiring
//
//	pool, err := pgxpool.New(ctx, "postgres://app@db/app?target_session_attrs=read-write&connect_timeout=2")
//	...
//	err = pgstore.Migrate(ctx, pool, nil) // or run the files of Migrations
//	...
//	db, err := pgstore.New(pool, nil)
//	...
//	err = db.Check(ctx) // whether the server, its tables and poolers are fit
//	...
//	manager, err := keys.NewManager(db, opts)
//	limiter, err := ratelimit.NewLimiter(db, nil)
//
// A check of a credential is one round trip. It reads one row by its primary key,
// or two rows for an access token and its client. A limit takes another round trip.
// A [Store] has all optional interfaces of package keys.
//
// From time to time, hosts call Sweep of the manager, which calls [Store.Sweep], and
// [Store.SweepBuckets]. Nothing else removes rows.
//
// Do not log errors of pgxpool.New or pgxpool.ParseConfig: if the connection string
// cannot be read, they may quote it with the password. Errors of this package never
// hold a password.
//
// # Guarantees
//
// Whatever Insert and Update have acknowledged survives a crash of the host. It
// survives a crash of the server if fsync and full_page_writes are on, which
// [Store.Check] verifies. It does not depend on synchronous_commit: Insert and
// Update set that to on for their own transaction, unless it is remote_apply, which
// is stricter. So a host may turn it off for itself or for the role. In a
// transaction of the host's, the setting is raised for the whole transaction.
//
// A check that begins after Update has returned sees what was written, in every
// process, since all processes read from the primary. A [keys.Cache] keeps that
// promise too. A standby lags behind, so no record is read from one: calls that read
// fail with [ErrStandby], and the server refuses those that write. Only
// [Store.LastUses] answers there, with times that may be old. A primary whose
// transactions are read-only by default answers reads, and refuses writes.
//
// A limit holds over all processes together. It goes by the server's clock.
//
// # Time limits
//
// Every call ends when its context does, whatever it waits for: a connection of
// the pool, a lock, or a server that hangs. The library gives each call a context
// with a deadline: see [keys.Options] and [ratelimit.Options]. A call that was cut off
// returns at once. The driver then asks the server to cancel the statement and closes
// the connection. Until it has done so the connection counts as one of the pool's, so
// that there are never more of them than the pool may have.
//
// A write that was cut off may be carried out all the same, even later: a server
// that hung goes on with what it was sent. To know what became of it, read the record.
//
// Set connect_timeout in the connection string. It bounds for how long a server that
// cannot be reached takes up a place in the pool. The default is two minutes.
//
// # Lost connections
//
// If a connection breaks, or the server says that it has ended it, a call that only
// reads is tried again: once for each other connection of the pool, which may have
// ended too, and once more. So nobody notices when an administrator ends all
// connections, or when the server is restarted and is back already. A call that
// writes is not tried again, since it may have been carried out. Nor is a connection
// that cannot be made.
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
// standby. Otherwise standbys are asynchronous, and the promotion of one loses what
// the primary had acknowledged and not yet sent. Keys that were made in the last
// moments are then unknown, and keys that were revoked in the last moments are good
// again. The library cannot notice that. Hosts that cannot accept it configure a
// synchronous standby. Stop the old primary before the new one is used: while both
// accept writes, each has its own records.
//
// Takes do not wait for the disk. So a crash, with or without a failover, loses the
// takes of the last moments: up to three times wal_writer_delay, which makes 0.6 s by
// default. That gives back what was admitted in that time and no more. With
// [Options].SyncTake a Take waits for the disk. Each admitted request then costs a
// write to the disk.
//
// The table buckets can be made UNLOGGED (ALTER TABLE … SET UNLOGGED), so that
// takes write nothing to the write-ahead log. A crash or a failover then removes all
// buckets, and each admits up to one burst more than it should. Do not change the
// other tables.
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
// store works behind a pooler in transaction mode, such as PgBouncer. But a statement
// that one transaction has prepared may be unknown to the next one, unless the pooler
// keeps track of prepared statements (PgBouncer 1.21 or later, with
// max_prepared_statements). So set [Options].Mode to [pgx.QueryExecModeExec], or put
// default_query_exec_mode=exec into the connection string. [Store.Check] finds out if
// that is missing.
//
// # Migrations
//
// The tables have a version, which the table migrations records. [Migrate] brings
// them to the version of this package. A migration that was released is never
// changed. The statements of the release before go on working after it. So migrate
// first, then replace the processes, and do not skip releases while old processes run.
// Processes of the older release go on, but cannot be started again: Check and Migrate
// refuse tables that are newer than the package. An older process also knows nothing
// of new fields, such as the networks of a key, and a pause. Use those when all
// processes are replaced. The only way back is a backup.
//
// The tables may be in use meanwhile. 0002_live.sql makes an index. Until it is
// done, records can be read and not written: about a second for a million rows.
// Hosts with big tables make the index beforehand; the migration then finds it and
// does nothing:
//
//	CREATE INDEX CONCURRENTLY records_live ON claviger.records
//	(org, kind, id) INCLUDE (expires_at) WHERE revoked_at IS NULL
//
// If that fails it leaves an invalid index: drop it, and try again.
//
// 0003_fields.sql adds columns to the table records, and 0004_changes.sql adds tables,
// and triggers on records. They rewrite no rows. They lock the table records for some
// milliseconds. To get the lock they wait for transactions that have used the table,
// and everybody else waits behind them. So Migrate gives up after 0.4 s, lets the
// others through, and tries again. Hosts that run the files themselves set
// lock_timeout for the same purpose. 0005_trail.sql adds only tables and functions,
// and waits for nobody.
//
// # Rights
//
// A role that does not own the tables needs these rights. Rights on older tables do not
// extend to those that a migration adds:
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
// feed. Without the rights on these two, calls that revoke or change a record write the
// change, and then fail with [keys.ErrUnsettled]; [Store.Check] looks for the rights.
// Without those for a cache, the cache is never used, and its OnError is told why. The
// triggers run with the rights of the role that migrated.
//
// # The trail
//
// With [keys.Options].Trail, the statement that writes a record adds a row to the
// table trail, and notes in chains where the trail of the organization ends. It calls
// a function that runs with the rights of the role that migrated. So the host's role
// can add entries without rights on the two tables, and needs SELECT on them to read
// the trail. Without further rights it can neither change nor remove entries. Whoever
// cuts old entries needs DELETE on trail and UPDATE on chains.
//
// Writers of one organization take turns: each locks the organization's row in chains
// until it commits, and does so before it locks the record. So transactions of the
// host's that change several credentials of one organization never wait for each other
// in a circle. A transaction that changes credentials of several organizations should
// take the organizations in a fixed order, such as that of their names. It keeps the
// turns until it ends, so keep it short.
//
// # The feed of changes
//
// Triggers write the ID of every record that is updated or deleted to the table
// changes, whoever does it: this package, a process of an older release, a
// statement by hand, or replication. The tables changes, feed and announcements
// are for processes that keep copies of records. The files of [Migrations] say what
// is in them and how to read it. Because of the triggers, an update takes up to a third
// more of the server's time, but no additional write to the disk. Sweep removes changes
// that are older than a minute.
//
// The program examples/partnerapi runs over this store with -store postgres://….
package pgstore
