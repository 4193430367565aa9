package pgstore

import (
	"strconv"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// statements are the texts of all statements, with the schema filled in. They name
// tables together with the schema, and everything that comes from callers is an
// argument. Each statement is atomic by itself under READ COMMITTED, whatever others
// do at the same time.
type statements struct {
	insert, get, update, sweep               string
	list, listLive, count, orgs              string
	noteUses, lastUses                       string
	announce, withdraw, markIdle, renew      string
	lease, poll                              string
	insertWith, updateWith, addEntry         string // with an entry of the trail
	chain, entries, cut                      string
	take, syncTake, joinedTake, sweepBuckets string
	settings, version, rights                string
}

// columns are those of a record, in the order of the fields of a row.
const columns = "id kind org parent label scopes rate_limit token_lifetime" +
	" environment networks metadata created_by replaces replaced_by" +
	" digest previous previous_expires_at created_at expires_at revoked_at disabled_at version format"

// newStatements fills in the schema, which is a plain name, and the columns.
func newStatements(schema string) *statements {
	names := strings.Fields(columns)
	arguments := make([]string, len(names))
	for i := range names {
		arguments[i] = "$" + strconv.Itoa(i+1)
	}
	fill := strings.NewReplacer(
		"{schema}", `"`+schema+`"`,
		"{names}", strings.Join(names, ", "),
		"{arguments}", strings.Join(arguments, ", "),
		"{record}", "r."+strings.Join(names, ", r."),
		"{parent}", "p."+strings.Join(names, ", p."),
		"{format}", strconv.Itoa(keys.RecordFormat),
		"{durable}", durable,
	).Replace
	return &statements{
		insert: fill(insertText), get: fill(getText), update: fill(updateText(false)), sweep: fill(sweepText),
		list: fill(listText("")), listLive: fill(listText("AND revoked_at IS NULL")),
		count: fill(countText), orgs: fill(orgsText),
		noteUses: fill(noteUsesText), lastUses: fill(lastUsesText),
		announce: fill(announceText), withdraw: fill(withdrawText), markIdle: fill(markIdleText), renew: fill(renewText),
		lease: fill(leaseText), poll: fill(pollText),
		insertWith: fill(insertWithText(len(names) + 1)), updateWith: fill(updateText(true)), addEntry: fill(addEntryText),
		chain: fill(chainText), entries: fill(entriesText), cut: fill(cutText),
		take:         fill(takeText("AND set_config('synchronous_commit', 'off', true) IS NOT NULL")),
		syncTake:     fill(takeText("AND {durable} IS NOT NULL")),
		joinedTake:   fill(takeText("")),
		sweepBuckets: fill(sweepBucketsText),
		settings:     fill(settingsText), version: fill(versionText), rights: fill(rightsText),
	}
}

// durable is an expression that makes the transaction in which it is evaluated wait
// for the disk when it commits, and for a synchronous standby if there is one,
// whatever the server's default is. It affects only that transaction, and leaves the
// one stronger setting as it is.
const durable = `set_config('synchronous_commit', ` +
	`CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`

const insertText = `
INSERT INTO {schema}.records AS r ({names})
VALUES ({arguments})
ON CONFLICT (id) DO NOTHING
RETURNING {durable}`

// insertWithText is insertText with an entry, whose arguments begin with the given
// number. It waits for the organization's turn before it writes: see lock_chain.
func insertWithText(first int) string {
	return `
WITH turn AS MATERIALIZED (SELECT {schema}.lock_chain($` + strconv.Itoa(first) + `))
INSERT INTO {schema}.records AS r ({names})
SELECT {arguments} FROM turn
ON CONFLICT (id) DO NOTHING
RETURNING {durable}, ` + entryCall(first)
}

// Statements that read records join them to one row that says whether the server is a
// standby. So the answer itself says whether it can be relied on, also if there are no
// records, and that takes no second round trip.

const getText = `
SELECT pg_is_in_recovery(), {record}, {parent} FROM (VALUES (1)) AS one
LEFT JOIN {schema}.records AS r ON r.id = $1
LEFT JOIN {schema}.records AS p ON p.id = r.parent`

// listText returns the statement for a page of the records that also meet the
// condition. The condition is a part of the text, and not an argument, so that the
// server can choose an index of just these records.
func listText(condition string) string {
	return `
SELECT pg_is_in_recovery(), {record} FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (
	SELECT * FROM {schema}.records
	WHERE org = $1 AND kind = $2 AND id > $3 ` + condition + `
	ORDER BY id LIMIT $4::bigint
) AS r ON true
ORDER BY r.id`
}

// countText asks for an order, so that the server uses the index: it would have to
// sort after a scan of the table. Without the order, a server that expects many live
// records prefers such a scan.
const countText = `
SELECT pg_is_in_recovery(), count(*) FROM (
	SELECT FROM {schema}.records
	WHERE org = $1 AND kind = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3::bigint)
	ORDER BY id LIMIT $4::bigint
) AS live`

// orgsText goes from each organization directly to the next one in the index.
const orgsText = `
WITH RECURSIVE found AS (
	(SELECT org FROM {schema}.records WHERE org > $1 ORDER BY org LIMIT 1)
	UNION ALL
	SELECT (SELECT r.org FROM {schema}.records AS r WHERE r.org > f.org ORDER BY r.org LIMIT 1)
	FROM found AS f WHERE f.org IS NOT NULL
)
SELECT pg_is_in_recovery(), f.org FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (SELECT org FROM found WHERE org IS NOT NULL LIMIT $2::bigint) AS f ON true`

// updateText returns the statement that writes a record under some conditions. If they
// hold, keys.Next allows the update. If not, nothing is written, and the statement
// returns the record as it was when the statement began, so that Next can say why. A
// record of a later format is left as it is, since the statement does not know the
// columns that later formats add.
//
// With an entry, whose arguments come after all others, the statement waits for the
// organization's turn before it locks the record: see lock_chain.
func updateText(entry bool) string {
	const arguments = 18
	turn, from, note := "", "", ""
	if entry {
		turn = "turn AS MATERIALIZED (SELECT {schema}.lock_chain($" + strconv.Itoa(arguments+1) + ")), "
		from, note = "FROM turn ", ", "+entryCall(arguments+1)
	}
	return `
WITH ` + turn + `written AS (
	UPDATE {schema}.records SET
		label = $5, scopes = $6, rate_limit = $7, token_lifetime = $8, networks = $9, metadata = $10, replaced_by = $11,
		digest = $12, previous = $13, previous_expires_at = $14, expires_at = $15, revoked_at = $16::bigint,
		disabled_at = $17, version = version + 1, format = $18
	` + from + `WHERE id = $1 AND org = $2 AND kind = $3 AND version = $4 AND format BETWEEN 1 AND {format}
		AND (revoked_at IS NULL OR $16::bigint <= revoked_at)
	RETURNING {durable}` + note + `
)
SELECT EXISTS (SELECT FROM written), {record} FROM (VALUES (1)) AS one
LEFT JOIN {schema}.records AS r ON r.id = $1 AND r.org = $2 AND NOT EXISTS (SELECT FROM written)`
}

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

// noteUsesText locks the rows in the order of their IDs, so that two batches at the
// same time cannot wait for each other in a circle.
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
	current_setting('full_page_writes'), current_setting('server_encoding'), current_setting('client_encoding'),
	current_setting('server_version_num')::bigint, to_regclass($1) IS NOT NULL`

// rightsText returns the rights on the tables of the feed that every process needs, and
// that the role lacks.
const rightsText = `
SELECT coalesce(string_agg(need || ' on ' || tab, ', '), '')
FROM (VALUES ('SELECT', $1::text), ('SELECT', $2::text), ('INSERT', $2::text)) AS needed (need, tab)
WHERE NOT has_table_privilege(tab, need)`

const versionText = `SELECT coalesce(max(version), 0)::bigint FROM {schema}.migrations`
