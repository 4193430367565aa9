-- Records of credentials. Times are Unix milliseconds; NULL means never. Text
-- compares byte by byte, which is SQLite's default. A table without row IDs is
-- one tree, so that a record is found in one descent.
CREATE TABLE claviger_records (
	id                  TEXT    NOT NULL PRIMARY KEY,
	kind                TEXT    NOT NULL, -- key, client or token
	org                 TEXT    NOT NULL,
	parent              TEXT    NOT NULL, -- a token's client, else empty
	label               TEXT    NOT NULL,
	scopes              TEXT    NOT NULL, -- names with a space between them
	rate_limit          INTEGER NOT NULL, -- requests per minute
	token_lifetime      INTEGER NOT NULL, -- milliseconds; 0 for the server's default
	digest              TEXT    NOT NULL,
	previous            TEXT    NOT NULL, -- the digest before, or empty
	previous_expires_at INTEGER,
	created_at          INTEGER NOT NULL,
	expires_at          INTEGER,
	revoked_at          INTEGER,
	version             INTEGER NOT NULL,
	ends_at             INTEGER GENERATED ALWAYS AS
		(coalesce(min(expires_at, revoked_at), expires_at, revoked_at)) VIRTUAL
) STRICT, WITHOUT ROWID;

-- Lists: one organization, one kind, in the order of IDs.
CREATE INDEX claviger_records_by_owner ON claviger_records (org, kind, id);

-- Sweeps: tokens by the time of their death.
CREATE INDEX claviger_records_by_end ON claviger_records (ends_at)
	WHERE kind = 'token' AND ends_at IS NOT NULL;

-- Last uses, apart from records, so that noting one writes no record.
CREATE TABLE claviger_uses (
	id      TEXT    NOT NULL PRIMARY KEY REFERENCES claviger_records (id) ON DELETE CASCADE,
	used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
