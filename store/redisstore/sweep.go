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

var errLimit = &keys.InvalidError{Field: keys.FieldLimit, Reason: "is less than 1"}

// Sweep removes tokens, as [keys.Store] says. It works in steps. With an error it also
// returns how many tokens it has removed. Each token is removed in full or not at all.
// Several processes may sweep at once; they share the work.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, errLimit
	}
	bound := ceil(before)
	for n := 0; ; {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		removed, more, err := s.sweep(ctx, bound, limit-n)
		n += removed
		if err != nil || !more || n == limit {
			return n, err
		}
	}
}

// ceil returns a time in Unix milliseconds, rounded up. Records end at whole
// milliseconds: one that ends before t ends before the result.
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

// sweep makes one step. It returns how many tokens it removed, and whether it found
// dead tokens.
func (s *Store) sweep(ctx context.Context, bound int64, limit int) (removed int, more bool, err error) {
	found, err := s.dead(ctx, bound, limit)
	if err != nil {
		return 0, false, err
	}
	for i, dead := range found {
		if len(dead) == 0 {
			continue
		}
		more = true
		n, err := s.bury(ctx, shardAt(i), bound, dead)
		removed += n
		if err != nil {
			return removed, true, err
		}
	}
	return removed, more, nil
}

// dead returns up to limit dead tokens of all shards, about as many of each shard. It
// returns at least one if there are any.
func (s *Store) dead(ctx context.Context, bound int64, limit int) (found [shardCount][]doomed, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	share := min((limit-1)/shardCount+1, sweepSize)
	pipe := s.read(ctx)
	var answers [shardCount]*redis.StringSliceCmd
	for i := range answers {
		answers[i] = pipe.ZRangeByScore(ctx, s.names.deaths(shardAt(i)), &redis.ZRangeBy{
			Min: "-inf", Max: "(" + strconv.FormatInt(bound, 10), Count: int64(share),
		})
	}
	if err := pipe.exec(ctx); err != nil {
		return found, err
	}
	orgs := s.client.Pipeline()
	for i, a := range answers {
		for _, id := range a.Val() {
			if limit == 0 {
				break
			}
			limit--
			found[i] = append(found[i], doomed{id, orgs.HGet(ctx, s.names.record(id), fieldOrg)})
		}
	}
	if orgs.Len() == 0 {
		return found, nil
	}
	// If the server answers with an error for one record, the script judges that
	// record. If it does not answer, that is an error.
	if _, err := orgs.Exec(ctx); err != nil && !answered(err) {
		return found, failure(err)
	}
	return found, nil
}

// bury removes dead tokens of one shard, and returns how many.
func (s *Store) bury(ctx context.Context, home shard, bound int64, dead []doomed) (int, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	numbers := make(map[string]int) // of the organizations, from 1
	names := []string{s.names.deaths(home), s.names.orgs(home), s.names.changes(home)}
	args := []any{strconv.FormatInt(bound, 10), word(), 0}
	for _, d := range dead {
		org := d.org.Val()
		if numbers[org] > 0 {
			continue
		}
		numbers[org] = len(numbers) + 1
		args = append(args, org)
		names = append(names, s.names.lists(home, keys.KindToken, org)...)
		for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient} {
			names = append(names, s.names.list(listLive, home, kind, org), s.names.list(listRevoked, home, kind, org))
		}
	}
	args[2] = len(numbers)
	for _, d := range dead {
		names = append(names, s.names.record(d.id))
		args = append(args, d.id, numbers[d.org.Val()])
	}
	c, err := run(ctx, s.client, sweepScript, names, args...)
	if err != nil {
		return 0, err
	}
	n, err := c.Int64()
	return int(n), failure(err)
}
