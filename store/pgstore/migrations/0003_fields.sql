-- Version 3 of the tables of package pgstore: what records have since format 1.
-- Run this as 0001_tables.sql, in a transaction of its own.
--
-- No row is rewritten. The table is locked for a moment; see package doc for
-- what that asks of transactions that stay open.
--
-- NULL stands for empty text too. The format is the lowest one that has room for
-- the whole record, so that no release reads a part of what it does not know.

ALTER TABLE records
	ADD COLUMN environment text COLLATE "C",
	ADD COLUMN networks    text COLLATE "C",
	ADD COLUMN metadata    text COLLATE "C",
	ADD COLUMN created_by  text COLLATE "C",
	ADD COLUMN replaces    text COLLATE "C",
	ADD COLUMN replaced_by text COLLATE "C",
	ADD COLUMN disabled_at bigint,
	ADD COLUMN format      smallint NOT NULL DEFAULT 1;

INSERT INTO migrations (version) VALUES (3);
