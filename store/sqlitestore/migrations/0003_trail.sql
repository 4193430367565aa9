-- The trail, which says who did what to which credential. It is empty unless the host
-- keeps one. Programs of the version before go on working, and write no entries.
--
-- Times are Unix milliseconds. Hashes are 32 bytes; what they cover is in the
-- comment on keys.Entry.
CREATE TABLE claviger_trail (
	org      TEXT    NOT NULL,
	seq      INTEGER NOT NULL CHECK (seq > 0), -- 1, 2, 3 and so on for each organization
	at       INTEGER NOT NULL,
	action   TEXT    NOT NULL,
	id       TEXT    NOT NULL,
	kind     TEXT    NOT NULL,
	version  INTEGER NOT NULL,
	fields   TEXT    NOT NULL,
	other    TEXT    NOT NULL,
	actor    TEXT    NOT NULL,
	address  TEXT    NOT NULL,
	reason   TEXT    NOT NULL,
	count    INTEGER NOT NULL,
	previous BLOB    NOT NULL, -- the hash of the entry before
	hash     BLOB    NOT NULL,
	PRIMARY KEY (org, seq)
) STRICT, WITHOUT ROWID;

-- Where the trail of each organization ends, and up to where it was cut.
CREATE TABLE claviger_chains (
	org      TEXT    NOT NULL PRIMARY KEY,
	seq      INTEGER NOT NULL,
	hash     BLOB    NOT NULL,
	cut_seq  INTEGER NOT NULL DEFAULT 0,
	cut_hash BLOB    NOT NULL DEFAULT (zeroblob(32))
) STRICT, WITHOUT ROWID;
