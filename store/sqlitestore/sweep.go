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

var errLimit = &keys.InvalidError{Field: keys.FieldLimit, Reason: "is less than 1"}

// Sweep removes dead tokens and their last uses, as [keys.Store] says, beginning with
// those that have been dead for longest. It reads no other records.
//
// It removes them in steps of 50, each a transaction, and lets others write
// between two steps. If a step fails, it returns the error, and how many tokens the
// steps before it removed.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	bound := ceilMillis(before)
	return s.inSteps(ctx, limit, func(step int) (int, error) {
		n, err := s.write(ctx, s.stmts.sweep, bound, step)
		return int(n), err
	})
}

// inSteps calls remove until limit rows are removed or there are no more. Remove
// removes as many rows as it is told, or fewer if there are no more.
//
// Calls of this store that wait for their turn get it after each step. Other processes
// only try now and then whether they can write. So inSteps pauses after each step, for
// as long as the step took, up to maxPause.
func (s *Store) inSteps(ctx context.Context, limit int, remove func(step int) (int, error)) (removed int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if limit < 1 {
		return 0, errLimit
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

// floorMillis returns t in Unix milliseconds, rounded down. Records end at whole
// milliseconds, so a record that ends later than t ends later than the result. A time
// before 1970 becomes the first of 1970, and one after 9999 the first of 10000.
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

// ceilMillis returns t in Unix milliseconds, rounded up. A record that ends before t
// ends before the result. It is bounded as in floorMillis.
func ceilMillis(t time.Time) int64 {
	ms := floorMillis(t)
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}
