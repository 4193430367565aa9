package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

// sweepSize bounds how many tokens of a shard are removed in one step, during
// which the server does nothing else.
const sweepSize = 250

// Sweep removes tokens, as [keys.Store] says. It works in steps, and returns
// how many tokens it removed beside an error too. Each token is removed in full
// or not at all. Several processes may sweep at once; they share the work.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, &keys.InvalidError{Field: "limit", Reason: "is less than 1"}
	}
	bound := ceil(before)
	for n := 0; ; {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		removed, dropped, err := s.sweep(ctx, bound, limit-n)
		n += removed
		if err != nil || removed+dropped == 0 || n == limit {
			return n, err
		}
	}
}

// ceil returns a time in Unix milliseconds, rounded up: record times are whole,
// and before a time if they are before that.
func ceil(t time.Time) int64 {
	if t.Year() > 9999 {
		return maxMilli + 1
	}
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}

// A doomed token is one that was found dead.
type doomed struct {
	id  string
	org *redis.StringCmd
}

// sweep takes a step. It returns how many tokens it removed, and of how many
// other things it rid the lists of deaths.
func (s *Store) sweep(ctx context.Context, bound int64, limit int) (removed, dropped int, err error) {
	found, err := s.dead(ctx, bound, limit)
	if err != nil {
		return 0, 0, err
	}
	for i, dead := range found {
		if len(dead) == 0 {
			continue
		}
		r, d, err := s.bury(ctx, shardAt(i), bound, dead)
		removed, dropped = removed+r, dropped+d
		if err != nil {
			return removed, dropped, err
		}
	}
	return removed, dropped, nil
}

// dead returns up to limit dead tokens of all shards, about as many of each, and
// at least one if there are any.
func (s *Store) dead(ctx context.Context, bound int64, limit int) (found [shardCount][]doomed, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	share := min((limit-1)/shardCount+1, sweepSize)
	pipe := s.client.Pipeline()
	var answers [shardCount]*redis.StringSliceCmd
	for i := range answers {
		answers[i] = pipe.ZRangeByScore(ctx, s.names.deaths(shardAt(i)), &redis.ZRangeBy{
			Min: "-inf", Max: "(" + strconv.FormatInt(bound, 10), Count: int64(share),
		})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return found, failure(err)
	}
	pipe = s.client.Pipeline()
	for i, a := range answers {
		for _, id := range a.Val() {
			if limit == 0 {
				break
			}
			limit--
			found[i] = append(found[i], doomed{id, pipe.HGet(ctx, s.names.record(id), fieldOrg)})
		}
	}
	if pipe.Len() == 0 {
		return found, nil
	}
	// What the server says of one record is for the script to judge; what is
	// said of none of them is an error.
	if _, err := pipe.Exec(ctx); err != nil && !answered(err) {
		return found, failure(err)
	}
	return found, nil
}

// bury removes dead tokens of one shard.
func (s *Store) bury(ctx context.Context, home shard, bound int64, dead []doomed) (removed, dropped int, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	names := []string{s.names.deaths(home)}
	args := []any{strconv.FormatInt(bound, 10)}
	for _, d := range dead {
		org := d.org.Val()
		names = append(names, s.names.record(d.id), s.names.index(home, keys.KindToken, org))
		args = append(args, d.id, org)
	}
	c, err := run(ctx, s.client, sweepScript, names, args...)
	if err != nil {
		return 0, 0, err
	}
	counts, err := c.Int64Slice()
	if err == nil && len(counts) != 2 {
		err = errAnswer
	}
	if err != nil {
		return 0, 0, failure(err)
	}
	return int(counts[0]), int(counts[1]), nil
}
