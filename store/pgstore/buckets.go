package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// maxKey bounds the key of a bucket, in bytes. PostgreSQL's own bound for a key in an
// index is somewhat higher.
const maxKey = 2048

// clock is an SQL expression for the server's time in Unix nanoseconds at the moment
// of evaluation. Its largest value is that which [ratelimit.Limit.Take] accepts.
const clock = `least((extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000, 9191749636854775807)`

// takeText returns the statement that takes a request from bucket $1. The request
// costs $2 nanoseconds, under a limit with window $3 and horizon $4. The statement
// returns the new timestamp, the old one, and the time of the decision.
//
// A request that the bucket cannot pay for is refused by what the statement sees
// when it begins, without a lock and without a write. That is safe because
// timestamps only grow: one that is too far ahead stays too far ahead. So clients
// that keep trying do not hold up the others. All other requests lock the bucket
// first and read the clock afterwards. A time from before the wait would be behind
// the bucket's own, as if the clock had been set back.
//
// The condition is added to those on which the write depends.
func takeText(condition string) string {
	return `
WITH refused AS MATERIALIZED (
	SELECT b.tat, b.tat AS was, c.now AS at
	FROM {schema}.buckets AS b CROSS JOIN (SELECT ` + clock + ` AS now) AS c
	WHERE b.key = $1
		AND greatest(b.tat, c.now) - c.now > $3::bigint - $2::bigint
		AND greatest(b.tat, c.now) - c.now <= $4::bigint
), taken AS (
	INSERT INTO {schema}.buckets AS b (key, tat, was, at)
	SELECT $1, c.now + $2::bigint, 0, c.now
	FROM (SELECT ` + clock + ` AS now) AS c
	WHERE NOT EXISTS (SELECT FROM refused) ` + condition + `
	ON CONFLICT (key) DO UPDATE SET (tat, was, at) = (` + nextText("b.tat", clock) + `)
	RETURNING b.tat, b.was, b.at
)
SELECT tat, was, at FROM taken UNION ALL SELECT tat, was, at FROM refused`
}

// nextText returns [ratelimit.Limit.Take] as a query over two SQL expressions, a
// timestamp and a time. The query returns the next timestamp and the values of the
// two. The second expression is evaluated once.
func nextText(tat, now string) string {
	return `
	SELECT CASE WHEN p.tat - p.now + $2::bigint <= $3::bigint THEN p.tat + $2::bigint ELSE p.tat END, ` + tat + `, p.now
	FROM (
		SELECT c.now, CASE
			WHEN greatest(` + tat + `, c.now) - c.now > $4::bigint THEN c.now + $3::bigint
			ELSE greatest(` + tat + `, c.now) END AS tat
		FROM (SELECT ` + now + ` AS now) AS c
	) AS p`
}

// sweepBucketsText keeps buckets that have been full for less than a minute, so
// that nothing is lost when the clock is set back by seconds.
const sweepBucketsText = `
WITH idle AS MATERIALIZED (
	SELECT key FROM {schema}.buckets
	WHERE tat < (SELECT ` + clock + `) - 60000000000
	LIMIT $1::bigint FOR UPDATE SKIP LOCKED
), gone AS (
	DELETE FROM {schema}.buckets WHERE key = ANY (ARRAY (SELECT key FROM idle)) RETURNING 1
)
SELECT count(*) FROM gone`

// Take takes n requests from bucket b, as [ratelimit.Store] says, in one round
// trip. It decides by the server's clock and ignores now. Buckets that
// [ratelimit.Bucket.Validate] refuses, or whose [ratelimit.Bucket.Key] is longer than
// 2,048 bytes, fail with [ratelimit.ErrBucket].
//
// Requests that are admitted from one bucket wait for each other. Requests that
// are refused wait for nobody and write nothing.
func (s *Store) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	if err := l.Check(n); err != nil {
		return ratelimit.Decision{}, err
	}
	if err := b.Validate(); err != nil {
		return ratelimit.Decision{}, err
	}
	key := b.Key()
	if len(key) > maxKey {
		return ratelimit.Decision{}, ratelimit.ErrBucket
	}
	if err := ctx.Err(); err != nil {
		return ratelimit.Decision{}, failed("take", err)
	}
	text := s.sql.take
	switch {
	case joined(s.db):
		text = s.sql.joinedTake // the host decides how durable its transaction is
	case s.syncTake:
		text = s.sql.syncTake
	}
	var next, was, at int64
	err := s.run(ctx, func(db DB) error {
		cost := int64(n) * int64(l.Interval())
		return db.QueryRow(ctx, text, s.args(key, cost, int64(l.Window()), int64(l.Horizon()))...).Scan(&next, &was, &at)
	})
	if err != nil {
		return ratelimit.Decision{}, failed("take", err)
	}
	want, d, err := l.Take(was, at, n)
	if err != nil || want != next {
		return ratelimit.Decision{}, errMiscomputed
	}
	return d, nil
}

// SweepBuckets removes up to limit buckets that have been full for more than a
// minute by the server's clock, and returns how many it removed. That gives no
// quota back, since a full bucket is the same as none. SweepBuckets skips buckets
// that are in use, and reads the whole table if it finds fewer than limit. A limit
// below 1 is refused with an error that wraps [keys.ErrInvalid].
//
// Hosts call it from time to time, from one process or from several, until it
// returns less than limit.
func (s *Store) SweepBuckets(ctx context.Context, limit int) (int, error) {
	return s.sweep(ctx, "sweep buckets", s.sql.sweepBuckets, limit)
}

// errMiscomputed reports that the server computed something else than Limit.Take, for
// example because somebody has changed the table or put a trigger on it.
var errMiscomputed = errors.New("pgstore: take: the server computed another timestamp than the limit does")

var errLimit = &keys.InvalidError{Field: keys.FieldLimit, Reason: "is less than 1"}

// sweep runs a statement that removes rows and counts them. The limit is its last
// argument, after args.
func (s *Store) sweep(ctx context.Context, call, text string, limit int, args ...any) (int, error) {
	if limit < 1 {
		return 0, errLimit
	}
	if err := ctx.Err(); err != nil {
		return 0, failed(call, err)
	}
	var n int
	err := s.run(ctx, func(db DB) error {
		return db.QueryRow(ctx, text, s.args(append(args, int64(limit))...)...).Scan(&n)
	})
	if err != nil {
		return 0, failed(call, err)
	}
	return n, nil
}
