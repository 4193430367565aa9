package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

// NoteUses notes last uses, as [keys.UseStore] says, in up to 16 round trips,
// however many there are. It is not atomic as a whole: if it fails, some may be
// noted, and noting all of them again is right. Times must be between 1970 and
// 9999, and are cut to whole milliseconds; with others it fails with an error
// that wraps [keys.ErrInvalid], and notes none.
func (s *Store) NoteUses(ctx context.Context, uses map[string]time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var names [shardCount][]string
	var times [shardCount][]any
	for id, at := range uses {
		if at.Year() < 1970 || at.Year() > 9999 {
			return &keys.InvalidError{Field: "time of use", Reason: "is not between 1970 and 9999"}
		}
		if possible(id) {
			i := numberOf(id)
			names[i] = append(names[i], s.names.record(id))
			times[i] = append(times[i], milli(at))
		}
	}
	for i := range names {
		if len(names[i]) == 0 {
			continue
		}
		if err := s.noteUses(ctx, names[i], times[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) noteUses(ctx context.Context, names []string, times []any) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	_, err := run(ctx, s.client, useScript, names, times...)
	return err
}

// LastUses returns last uses, as [keys.UseStore] says, in one round trip.
func (s *Store) LastUses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	pipe := s.client.Pipeline()
	answers := make(map[string]*redis.StringCmd, len(ids))
	for _, id := range ids {
		if possible(id) {
			answers[id] = pipe.HGet(ctx, s.names.record(id), fieldUsed)
		}
	}
	if len(answers) == 0 {
		return map[string]time.Time{}, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !answered(err) {
		return nil, failure(err)
	}
	uses := make(map[string]time.Time)
	for id, a := range answers {
		text, err := a.Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, failure(err)
		}
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("redisstore: record %q: %w: field %s: %w", id, keys.ErrCorrupt, fieldUsed, errNumber)
		}
		uses[id] = time.UnixMilli(ms).UTC()
	}
	return uses, nil
}
