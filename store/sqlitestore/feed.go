package sqlitestore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var _ keys.Feed = (*Store)(nil)

const (
	announceText = `INSERT INTO claviger_announcements (id, lease, announced_at) VALUES (?1, ?2, ?3)
ON CONFLICT (id) DO UPDATE SET lease = excluded.lease, announced_at = excluded.announced_at WHERE marked_at IS NULL`

	withdrawText = "DELETE FROM claviger_announcements WHERE id IN (SELECT value FROM json_each(?))"

	markText = "UPDATE claviger_announcements SET marked_at = ?1 WHERE announced_at < ?2 AND marked_at IS NULL"

	markedText = "SELECT id FROM claviger_announcements WHERE marked_at IS NOT NULL"

	leaseText = "SELECT coalesce(max(lease), 0) FROM claviger_announcements"

	// pollText returns a row for each change, or one row without a change if there
	// are none. Each row also has what is true of the whole feed, so that all of
	// it is of one moment.
	pollText = `WITH feed AS (SELECT
	(SELECT epoch FROM claviger_epoch) AS epoch,
	(SELECT coalesce(min(seq), 1) FROM claviger_changes) AS first,
	(SELECT coalesce(max(seq), 0) FROM claviger_changes) AS last,
	EXISTS (SELECT 1 FROM claviger_announcements WHERE id = ?1 AND marked_at IS NULL) AS announced)
SELECT feed.epoch, feed.first, feed.last, feed.announced, coalesce(c.id, '')
FROM feed LEFT JOIN claviger_changes c ON c.seq > ?2`
)

// Announce notes that a cache is in use, as [keys.Feed] says.
func (s *Store) Announce(ctx context.Context, id string, lease time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n, err := s.write(ctx, s.stmts.announce, id, int64(lease), time.Now().UnixMilli())
	if err == nil && n == 0 {
		return fmt.Errorf("%w: it is marked", keys.ErrNotAnnounced)
	}
	return err
}

// Withdraw removes announcements, as [keys.Feed] says.
func (s *Store) Withdraw(ctx context.Context, ids ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return fmt.Errorf("sqlitestore: %w", err)
	}
	_, err = s.write(ctx, s.stmts.withdraw, string(list))
	return err
}

// MarkIdle marks announcements that have not been renewed for a time, as [keys.Feed]
// says. It also returns those that were marked before.
func (s *Store) MarkIdle(ctx context.Context, idle time.Duration) (ids []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := time.Now()
	if _, err := s.write(ctx, s.stmts.mark, now.UnixMilli(), now.Add(-idle).UnixMilli()); err != nil {
		return nil, err
	}
	var id string
	err = s.rows(ctx, s.stmts.marked, nil, []any{&id}, func() error {
		ids = append(ids, id)
		return nil
	})
	return ids, err
}

// LongestLease returns the longest lease that is announced, as [keys.Feed] says.
// Announcements are in the file with the records, so they are lost only together.
func (s *Store) LongestLease(ctx context.Context) (lease time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	err = s.patiently(s.until(), func() error { return s.stmts.lease.QueryRowContext(ctx).Scan(&lease) })
	return lease, err
}

// Poll returns the changes after a position, as [keys.Feed] says. A position is
// the epoch of the file and a number: SQLite has one writer at a time, so changes
// are numbered in the order in which they are committed.
func (s *Store) Poll(ctx context.Context, id string, after keys.Position) (c keys.Changes, err error) {
	if err := ctx.Err(); err != nil {
		return c, err
	}
	from, ok := parsePosition(after)
	var at position
	var first int64
	var announced bool
	var changed string
	err = s.rows(ctx, s.stmts.poll, []any{id, from.seq}, []any{&at.epoch, &first, &at.seq, &announced, &changed}, func() error {
		if changed != "" {
			c.IDs = append(c.IDs, changed)
		}
		return nil
	})
	switch {
	case err != nil:
		return keys.Changes{}, err
	case !announced:
		return keys.Changes{}, keys.ErrNotAnnounced
	}
	// Changes were missed if the first one that is still there comes after the next
	// one of the position.
	c.All = !ok || from.epoch != at.epoch || from.seq > at.seq || from.seq < first-1
	c.Next = at.text()
	return c, nil
}

// A position has the parts of a keys.Position.
type position struct {
	epoch string
	seq   int64
}

func (p position) text() keys.Position {
	return keys.Position(p.epoch + " " + strconv.FormatInt(p.seq, 10))
}

// parsePosition reads a position. If the text is not one, it reports false, and returns
// a position after all changes, so that no IDs are read in vain.
func parsePosition(text keys.Position) (p position, ok bool) {
	epoch, seq, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(seq, 10, 64)
	if err != nil {
		return position{seq: 1<<63 - 1}, false
	}
	return position{epoch, n}, true
}
