package pgstore

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/claviger-auth/claviger/keys"
)

var _ keys.Feed = (*Store)(nil)

// maxChanges bounds the changes that one poll names. If there are more, as after a
// transaction that was open for long, the poll says that everything may have changed.
const maxChanges = 10_000

const announceText = `
INSERT INTO {schema}.announcements AS a (id, lease, epoch)
SELECT $1, $2::bigint, nonce FROM {schema}.feed
ON CONFLICT (id) DO UPDATE SET lease = excluded.lease, epoch = excluded.epoch, announced_at = clock_timestamp()
WHERE a.marked_at IS NULL
RETURNING {durable}`

// renewText makes the row of the feed if it is missing, as after a crash, a failover or
// a restore.
const renewText = `INSERT INTO {schema}.feed DEFAULT VALUES ON CONFLICT DO NOTHING`

const withdrawText = `
WITH gone AS (DELETE FROM {schema}.announcements WHERE id = ANY ($1::text[]) RETURNING {durable})
SELECT count(*) FROM gone`

const markIdleText = `
WITH marked AS (
	UPDATE {schema}.announcements SET marked_at = clock_timestamp()
	WHERE marked_at IS NULL AND announced_at < clock_timestamp() - $1::bigint * interval '1 millisecond'
	RETURNING id, {durable}
)
SELECT id FROM marked UNION SELECT id FROM {schema}.announcements WHERE marked_at IS NOT NULL`

// leaseText also says whether this transaction has written something, and whether
// the row of the feed is older than a time.
const leaseText = `
SELECT pg_is_in_recovery(), pg_current_xact_id_if_assigned() IS NOT NULL,
	(SELECT coalesce(max(lease), 0) FROM {schema}.announcements),
	(SELECT since < clock_timestamp() - $1::bigint * interval '1 millisecond' FROM {schema}.feed)`

// pollText returns a row for each change, or one row without a change if there are
// none. Each row also has what is true of the whole feed, so that all of it is of one
// snapshot. The position contains the time at which the server started, since another
// server may be a copy of this one, with the same nonce.
const pollText = `
SELECT pg_is_in_recovery(), feed.nonce::text || ' ' || extract(epoch FROM pg_postmaster_start_time())::text,
	pg_current_snapshot()::text, coalesce(pg_snapshot_xmin($2::text::pg_snapshot) < feed.horizon, true),
	EXISTS (SELECT FROM {schema}.announcements WHERE id = $1 AND marked_at IS NULL), c.id
FROM (VALUES (1)) AS one
LEFT JOIN {schema}.feed ON true
LEFT JOIN LATERAL (
	SELECT id FROM {schema}.changes
	WHERE xid >= pg_snapshot_xmin($2::text::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
	LIMIT $3::bigint
) AS c ON true`

// lostAnnouncements is how long caches may be in use after their announcements
// were lost, with a fifth more for clocks that run at different speed.
const lostAnnouncements = keys.MaxLease + keys.MaxLease/5

// Announce notes that a cache is in use, as [keys.Feed] says.
func (s *Store) Announce(ctx context.Context, id string, lease time.Duration) error {
	if err := ctx.Err(); err != nil {
		return failed("announce", err)
	}
	var n int64
	err := s.run(ctx, func(db DB) error {
		if _, err := db.Exec(ctx, s.sql.renew, s.args()...); err != nil {
			return err
		}
		tag, err := db.Exec(ctx, s.sql.announce, s.args(id, lease.Milliseconds())...)
		n = tag.RowsAffected()
		return err
	})
	switch {
	case err != nil:
		return failed("announce", err)
	case n == 0:
		return fmt.Errorf("%w: it is marked", keys.ErrNotAnnounced)
	}
	return nil
}

// Withdraw removes announcements, as [keys.Feed] says.
func (s *Store) Withdraw(ctx context.Context, ids ...string) error {
	if err := ctx.Err(); err != nil {
		return failed("withdraw", err)
	}
	err := s.run(ctx, func(db DB) error {
		var n int64
		return db.QueryRow(ctx, s.sql.withdraw, s.args(ids)...).Scan(&n)
	})
	if err != nil {
		return failed("withdraw", err)
	}
	return nil
}

// MarkIdle marks announcements that have not been renewed for a time, as [keys.Feed]
// says. It also returns those that were marked before.
func (s *Store) MarkIdle(ctx context.Context, idle time.Duration) (ids []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, failed("mark", err)
	}
	err = s.run(ctx, func(db DB) error {
		ids = ids[:0]
		rows, err := db.Query(ctx, s.sql.markIdle, s.args(idle.Milliseconds())...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, failed("mark", err)
	}
	return ids, nil
}

// LongestLease returns the longest lease that is announced, as [keys.Feed] says. If the
// row of the feed is new, the server has recovered from a crash, was promoted or was
// restored, and may have lost announcements. It then returns [keys.MaxLease].
func (s *Store) LongestLease(ctx context.Context) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, failed("longest lease", err)
	}
	var standby, open bool
	var lease int64
	var old pgtype.Bool
	ask := func(db DB) error {
		return db.QueryRow(ctx, s.sql.lease, s.args(lostAnnouncements.Milliseconds())...).Scan(&standby, &open, &lease, &old)
	}
	err := s.read(ctx, ask)
	if err == nil && !standby && !open && !old.Valid {
		err = s.run(ctx, func(db DB) error {
			_, err := db.Exec(ctx, s.sql.renew, s.args()...)
			return err
		})
	}
	switch {
	case err != nil:
		return 0, failed("longest lease", err)
	case standby:
		return 0, ErrStandby
	case open:
		return 0, keys.ErrUncommitted
	case !old.Bool:
		return keys.MaxLease, nil
	}
	return time.Duration(lease) * time.Millisecond, nil
}

// snapshotForm is how pg_current_snapshot is written.
var snapshotForm = regexp.MustCompile(`^\d{1,19}:\d{1,19}:(\d{1,19}(,\d{1,19})*)?$`)

// Poll returns the changes since a position, as [keys.Feed] says. A position is
// the nonce of the feed, the start of the server and a snapshot: the changes that the
// snapshot does not see are the new ones. A number would not do, since transactions
// commit in another order than that of their IDs.
func (s *Store) Poll(ctx context.Context, id string, after keys.Position) (c keys.Changes, err error) {
	if err := ctx.Err(); err != nil {
		return c, failed("poll", err)
	}
	cut := strings.LastIndexByte(string(after), ' ')
	before, since := string(after[:max(cut, 0)]), pgtype.Text{String: string(after[cut+1:])}
	since.Valid = cut > 0 && snapshotForm.MatchString(since.String)
	var standby, trimmed, announced bool
	var origin pgtype.Text
	var snapshot string
	err = s.read(ctx, func(db DB) error {
		c.IDs = c.IDs[:0]
		rows, err := db.Query(ctx, s.sql.poll, s.args(id, since, int64(maxChanges+1))...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var changed pgtype.Text
			if err := rows.Scan(&standby, &origin, &snapshot, &trimmed, &announced, &changed); err != nil {
				return err
			}
			if changed.Valid {
				c.IDs = append(c.IDs, changed.String)
			}
		}
		return rows.Err()
	})
	switch {
	case err != nil:
		return keys.Changes{}, failed("poll", err)
	case standby:
		return keys.Changes{}, ErrStandby
	case !announced:
		return keys.Changes{}, keys.ErrNotAnnounced
	case !origin.Valid:
		// The feed was lost since the cache was announced, so the cache must be
		// announced again.
		return keys.Changes{}, fmt.Errorf("%w: the feed is gone", keys.ErrNotAnnounced)
	}
	c.All = trimmed || !since.Valid || before != origin.String || len(c.IDs) > maxChanges
	if c.All {
		c.IDs = nil
	}
	c.Next = keys.Position(origin.String + " " + snapshot)
	return c, nil
}
