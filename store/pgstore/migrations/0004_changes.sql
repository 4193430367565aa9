-- Version 4 of the tables of package pgstore: a feed of the records that were
-- changed, for processes that keep copies of records. Run this as
-- 0001_tables.sql, in a transaction of its own.

-- One row for each record that a transaction updated or deleted. A number from a
-- sequence would not do in place of the transaction's ID: transactions commit in
-- another order than that in which they draw numbers. A reader that has read the
-- feed up to a snapshot reads on with
--
--	SELECT id FROM changes
--	WHERE xid >= pg_snapshot_xmin($1) AND NOT pg_visible_in_snapshot(xid, $1)
--
-- and keeps the pg_current_snapshot() of that statement for the next time. So it
-- sees each change once, and misses none that was committed before.
CREATE TABLE changes (
	xid xid8 NOT NULL,
	id  text COLLATE "C" NOT NULL
);

CREATE INDEX changes_by_xid ON changes (xid);

-- One row, with what must not outlive a crash: after one, transaction IDs that were
-- not on disk yet are used again. The table is unlogged, so it is empty after a
-- crash, when a standby was promoted, and when a base backup was restored. Whoever
-- finds no row inserts one. Whoever finds another nonce than before drops all that it
-- has read, and does not rely on older announcements.
--
-- Rows of changes below the horizon may have been deleted: a snapshot whose xmin is
-- below it is too old to read on from. The mark becomes the next horizon. Read the
-- nonce and the horizon in the same statement as the changes.
CREATE UNLOGGED TABLE feed (
	one       boolean     PRIMARY KEY DEFAULT true CHECK (one),
	nonce     uuid        NOT NULL DEFAULT gen_random_uuid(),
	since     timestamptz NOT NULL DEFAULT clock_timestamp(),
	horizon   xid8        NOT NULL DEFAULT '0',
	mark      xid8        NOT NULL DEFAULT pg_snapshot_xmin(pg_current_snapshot()),
	marked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- No process can have announced itself before, so nothing can have been lost.
INSERT INTO feed (since) VALUES ('-infinity');

-- The processes that keep copies, under random IDs. The lease is for how many
-- milliseconds they use a copy, at most, without reading the feed. The epoch is the
-- nonce under which an announcement was made; if there is another nonce, the process
-- announces itself anew. An announcement that is marked is about to be removed, and
-- its process stops using copies.
CREATE TABLE announcements (
	id           text COLLATE "C" PRIMARY KEY,
	lease        bigint      NOT NULL,
	epoch        uuid        NOT NULL,
	announced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	marked_at    timestamptz
);

-- The functions run with the rights of the role that migrates, so that a role which
-- may write records needs no right on the tables above. All names in them are
-- qualified, so the caller's search_path does not matter.
DO $do$
BEGIN
	EXECUTE replace($text$

CREATE FUNCTION {schema}.note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO {schema}.changes (xid, id) VALUES (pg_catalog.pg_current_xact_id(), OLD.id);
	RETURN NULL;
END $$;

-- A TRUNCATE does not say which rows it removes. So the nonce changes, and readers
-- drop all that they have read.
CREATE FUNCTION {schema}.renew_feed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	DELETE FROM {schema}.feed;
	INSERT INTO {schema}.feed DEFAULT VALUES;
	RETURN NULL;
END $$;

-- Once a minute, the mark becomes the horizon, and the oldest transaction that is
-- running becomes the mark. So rows stay for a minute at least. Each call deletes a
-- part of the rows below the horizon. It also deletes rows with transaction IDs that
-- are still to come: they are from another server's dump, and would otherwise count
-- as new for years.
CREATE FUNCTION {schema}.trim_changes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS $$
DECLARE
	now_running pg_snapshot := pg_current_snapshot();
BEGIN
	IF NOT EXISTS (SELECT FROM {schema}.feed) THEN -- ON CONFLICT alone would wait for whoever trims
		INSERT INTO {schema}.feed DEFAULT VALUES ON CONFLICT DO NOTHING;
	END IF;
	UPDATE {schema}.feed SET
		horizon = least(mark, pg_snapshot_xmin(now_running)),
		mark = pg_snapshot_xmin(now_running),
		marked_at = clock_timestamp()
	WHERE one = (SELECT one FROM {schema}.feed WHERE marked_at < clock_timestamp() - interval '1 minute' FOR UPDATE SKIP LOCKED);
	DELETE FROM {schema}.changes WHERE ctid = ANY (ARRAY (
		SELECT ctid FROM {schema}.changes WHERE xid < (SELECT horizon FROM {schema}.feed) LIMIT 10000 FOR UPDATE SKIP LOCKED));
	-- This goes by the snapshot of the statement itself: to an older snapshot, all
	-- that was committed since would look as if it were still to come.
	DELETE FROM {schema}.changes WHERE ctid = ANY (ARRAY (
		SELECT ctid FROM {schema}.changes WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
			AND xid IS DISTINCT FROM pg_current_xact_id_if_assigned() LIMIT 10000 FOR UPDATE SKIP LOCKED));
	RETURN NULL;
END $$;

	$text$, '{schema}', quote_ident(current_schema()));
END $do$;

-- The first trigger also fires for statements by hand, of other releases and of
-- replication. The second one trims the changes when Sweep deletes records.
CREATE TRIGGER note_change AFTER UPDATE OR DELETE ON records FOR EACH ROW EXECUTE FUNCTION note_change();
CREATE TRIGGER trim_changes AFTER DELETE ON records FOR EACH STATEMENT EXECUTE FUNCTION trim_changes();
CREATE TRIGGER renew_feed AFTER TRUNCATE ON records FOR EACH STATEMENT EXECUTE FUNCTION renew_feed();
CREATE TRIGGER renew_feed AFTER TRUNCATE ON changes FOR EACH STATEMENT EXECUTE FUNCTION renew_feed();
CREATE TRIGGER renew_feed AFTER TRUNCATE ON announcements FOR EACH STATEMENT EXECUTE FUNCTION renew_feed();
ALTER TABLE records ENABLE ALWAYS TRIGGER note_change;
ALTER TABLE records ENABLE ALWAYS TRIGGER renew_feed;
ALTER TABLE changes ENABLE ALWAYS TRIGGER renew_feed;
ALTER TABLE announcements ENABLE ALWAYS TRIGGER renew_feed;

INSERT INTO migrations (version) VALUES (4);
