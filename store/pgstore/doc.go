// Package pgstore keeps credentials and rate limits in PostgreSQL, for hosts
// that run as many processes on many machines. It needs PostgreSQL 12 or later
// and is tested with 15.
//
// # Wiring
//
//	pool, err := pgxpool.New(ctx, "postgres://app@db/app?target_session_attrs=read-write")
//	...
//	err = pgstore.Migrate(ctx, pool, nil) // or paste the files of Migrations
//	...
//	db, err := pgstore.New(pool, nil)
//	...
//	err = db.Check(ctx) // the server and the tables are what the store needs
//	...
//	manager, err := keys.NewManager(db, opts)
//	limiter, err := ratelimit.NewLimiter(db, nil)
//
// A credential is checked in one round trip that reads one row by its primary
// key, or two rows for an access token and its client. A request is counted in
// one more.
//
// Hosts call [Store.Sweep], through the manager, and [Store.SweepBuckets] now
// and then; nothing else ever removes a row.
//
// # Guarantees
//
// What Insert and Update have acknowledged survives a crash of the host at any
// instant, and a crash of the server, if its fsync and full_page_writes are on:
// [Store.Check] verifies that they are. It does not depend on
// synchronous_commit. Both set it to on for their own transaction, so a host may
// turn it off for itself, or for the role; only remote_apply, which is stricter,
// stays. In a transaction of the host's, that raises it for the whole of it.
//
// A revocation is seen by every check, in every process, that begins after
// Update has returned: there is no cache, and all of them read from the
// primary. A standby lags behind, so records are not read from one: Get,
// GetFamily and List fail with [ErrStandby], and all others fail by
// themselves. A server whose transactions are read-only by default refuses
// all writes, and goes on answering reads if it is a primary.
//
// A limit holds over all processes together. It goes by the server's clock.
//
// # What a failover can lose
//
// With synchronous_standby_names set, nothing that was acknowledged, as long as
// a synchronous standby is the one that is promoted: Insert and Update return
// when it has the write on disk, and wait while there is none. Otherwise standbys
// are asynchronous, and the promotion of one loses what the primary had
// acknowledged but not sent yet: keys made in the last moments are unknown, and
// keys revoked in the last moments are good again. The library cannot know. A
// host that cannot bear it configures a synchronous standby. A primary that was
// replaced must be stopped before the new one is used; while both accept writes,
// each has a truth of its own.
//
// Limits are forgotten for the last moments too, also in a crash without a
// failover, as takes do not wait for the disk: up to three times
// wal_writer_delay, 0.6 s by default. That gives back what was admitted in that
// time and no more. [Options].SyncTake waits; the price is a write to the disk
// for each request that is admitted.
//
// The table buckets can be made UNLOGGED (ALTER TABLE … SET UNLOGGED), which
// spares the write-ahead log altogether. A crash or a failover then empties all
// buckets at once, and each admits up to one burst more than it should have. The
// other tables must stay logged.
//
// # Transactions of the host's
//
// [Store.With] gives a store over a [pgx.Tx]: what a [keys.Manager] over it does
// is committed or rolled back with the host's own rows. A text that was issued
// in it is good only after the commit. Answers such as [keys.ErrConflict] leave
// the transaction usable; errors of the database abort it, as always.
//
// Outside a transaction, each call is one statement. If the server rolls it back
// for a serialization failure or a deadlock it is tried again, up to five times
// in all with random pauses, and from the second time on under READ COMMITTED,
// so that hosts may have any default_transaction_isolation. Nothing is tried
// again after an error that leaves open what happened, such as a connection
// that was lost.
//
// # Poolers
//
// No statement relies on what an earlier one left in the session, and the only
// lock that outlives a statement is Migrate's, which is its transaction's. So the
// store works behind a pooler in transaction mode. Drivers must not prepare
// statements by name there, unless the pooler knows of them: set
// [Options].Mode to [pgx.QueryExecModeExec], or put
// default_query_exec_mode=exec into the connection string.
//
// # Migrations
//
// The tables have a version, which a table of its own records. [Migrate] brings
// them to the version of this package; nothing else changes them, ever. A
// migration that was released is not changed again. Each leaves the statements
// of the release before it working, so that processes of two neighbouring
// releases can share the tables: migrate first, then replace the processes, and
// do not skip releases while old processes run. Check accepts tables that are
// newer than the package for that reason. There is no way back but a backup.
package pgstore
