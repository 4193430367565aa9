// Package sqlitestore keeps records in SQLite: a file on one machine, which any
// number of its processes can share. It is a [keys.Store], and also a
// [keys.FamilyStore] and a [keys.UseStore]. It needs no C compiler.
//
//	s, err := sqlitestore.Open("/var/lib/host/claviger.db", nil)
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	manager, err := keys.NewManager(s, &keys.Options{Catalog: catalog})
//
// Limits are not kept: a write to the disk for each request would cost more
// than the request. The store of limits for one process is [ratelimit.Memory];
// the packages ask for either half by itself, and the example of [Store] joins
// the two.
//
// # What holds
//
// A write that was acknowledged is on the disk. It survives the end of the
// process at any instant and, as far as the disk does what it says, a power cut.
// A write that was not acknowledged is there in full or not at all. When a
// revocation has returned, every check that starts later fails, in every
// process.
//
// That rests on settings of each connection, which [Open] makes and [New] looks
// for: a write-ahead log (journal_mode=WAL), which is flushed at each commit
// (synchronous=FULL); and foreign keys, by which a token's last use goes when
// the token does.
//
// The file has to be on a local disk. SQLite's processes share memory and file
// locks, which network file systems do not do well or at all.
//
// # What is lost
//
// There is one copy, and nothing to fail over to. Whoever goes back to a backup
// or to a copy that lags goes back in time: credentials that were revoked since
// are good again, and secrets that were rotated away. Revoke them again, or
// [keys.Manager.RevokeAll] of whom it concerns.
//
// Take backups with VACUUM INTO, or with SQLite's own tools. A copy of the file
// alone lacks what is in the log. Never open the file in the process by other
// means than SQLite, not even to read it: when any descriptor of it is closed,
// the system drops the locks of all of them.
//
// What [Store.Sweep] removes makes room for new records; the file does not get
// smaller.
//
// # Waiting
//
// Readers wait for nobody. Writers wait for each other: those of one store take
// turns, and those of other processes are asked again and again. That ends when
// the caller's context does, or with [ErrBusy] after [Options.BusyTimeout].
//
// # Beside the host's tables
//
// [New] takes a database that the host has opened, with the driver "sqlite" of
// modernc.org/sqlite. All connections need these settings, so they belong into
// the DSN:
//
//	file:/var/lib/host/host.db?_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_txlock=immediate
//
// The last is for the host's own transactions. One that reads before it writes
// fails at once, whatever the timeout, if another writes in between, unless it
// takes its lock at the start. A call whose context ends while another process
// writes may come back later than it should, by the _busy_timeout at most: in
// SQLite nobody looks at contexts. Do not use cache=shared, under which readers
// and writers do wait for each other.
//
// # Tables and migrations
//
// The tables are claviger_records, claviger_uses and claviger_schema. The host
// may read them; text and times stand in them as they are, times as milliseconds
// since 1970. What it writes into them is at its own risk: a row that cannot be
// read fails with an error that wraps [keys.ErrCorrupt], and admits nobody.
//
// Migrations are numbered files ([Migrations]), which never change once they
// were released. They are done by [Open], or by [Migrate], all that are missing
// in one transaction. A database that is newer than the program is refused
// ([ErrSchema]), so there is no way back but a backup.
package sqlitestore
