-- Version 5 of the tables of package pgstore: the trail, which says who did what to
-- which credential. Run this as 0001_tables.sql, in a transaction of its own. It does
-- not change existing tables.
--
-- Times are Unix milliseconds. Empty text stands for none. Hashes are 32 bytes; what
-- they cover is in the comment on keys.Entry.

CREATE TABLE trail (
	org      text COLLATE "C" NOT NULL,
	seq      bigint NOT NULL CHECK (seq > 0), -- 1, 2, 3 and so on for each organization
	at       bigint NOT NULL,
	action   text COLLATE "C" NOT NULL,
	id       text COLLATE "C" NOT NULL,
	kind     text COLLATE "C" NOT NULL,
	version  bigint NOT NULL,
	fields   text COLLATE "C" NOT NULL,
	other    text COLLATE "C" NOT NULL,
	actor    text COLLATE "C" NOT NULL,
	address  text COLLATE "C" NOT NULL,
	reason   text COLLATE "C" NOT NULL,
	count    bigint NOT NULL,
	previous bytea  NOT NULL, -- the hash of the entry before
	hash     bytea  NOT NULL,
	PRIMARY KEY (org, seq)
);

-- Where the trail of each organization ends, and up to where it was cut. The writers
-- of an organization take turns by locking its row.
CREATE TABLE chains (
	org      text COLLATE "C" PRIMARY KEY,
	seq      bigint NOT NULL DEFAULT 0,
	hash     bytea  NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
	cut_seq  bigint NOT NULL DEFAULT 0,
	cut_hash bytea  NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
) WITH (fillfactor = 70);

-- The functions run with the rights of the role that migrates, so that a role which may
-- write records can add to the trail, but can neither change nor remove entries.
-- The caller's search_path does not matter.
DO $do$
BEGIN
	EXECUTE replace($text$

-- Waits until no other transaction is about to add to the trail of an organization.
-- A statement that writes a record with an entry calls this before it locks the record,
-- so that two writers of the same record and trail cannot wait for each other in a
-- circle.
CREATE FUNCTION {schema}.lock_chain(name text) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS $$
BEGIN
	PERFORM FROM {schema}.chains WHERE org = name FOR UPDATE;
	IF NOT FOUND THEN
		INSERT INTO {schema}.chains (org) VALUES (name) ON CONFLICT DO NOTHING;
		PERFORM FROM {schema}.chains WHERE org = name FOR UPDATE;
	END IF;
	RETURN true;
END $$;

-- Adds an entry. The content is all that its hash covers but the place in the chain.
CREATE FUNCTION {schema}.add_entry(name text, at bigint, action text, id text, kind text, version bigint, fields text,
	other text, actor text, address text, reason text, count bigint, content bytea) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS $$
DECLARE
	last record;
	next bytea;
BEGIN
	PERFORM {schema}.lock_chain(name);
	SELECT c.seq, c.hash INTO STRICT last FROM {schema}.chains AS c WHERE c.org = name;
	next := sha256('claviger trail 1'::bytea || last.hash
		|| int8send(last.seq + 1) || content);
	INSERT INTO {schema}.trail
	VALUES (name, last.seq + 1, at, action, id, kind, version, fields, other, actor, address, reason, count, last.hash, next);
	UPDATE {schema}.chains AS c SET seq = last.seq + 1, hash = next WHERE c.org = name;
	RETURN true;
END $$;

	$text$, '{schema}', quote_ident(current_schema()));
END $do$;

INSERT INTO migrations (version) VALUES (5);
