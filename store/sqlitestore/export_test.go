package sqlitestore

import (
	"context"
	"time"
)

// Drop removes buckets that SweepBuckets has found to be idle.
func (s *Store) Drop(ctx context.Context, names ...string) (int, error) {
	return s.drop(ctx, names, time.Now().Add(-fullFor).UnixNano())
}

// IsBusy reports whether a call is repeated after err.
func IsBusy(err error) bool { return isBusy(err) }

// Statements returns the text of every statement that a Store runs.
func Statements() []string {
	records, limits := new(statements).texts()
	var texts []string
	for _, p := range append(records, limits...) {
		texts = append(texts, p.text)
	}
	return texts
}
