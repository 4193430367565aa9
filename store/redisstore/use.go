package redisstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

// NoteUses notes last uses, as [keys.UseStore] says, in up to 16 round trips,
// however many there are. If it fails, some may have been noted, and all can be noted
// again. If a time is not between 1970 and 9999, it notes none, and the error wraps
// [keys.ErrInvalid].
func (s *Store) NoteUses(ctx context.Context, uses map[string]time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var names [shardCount][]string
	var times [shardCount][]any
	for id, at := range uses {
		if year := at.UTC().Year(); year < 1970 || year > 9999 {
			return &keys.InvalidError{Field: keys.FieldTime, Reason: "of a use is not between 1970 and 9999"}
		}
		if keys.PossibleID(id) {
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
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !keys.PossibleID(id) })
	uses := make(map[string]time.Time)
	if len(ids) == 0 {
		return uses, nil
	}
	pipe := s.read(ctx)
	answers := make(map[string]*redis.StringCmd, len(ids))
	for _, id := range ids {
		answers[id] = pipe.HGet(ctx, s.names.record(id), fieldUsed)
	}
	if err := pipe.exec(ctx); err != nil {
		return nil, err
	}
	for id, a := range answers {
		text := a.Val()
		if text == "" {
			continue
		}
		at, err := instant(text)
		if err != nil {
			return nil, corruptRecord(id, fmt.Errorf("field %q: %w", fieldUsed, err))
		}
		uses[id] = at
	}
	return uses, nil
}
