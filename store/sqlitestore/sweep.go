package sqlitestore

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

const (
	sweepText = `DELETE FROM claviger_records WHERE id IN (
	SELECT id FROM claviger_records INDEXED BY claviger_records_by_end
	WHERE kind = 'token' AND ends_at IS NOT NULL AND ends_at < ? ORDER BY ends_at LIMIT ?)`

	// sweepStep is how many rows are removed in one transaction. While it runs,
	// nobody else can write.
	sweepStep = 50

	// maxPause bounds the pause between two steps.
	maxPause = 20 * time.Millisecond
)

// Sweep removes dead tokens, as [keys.Store] says, those that died first first,
// and what was noted of their uses. It reads no others.
//
// It removes them in steps of 50, each a transaction, and lets others write
// between two steps. If a step fails, it returns beside the error how many tokens
// the steps before removed.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	bound := ceilMillis(before)
	return s.inSteps(ctx, limit, func(step int) (int, error) {
		n, err := s.write(ctx, s.stmts.sweep, bound, step)
		return int(n), err
	})
}

// inSteps calls remove, which removes as many rows as it is told, or fewer if
// there are no more, until limit rows are removed or there are no more.
//
// Calls of this store that wait for their turn get it after each step. Those of
// other processes look now and then whether they can write. So nobody writes for
// as long after a step as it took.
func (s *Store) inSteps(ctx context.Context, limit int, remove func(step int) (int, error)) (removed int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if limit < 1 {
		return 0, &keys.InvalidError{Field: keys.FieldLimit, Reason: "is less than 1"}
	}
	for {
		step := min(limit-removed, sweepStep)
		begun := time.Now()
		n, err := remove(step)
		removed += n
		if err != nil || n < step || removed == limit {
			return removed, err
		}
		select {
		case <-time.After(min(time.Since(begun), maxPause)):
		case <-ctx.Done():
			return removed, ctx.Err()
		}
	}
}

// floorMillis returns t in Unix milliseconds, rounded down: a record that ends
// later than t ends later than that. Times that no record can have are moved to
// the nearest one of 1970 to 9999, or the first of 10000.
func floorMillis(t time.Time) int64 {
	first, last := time.UnixMilli(0), time.Date(10000, time.January, 1, 0, 0, 0, 0, time.UTC)
	switch {
	case t.Before(first):
		t = first
	case t.After(last):
		t = last
	}
	return t.UnixMilli()
}

// ceilMillis returns t in Unix milliseconds, rounded up: a record that ends
// before t ends before that.
func ceilMillis(t time.Time) int64 {
	ms := floorMillis(t)
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}
