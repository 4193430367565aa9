package redisstore

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

// Count counts records, as [keys.CountStore] says, in one round trip, and reads none of
// them. It does not know when records of an earlier release ended: until
// [Store.Migrate], those that have expired, or were revoked by that release, count as
// live.
func (s *Store) Count(ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := (keys.Query{Org: org, Kind: kind, Limit: most}).Validate(); err != nil {
		return 0, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	// Records expire at whole milliseconds: a record that expires at now has expired.
	last := strconv.FormatInt(min(now.UnixMilli(), maxMilli), 10)
	pipe := s.read(ctx)
	var live, expired [shardCount]*redis.IntCmd
	for i := range shardCount {
		live[i] = pipe.ZCard(ctx, s.names.list(listLive, shardAt(i), kind, org))
		expired[i] = pipe.ZCount(ctx, s.names.list(listEnds, shardAt(i), kind, org), "-inf", last)
	}
	if err := pipe.exec(ctx); err != nil {
		return 0, err
	}
	n := int64(0)
	for i := range shardCount {
		n += max(live[i].Val()-expired[i].Val(), 0)
	}
	return int(min(n, int64(most))), nil
}

// Orgs lists organizations, as [keys.OrgStore] says, in one round trip. Organizations
// that only have records of an earlier release are missing until [Store.Migrate].
func (s *Store) Orgs(ctx context.Context, after string, limit int) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, errLimit
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	first := "-"
	if after != "" {
		first = "(" + after
	}
	pipe := s.read(ctx)
	var answers [shardCount]*redis.StringSliceCmd
	for i := range answers {
		answers[i] = pipe.ZRangeByLex(ctx, s.names.orgs(shardAt(i)), &redis.ZRangeBy{Min: first, Max: "+", Count: int64(limit)})
	}
	if err := pipe.exec(ctx); err != nil {
		return nil, err
	}
	var orgs []string
	for _, a := range answers {
		orgs = append(orgs, a.Val()...)
	}
	slices.Sort(orgs)
	orgs = slices.Compact(orgs)
	return orgs[:min(limit, len(orgs))], nil
}
