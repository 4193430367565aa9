-- Version 2 of the tables of package pgstore: an index for lists and counts of
-- what is not revoked. Run this as 0001_tables.sql, in a transaction of its own.
--
-- Records can be read while the index is made, but not written. Hosts whose
-- table has millions of rows make it beforehand, with CREATE INDEX CONCURRENTLY,
-- and then there is nothing left to do here: see package doc.

CREATE INDEX IF NOT EXISTS records_live ON records (org, kind, id) INCLUDE (expires_at) WHERE revoked_at IS NULL;

INSERT INTO migrations (version) VALUES (2);
