-- Records of version 1. In records that exist already, the new columns are empty
-- text, or NULL for a time.
--
-- Processes of the release before would read a record without the restrictions
-- that are new here, and so accept credentials that must be refused. The first
-- statement makes all their statements on records fail, so that they accept nobody.
ALTER TABLE claviger_records RENAME COLUMN previous TO previous_digest;

ALTER TABLE claviger_records ADD COLUMN environment TEXT NOT NULL DEFAULT '';
ALTER TABLE claviger_records ADD COLUMN networks TEXT NOT NULL DEFAULT ''; -- prefixes with a space between them; empty for all
ALTER TABLE claviger_records ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
ALTER TABLE claviger_records ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE claviger_records ADD COLUMN replaces TEXT NOT NULL DEFAULT '';
ALTER TABLE claviger_records ADD COLUMN replaced_by TEXT NOT NULL DEFAULT '';
ALTER TABLE claviger_records ADD COLUMN disabled_at INTEGER;

-- The lowest format that has room for the whole record. A program that knows only
-- lower formats refuses the record, so that it never reads only a part of what a
-- later program wrote.
ALTER TABLE claviger_records ADD COLUMN format INTEGER NOT NULL DEFAULT 1;

-- Lists of what is not revoked, in the order of IDs.
CREATE INDEX claviger_records_live ON claviger_records (org, kind, id) WHERE revoked_at IS NULL;

-- Counts of what is neither revoked nor expired.
CREATE INDEX claviger_records_in_use ON claviger_records (org, kind, expires_at, revoked_at) WHERE revoked_at IS NULL;

-- Changes of records that can be in a cache, in the order of their commits: SQLite
-- has one writer at a time. Inserts are left out, since caches do not remember that
-- an ID is unknown. Triggers write this table, so that it has the changes of
-- statements by hand too.
CREATE TABLE claviger_changes (
	seq INTEGER NOT NULL PRIMARY KEY, -- never used again, since the last rows stay
	id  TEXT    NOT NULL
) STRICT;

CREATE TRIGGER claviger_records_updated AFTER UPDATE ON claviger_records BEGIN
	INSERT INTO claviger_changes (id) VALUES (old.id);
END;

CREATE TRIGGER claviger_records_renamed AFTER UPDATE OF id ON claviger_records BEGIN
	INSERT INTO claviger_changes (id) VALUES (new.id);
END;

CREATE TRIGGER claviger_records_deleted AFTER DELETE ON claviger_records BEGIN
	INSERT INTO claviger_changes (id) VALUES (old.id);
END;

-- INSERT OR REPLACE deletes a row without the trigger above.
CREATE TRIGGER claviger_records_replaced BEFORE INSERT ON claviger_records
WHEN EXISTS (SELECT 1 FROM claviger_records WHERE id = new.id) BEGIN
	INSERT INTO claviger_changes (id) VALUES (new.id);
END;

-- At least the last 16,384 changes stay. A reader has missed some if its position is
-- lower than the first number that is left, less one.
CREATE TRIGGER claviger_changes_trimmed AFTER INSERT ON claviger_changes WHEN new.seq % 1024 = 0 BEGIN
	DELETE FROM claviger_changes WHERE seq <= new.seq - 16384;
END;

-- Caches of records that are in use, in any process: whoever changes a record
-- waits until none of them can have the old one.
CREATE TABLE claviger_announcements (
	id           TEXT    NOT NULL PRIMARY KEY, -- drawn by each cache
	lease        INTEGER NOT NULL,             -- nanoseconds for which it serves records without reading the changes
	announced_at INTEGER NOT NULL,             -- when it was last written, in Unix milliseconds
	marked_at    INTEGER                       -- since when another one wants it removed, in Unix milliseconds
) STRICT, WITHOUT ROWID;

-- A random name for this file. If it is another one than before, or missing, the
-- changes and announcements are not those that a reader knows.
CREATE TABLE claviger_epoch (
	one   INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	epoch TEXT    NOT NULL
) STRICT;
INSERT INTO claviger_epoch (one, epoch) VALUES (1, lower(hex(randomblob(16))));

-- Buckets of rate limits. A bucket that is not there is full.
CREATE TABLE claviger_buckets (
	key TEXT    NOT NULL PRIMARY KEY,
	tat INTEGER NOT NULL -- when the bucket is full, in Unix nanoseconds
) STRICT, WITHOUT ROWID;
