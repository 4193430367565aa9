package redisstore

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

// pageSize is how many records List reads at once.
const pageSize = 256

// List returns the records that q asks for, as [keys.Store] says, in two round
// trips for each 256 of them: one asks all shards for IDs, one reads the
// records. If one of those is corrupt, it fails with an error that wraps
// [keys.ErrCorrupt].
func (s *Store) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var page []keys.Record
	for len(page) < q.Limit {
		want := min(q.Limit-len(page), pageSize)
		ids, err := s.ids(ctx, q, want)
		if err != nil {
			return nil, err
		}
		if page, err = s.append(ctx, page, ids); err != nil {
			return nil, err
		}
		if len(ids) < want {
			break
		}
		q.After = ids[len(ids)-1]
	}
	return page, nil
}

// ids returns the first IDs after the cursor of q, in order: fewer than wanted
// only if there are no more.
func (s *Store) ids(ctx context.Context, q keys.Query, want int) ([]string, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	after := "-"
	if q.After != "" {
		after = "(" + q.After
	}
	pipe := s.client.Pipeline()
	var answers [shardCount]*redis.StringSliceCmd
	for i := range answers {
		name := s.names.index(shardAt(i), q.Kind, q.Org)
		answers[i] = pipe.ZRangeByLex(ctx, name, &redis.ZRangeBy{Min: after, Max: "+", Count: int64(want)})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, failure(err)
	}
	// Each shard gave its first ones; so the first of all are among them.
	var ids []string
	for _, a := range answers {
		ids = append(ids, a.Val()...)
	}
	slices.Sort(ids)
	return ids[:min(want, len(ids))], nil
}

// append appends the records with the given IDs to a page. Tokens may have been
// swept since the IDs were read.
func (s *Store) append(ctx context.Context, page []keys.Record, ids []string) ([]keys.Record, error) {
	if len(ids) == 0 {
		return page, nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	pipe := s.client.Pipeline()
	answers := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		answers[i] = pipe.HGetAll(ctx, s.names.record(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, failure(err)
	}
	for i, id := range ids {
		r, err := decode(id, answers[i].Val())
		if errors.Is(err, keys.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, nil
}
