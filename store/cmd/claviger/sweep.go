package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"
)

// maxBatch bounds how many tokens are removed in one call.
const maxBatch = 10_000

var sweepCommand = command{
	name: "sweep", brief: "remove tokens that are over, and full buckets of limits",
	setup: func(fs *flag.FlagSet) action {
		older := lifetime(time.Hour)
		fs.Var(&older, "older", "remove tokens that ended longer ago than this `time`")
		batch := fs.Int("batch", 500, "`number` to remove in one call of the store")
		most := fs.Int("most", 0, "`number` of tokens to remove at most (default all)")
		return func(ctx context.Context, s *session, _ []string) error {
			if *batch < 1 || *batch > maxBatch || *most < 0 {
				return usageError("-batch is not from 1 to %s, or -most is negative", number(maxBatch))
			}
			if err := s.open(ctx); err != nil {
				return err
			}
			before := time.Now().Add(-time.Duration(older))
			if err := s.confirm(ctx, fmt.Sprintf("Remove the tokens of all organizations that ended before %s?", instant(before))); err != nil {
				return err
			}
			return s.sweep(ctx, before, *batch, *most)
		}
	},
}

// sweep removes tokens and then buckets, in batches between which others write.
func (s *session) sweep(ctx context.Context, before time.Time, batch, most int) error {
	p := s.startProgress()
	tokens, err := inBatches(batch, most, func(limit, done int) (int, error) {
		bounded, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		n, err := s.store.Sweep(bounded, before, limit)
		p.report("%s removed", count(done+n, "token"))
		return n, err
	})
	buckets := 0
	if err == nil {
		buckets, err = inBatches(batch, 0, func(limit, done int) (int, error) {
			n, err := s.db.sweepBuckets(ctx, limit)
			p.report("%s and %s removed", count(tokens, "token"), count(done+n, "bucket"))
			return n, err
		})
	}
	p.end()
	return errors.Join(s.printSwept(tokens, buckets), err)
}

// inBatches calls remove until it removes fewer than it may, or until most are removed
// in all. If most is 0 there is no such bound.
func inBatches(batch, most int, remove func(limit, done int) (int, error)) (done int, err error) {
	for {
		limit := batch
		if most > 0 {
			limit = min(limit, most-done)
		}
		n, err := remove(limit, done)
		if done += n; err != nil || n < limit || done == most {
			return done, err
		}
	}
}

func (s *session) printSwept(tokens, buckets int) error {
	if s.json {
		return s.printJSON(struct {
			Tokens  int `json:"tokens"`
			Buckets int `json:"buckets"`
		}{tokens, buckets})
	}
	_, err := fmt.Fprintf(s.stdout, "removed: %s, %s\n", count(tokens, "token"), count(buckets, "bucket"))
	return err
}
