package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

const (
	tatText = "SELECT tat FROM claviger_buckets WHERE key = ?"

	putText = "INSERT INTO claviger_buckets (key, tat) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET tat = excluded.tat"

	idleText = "SELECT key FROM claviger_buckets WHERE key > ?1 AND tat < ?2 ORDER BY key LIMIT ?3"

	// dropText looks at the time again: a bucket may have been used since.
	dropText = "DELETE FROM claviger_buckets WHERE key IN (SELECT value FROM json_each(?1)) AND tat < ?2"

	// fullFor is for how long a bucket must have been full before it is dropped. So
	// the bucket is still there if the clock is set back by seconds.
	fullFor = time.Minute
)

// Take takes n requests from a bucket, as [ratelimit.Store] says, exactly over
// all processes. It decides by the clock of the machine and ignores now.
//
// A request that is refused reads, and waits for nobody. One that is admitted
// writes, and takes turns with all other writes.
func (s *Store) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	if err := l.Check(n); err != nil {
		return ratelimit.Decision{}, err
	}
	if err := b.Validate(); err != nil {
		return ratelimit.Decision{}, err
	}
	if err := ctx.Err(); err != nil {
		return ratelimit.Decision{}, err
	}
	key := b.Key()

	// The bucket's time only grows. So if it cannot pay for the request now, others
	// cannot change that, and no lock is needed to refuse.
	var d ratelimit.Decision
	var written bool
	err := s.patiently(s.until(), func() (err error) {
		_, d, written, err = take(ctx, s.stmts.peek, key, l, n)
		return err
	})
	if err != nil || !written {
		return d, err
	}
	err = s.transact(ctx, s.limits, func(tx *sql.Tx) error {
		var next int64
		var err error
		if next, d, written, err = take(ctx, tx.StmtContext(ctx, s.stmts.tat), key, l, n); err != nil || !written {
			return err
		}
		_, err = tx.StmtContext(ctx, s.stmts.put).ExecContext(ctx, key, next)
		return err
	})
	if err != nil {
		return ratelimit.Decision{}, err
	}
	return d, nil
}

// take reads the time of a bucket and decides. It reports whether next is to be
// written.
func take(ctx context.Context, tat *sql.Stmt, key string, l ratelimit.Limit, n int) (next int64, d ratelimit.Decision, written bool, err error) {
	var old int64 // 0 for a bucket that is not there
	if err := tat.QueryRowContext(ctx, key).Scan(&old); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, ratelimit.Decision{}, false, err
	}
	// The clock is read after the bucket. A time from before could be behind what
	// others wrote in between.
	next, d, err = l.Take(old, time.Now().UnixNano(), n)
	return next, d, next != old, err
}

// SweepBuckets removes up to limit buckets that have been full for more than a
// minute, and returns how many it removed: fewer than limit only if there are no
// more. That gives no quota back, since a full bucket is the same as none. If it finds
// fewer than limit, it has read the whole table. Others can write meanwhile. If a step
// fails, it returns the error, and how many buckets the steps before it removed. A
// limit below 1 is refused with an error that wraps [keys.ErrInvalid].
//
// Hosts that keep limits in the database call it from time to time.
func (s *Store) SweepBuckets(ctx context.Context, limit int) (int, error) {
	before, after := time.Now().Add(-fullFor).UnixNano(), ""
	return s.inSteps(ctx, limit, func(step int) (removed int, err error) {
		for removed < step && err == nil {
			var idle []string
			if idle, err = s.idle(ctx, after, before, step-removed); err != nil || len(idle) == 0 {
				break
			}
			after = idle[len(idle)-1]
			var n int
			n, err = s.drop(ctx, idle, before)
			removed += n
		}
		return removed, err
	})
}

// idle returns buckets that have been full since the given time.
func (s *Store) idle(ctx context.Context, after string, before int64, limit int) (names []string, err error) {
	var name string
	err = s.rows(ctx, s.stmts.idle, []any{after, before, limit}, []any{&name}, func() error {
		names = append(names, name)
		return nil
	})
	return names, err
}

// drop removes those of the buckets that are still full.
func (s *Store) drop(ctx context.Context, names []string, before int64) (int, error) {
	list, err := json.Marshal(names)
	if err != nil {
		return 0, fmt.Errorf("sqlitestore: %w", err)
	}
	n, err := s.write(ctx, s.stmts.drop, string(list), before)
	return int(n), err
}
