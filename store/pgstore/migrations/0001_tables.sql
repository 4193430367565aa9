-- Version 1 of the tables of package pgstore. Names are not qualified: run this
-- in one transaction, with search_path set to the schema that is to hold the
-- tables, and to no other schema.
--
-- Times are Unix milliseconds, or Unix nanoseconds in the table buckets. NULL
-- stands for never. Text is compared byte by byte.

CREATE TABLE migrations (
	version    integer     PRIMARY KEY,
	applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE records (
	id                  text COLLATE "C" PRIMARY KEY,
	kind                text COLLATE "C" NOT NULL,
	org                 text COLLATE "C" NOT NULL,
	parent              text COLLATE "C",
	label               text COLLATE "C" NOT NULL,
	scopes              text COLLATE "C" NOT NULL,
	rate_limit          bigint NOT NULL,
	token_lifetime      bigint NOT NULL,
	digest              text COLLATE "C" NOT NULL,
	previous            text COLLATE "C",
	previous_expires_at bigint,
	created_at          bigint NOT NULL,
	expires_at          bigint,
	revoked_at          bigint,
	version             bigint NOT NULL
);

-- For lists: one organization, one kind, in the order of the IDs.
CREATE INDEX records_of_owner ON records (org, kind, id);

-- For sweeps: tokens by the time at which they end.
CREATE INDEX records_over ON records (least(expires_at, revoked_at)) WHERE kind = 'token';

-- When credentials were last used. No foreign key: noting a use must not lock
-- the record.
CREATE TABLE uses (
	id      text COLLATE "C" PRIMARY KEY,
	used_at bigint NOT NULL
) WITH (fillfactor = 70);

-- One row for each bucket: tat is its timestamp, and was and at are the
-- timestamp and the clock from which the last decision was made. No index but
-- the key's, and room on each page, so that an update stays on its page.
CREATE TABLE buckets (
	key text COLLATE "C" PRIMARY KEY,
	tat bigint NOT NULL,
	was bigint NOT NULL,
	at  bigint NOT NULL
) WITH (fillfactor = 50);

INSERT INTO migrations (version) VALUES (1);
