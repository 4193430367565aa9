package redisstore

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

const (
	// pageSize bounds how many records List reads at once.
	pageSize = 1000
	// maxLooks bounds how often List reads a page again because records came or
	// went meanwhile.
	maxLooks = 10
)

// List returns the records that q asks for, as [keys.Store] says, in two round
// trips for each 1,000 of them: one asks all shards for IDs, one reads the
// records. It takes more if records are added or revoked at the same time. If one
// of the records is corrupt, the error wraps [keys.ErrCorrupt].
//
// A page of up to 1,000 records shows them as they are at one moment, except over a
// cluster, and while the server is out of memory. With Query.Live, List reads no more
// records than it returns, unless an earlier release wrote them: see [Store.Migrate].
func (s *Store) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var all []keys.Record
	for want := q.Limit; len(all) < q.Limit; want = max(q.Limit-len(all), 2*want) {
		want = min(want, pageSize)
		page, last, err := s.page(ctx, q, want)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if last == "" {
			break
		}
		q.After = last
	}
	return all[:min(len(all), q.Limit)], nil
}

// page returns those of the next IDs whose records q asks for, and the last ID
// that it looked at, or "" if there are no more.
func (s *Store) page(ctx context.Context, q keys.Query, want int) (page []keys.Record, last string, err error) {
	for range maxLooks {
		var found []listed
		if found, last, err = s.listed(ctx, q, want); err != nil {
			return nil, "", err
		}
		var settled bool
		if page, settled, err = s.records(ctx, q, found, last); err != nil || settled {
			break
		}
	}
	return page, last, err
}

// listed has the IDs that one sorted set contributes to a page.
type listed struct {
	name string
	ids  []string
}

// after returns the lower bound of the IDs that q asks for, as ZRANGEBYLEX takes it.
func after(q keys.Query) string {
	if q.After == "" {
		return "-"
	}
	return "(" + q.After
}

// listed asks all lists for the next IDs, want of them at most. It also returns the
// last one, or "" if there are no more.
func (s *Store) listed(ctx context.Context, q keys.Query, want int) (found []listed, last string, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	lists := []list{listLive, listRevoked}
	if q.Live {
		lists = lists[:1]
	}
	var names []string
	for i := range shardCount {
		for _, l := range lists {
			names = append(names, s.names.list(l, shardAt(i), q.Kind, q.Org))
		}
	}
	// Each shard has about a sixteenth of all IDs.
	share := min(want, want/8+8)
	pipe := s.read(ctx)
	answers := make([]*redis.StringSliceCmd, len(names))
	for i, name := range names {
		answers[i] = pipe.ZRangeByLex(ctx, name, &redis.ZRangeBy{Min: after(q), Max: "+", Count: int64(share)})
	}
	if err := pipe.exec(ctx); err != nil {
		return nil, "", err
	}
	// A list that gave as many IDs as it was asked for may have more. So the IDs are
	// only complete up to the last one that it gave.
	var ids []string
	for _, a := range answers {
		these := a.Val()
		ids = append(ids, these...)
		if n := len(these); n == share && (last == "" || these[n-1] < last) {
			last = these[n-1]
		}
	}
	slices.Sort(ids)
	if len(ids) >= want && (last == "" || ids[want-1] < last) {
		last = ids[want-1]
	}
	for i, a := range answers {
		these := a.Val()
		if last != "" {
			n, _ := slices.BinarySearch(these, last+"\x00")
			these = these[:n]
		}
		found = append(found, listed{names[i], these})
	}
	return found, last, nil
}

// records returns those records with the given IDs that q asks for. It reports
// whether, at the moment when the records were read, the lists still had exactly
// these IDs up to the last one.
func (s *Store) records(ctx context.Context, q keys.Query, found []listed, last string) (page []keys.Record, settled bool, err error) {
	var ids []string
	for _, l := range found {
		ids = append(ids, l.ids...)
	}
	if len(ids) == 0 {
		return nil, true, nil
	}
	slices.Sort(ids)
	ctx, cancel := s.bound(ctx)
	defer cancel()
	until := "+"
	if last != "" {
		until = "[" + last
	}
	counts := make([]*redis.IntCmd, len(found))
	answers := make([]*redis.MapStringStringCmd, len(ids))
	ask := func(pipe redis.Pipeliner) error {
		for i, l := range found {
			counts[i] = pipe.ZLexCount(ctx, l.name, after(q), until)
		}
		for i, id := range ids {
			answers[i] = pipe.HGetAll(ctx, s.names.record(id))
		}
		_, err := pipe.Exec(ctx)
		return err
	}
	if s.together {
		err = ask(s.client.TxPipeline())
	}
	// A server that is out of memory takes no transaction, not even one that reads.
	if !s.together || redis.HasErrorPrefix(err, "EXECABORT") {
		err = ask(s.client.Pipeline())
	}
	if err != nil {
		return nil, false, failure(err)
	}
	settled = true
	for i, l := range found {
		settled = settled && counts[i].Val() == int64(len(l.ids))
	}
	for i, id := range ids {
		r, err := decode(id, answers[i].Val())
		switch {
		case errors.Is(err, keys.ErrNotFound): // a token that was swept
		case err != nil:
			return nil, false, err
		case r.Org == q.Org && r.Kind == q.Kind && !(q.Live && r.Revoked()):
			page = append(page, r)
		}
	}
	return page, settled, nil
}
