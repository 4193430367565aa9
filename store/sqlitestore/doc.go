// Package sqlitestore keeps credentials and rate limits in SQLite: in a file on
// one machine, which any number of processes there can share. Its [Store] is a
// [store.Store], and has all optional interfaces of package keys. The package needs no
// C compiler.
//
//	s, err := sqlitestore.Open("/var/lib/host/claviger.db", nil)
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	manager, err := keys.NewManager(s, &keys.Options{Catalog: catalog})
//
// # Guarantees
//
// A write that was acknowledged is on the disk. It survives if the process is killed
// at any instant and, if the disk keeps its promises, a power cut. A write that was
// not acknowledged is there in full or not at all. When a revocation has returned,
// every check that starts later fails, in every process.
//
// The guarantees depend on settings of each connection. [Open] makes them, and
// [New] checks them: a write-ahead log (journal_mode=WAL), which is flushed at
// each commit (synchronous=FULL), and foreign keys, which remove a token's last
// use with the token.
//
// A file that the process may not write, or a DSN with mode=ro, is no error if the
// tables are up to date. Credentials are then checked, every call that writes fails,
// and so does each take that would be admitted. A revocation says that it failed.
//
// The file must be on a local disk. Processes that use SQLite share memory and file
// locks, which network file systems support badly or not at all.
//
// # Limits
//
// Limits are exact over all processes that share the file. They go by the clock
// of the machine. An admitted request is a write, and takes turns with all other
// writes. A refused one only reads. A host with one process is faster with a
// [ratelimit.Memory], which the example of [Store] puts beside the records.
//
// With a store that Open made, a take is acknowledged before it is on the disk. A
// power cut loses the takes of the last moments, and so gives back what they took. A
// crash of the process loses none. Over a database of the host's, each take waits for
// the disk.
//
// # What a backup loses
//
// There is one copy of the data. Whoever restores a backup goes back in time:
// credentials that were revoked since then are good again, and so are secrets
// that were rotated since then. Revoke them again, or call
// [keys.Manager.RevokeAll] for the organizations that are affected.
//
// Make backups with VACUUM INTO or with SQLite's own tools. A copy of the file alone
// lacks what is in the log. A process that uses the store must not open the file by
// other means than SQLite, not even to read it: when any descriptor of the file is
// closed, the system drops all locks that the process has on it.
//
// Space that [Store.Sweep] and [Store.SweepBuckets] free is used for new rows.
// The file does not get smaller.
//
// # Waiting
//
// Reads wait for nobody. Writes wait for each other. Writes of one store take turns
// in the order in which they came. A write that waits for another process tries again
// every millisecond or two. The wait ends when the caller's context ends, or with
// [ErrBusy] after [Options.BusyTimeout]. Sweeps remove rows in steps of 50, and let
// others write between two steps.
//
// # Using the host's database
//
// [New] takes a database that the host has opened, with the driver "sqlite" of
// modernc.org/sqlite. All connections need the same settings, so these belong in the
// DSN:
//
//	file:/var/lib/host/host.db?_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_txlock=immediate
//
// The store does not need the last setting, but the host's own transactions do. If a
// transaction reads first and takes its lock when it writes, it fails at once,
// whatever the timeout, if another one has written in between. With _txlock=immediate
// it takes its lock at the start. The store lowers the _busy_timeout of a connection
// while it waits for the lock, since SQLite knows nothing of contexts, and sets it
// back then. Do not use cache=shared: reads and writes would wait for each other.
//
// # Tables and migrations
//
// The names of all tables begin with claviger_. The host may read them: text is
// kept as it is, and times are in milliseconds since 1970, or in nanoseconds in the
// table of buckets. A host that writes to them does so at its own risk. A row that
// cannot be read lets nobody in: calls fail with an error that wraps
// [keys.ErrCorrupt].
//
// The table claviger_changes lists the IDs of at least the last 16,384 records that
// were changed or removed, in the order of the changes, whoever made them. It is for
// caches of records, and so is claviger_announcements.
//
// With [keys.Options].Trail, the transaction that writes a record adds a row to
// claviger_trail, and notes in claviger_chains where the trail of the organization
// ends. A program of the version before, if it still runs, writes no such rows.
//
// Migrations are numbered files ([Migrations]). A file that was released never
// changes. [Open] and [Migrate] run all that are missing in one transaction. For
// 100,000 records the second file takes about a second, in which nobody else can
// write. A database that is newer than the program is refused ([ErrSchema]), so
// the only way back is a backup.
//
// If a program still runs when a later version of the package migrates its database,
// it goes on with the records that it understands in full, and refuses the others with
// [keys.ErrCorrupt]. The release before 1.0 does not know that rule. After the second
// file has run, its programs fail to read and write records, and let nobody in. Stop
// them before the migration, or replace them soon after it.
//
// The program examples/partnerapi runs over this store with -store sqlite:FILE.
package sqlitestore
