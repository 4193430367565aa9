package pgstore

import "strings"

// statements are the texts of all statements, with the schema filled in. The
// tables are always named with it, and what comes from callers is always an
// argument. Each is whole by itself: run alone under READ COMMITTED, it is
// atomic, whatever others do at the same time.
type statements struct {
	insert, get, family, list, update, sweep string
	noteUses, lastUses                       string
	take, syncTake, joinedTake, sweepBuckets string
	settings, version                        string
}

// columns are those of a record, in the order of the fields of a row.
const columns = "id kind org parent label scopes rate_limit token_lifetime" +
	" digest previous previous_expires_at created_at expires_at revoked_at version"

// newStatements fills in the schema, which is a plain name, and the columns.
func newStatements(schema string) *statements {
	names := strings.Fields(columns)
	fill := strings.NewReplacer(
		"{schema}", `"`+schema+`"`,
		"{names}", strings.Join(names, ", "),
		"{record}", "r."+strings.Join(names, ", r."),
		"{parent}", "p."+strings.Join(names, ", p."),
		"{durable}", durable,
	).Replace
	return &statements{
		insert: fill(insertText), get: fill(getText), family: fill(familyText), list: fill(listText),
		update: fill(updateText), sweep: fill(sweepText),
		noteUses: fill(noteUsesText), lastUses: fill(lastUsesText),
		take:         fill(takeText("AND set_config('synchronous_commit', 'off', true) IS NOT NULL")),
		syncTake:     fill(takeText("AND {durable} IS NOT NULL")),
		joinedTake:   fill(takeText("")),
		sweepBuckets: fill(sweepBucketsText),
		settings:     fill(settingsText), version: fill(versionText),
	}
}

// durable is an expression that makes the transaction it is evaluated in wait
// for the disk when it commits, and for a synchronous standby if there is one,
// whatever the server's default. It is local to the transaction, and leaves the
// one stronger setting as it is.
const durable = `set_config('synchronous_commit', ` +
	`CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`

const insertText = `
INSERT INTO {schema}.records AS r ({names})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (id) DO NOTHING
RETURNING {durable}`

// Statements that read records join them to one row that says whether the
// server is a standby: a server that must not be believed says so in the answer
// itself, also if it finds nothing, and that costs no second round trip.

const getText = `
SELECT pg_is_in_recovery(), {record} FROM (VALUES (1)) AS one
LEFT JOIN {schema}.records AS r ON r.id = $1`

const familyText = `
SELECT pg_is_in_recovery(), {record}, {parent} FROM (VALUES (1)) AS one
LEFT JOIN {schema}.records AS r ON r.id = $1
LEFT JOIN {schema}.records AS p ON p.id = r.parent`

const listText = `
SELECT pg_is_in_recovery(), {record} FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (
	SELECT * FROM {schema}.records
	WHERE org = $1 AND kind = $2 AND id > $3
	ORDER BY id LIMIT $4::bigint
) AS r ON true
ORDER BY r.id`

// updateText tells whether a record was written, and whether one was there
// before. The lifetime stays 0 but for clients, as the kind stays what it was.
const updateText = `
WITH written AS (
	UPDATE {schema}.records SET
		label = $3, scopes = $4, rate_limit = $5,
		token_lifetime = CASE WHEN kind = 'client' THEN $6::bigint ELSE 0 END,
		digest = $7, previous = $8, previous_expires_at = $9,
		expires_at = $10, revoked_at = $11::bigint, version = version + 1
	WHERE id = $1 AND org = $2 AND version = $12
		AND (revoked_at IS NULL OR $11::bigint <= revoked_at)
	RETURNING {durable}
)
SELECT EXISTS (SELECT FROM written), EXISTS (SELECT FROM {schema}.records WHERE id = $1 AND org = $2)`

const sweepText = `
WITH dead AS MATERIALIZED (
	SELECT id FROM {schema}.records
	WHERE kind = 'token' AND least(expires_at, revoked_at) < $1::bigint
	ORDER BY least(expires_at, revoked_at) LIMIT $2::bigint
	FOR UPDATE SKIP LOCKED
), forgotten AS (
	DELETE FROM {schema}.uses WHERE id = ANY (ARRAY (SELECT id FROM dead))
), gone AS (
	DELETE FROM {schema}.records WHERE id = ANY (ARRAY (SELECT id FROM dead)) RETURNING 1
)
SELECT count(*) FROM gone`

// noteUsesText takes the rows in the order of their IDs, so that two batches at
// the same time wait for each other rather than for ever.
const noteUsesText = `
INSERT INTO {schema}.uses AS u (id, used_at)
SELECT n.id, n.used_at
FROM unnest($1::text[], $2::bigint[]) AS n (id, used_at)
JOIN {schema}.records AS r ON r.id = n.id COLLATE "C"
ORDER BY r.id
ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at WHERE excluded.used_at > u.used_at`

const lastUsesText = `
SELECT u.id, u.used_at FROM {schema}.uses AS u
JOIN {schema}.records AS r ON r.id = u.id
WHERE u.id = ANY ($1::text[] COLLATE "C")`

const settingsText = `
SELECT pg_is_in_recovery(), current_setting('transaction_read_only'), current_setting('fsync'),
	current_setting('full_page_writes'), current_setting('server_encoding'),
	current_setting('server_version_num')::bigint, to_regclass($1) IS NOT NULL`

const versionText = `SELECT coalesce(max(version), 0)::bigint FROM {schema}.migrations`
