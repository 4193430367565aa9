package redisstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

// Migrate corrects the lists of the store for records that a release before format 1
// wrote. It changes no record. Such records are read, updated and listed without it.
// But until then [Store.List] with Query.Live reads those that are revoked in order to
// leave them out, [Store.Count] counts those that have ended, and [Store.Orgs] leaves
// out their organizations.
//
// Hosts call it once, when the last process of the earlier release has ended. It can
// be called at any time and repeatedly; it then corrects what a process of the earlier
// release has written since. The time that it takes grows with the number of records.
// It works in small steps, each bounded by [Options.Timeout], that do not hold up
// others. If it fails, the steps before stay done.
func (s *Store) Migrate(ctx context.Context) error {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return s.migrate(ctx, s.client)
	}
	var mu sync.Mutex
	var found error
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		found = errors.Join(found, s.migrate(ctx, node))
		return nil
	})
	return errors.Join(found, failure(err))
}

// stepSize is how many keys, or IDs of a list, Migrate looks at in one step.
const stepSize = 250

// migrate tidies the lists that are on one server.
func (s *Store) migrate(ctx context.Context, node redis.Cmdable) error {
	return steps(ctx, func(cursor uint64) ([]string, uint64, error) {
		ctx, cancel := s.bound(ctx)
		defer cancel()
		return node.Scan(ctx, cursor, string(s.names)+":{*}:[ixe]:*", stepSize).Result()
	}, func(names []string) error {
		for _, name := range names {
			if err := s.tidy(ctx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// steps calls next with a cursor, and do with what it returned, until the cursor
// is 0 again.
func steps(ctx context.Context, next func(cursor uint64) ([]string, uint64, error), do func([]string) error) error {
	for cursor := uint64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var found []string
		var err error
		if found, cursor, err = next(cursor); err != nil {
			return failure(err)
		}
		if err := do(found); err != nil || cursor == 0 {
			return err
		}
	}
}

// tidy puts all IDs of one list into the lists in which they belong.
func (s *Store) tidy(ctx context.Context, name string) error {
	// As names.list makes it.
	rest := strings.TrimPrefix(name, string(s.names)+":{")
	tag, rest, ok1 := strings.Cut(rest, "}:")
	_, rest, ok2 := strings.Cut(rest, ":")
	kind, org, ok3 := strings.Cut(rest, ":")
	if !ok1 || !ok2 || !ok3 {
		return nil
	}
	lists := append(s.names.lists(shard(tag), keys.Kind(kind), org), s.names.orgs(shard(tag)))
	return steps(ctx, func(cursor uint64) ([]string, uint64, error) {
		ctx, cancel := s.bound(ctx)
		defer cancel()
		found, cursor, err := s.client.ZScan(ctx, name, cursor, "", stepSize).Result()
		var ids []string
		for i := 0; i < len(found); i += 2 { // each with its score
			ids = append(ids, found[i])
		}
		return ids, cursor, err
	}, func(ids []string) error {
		if len(ids) == 0 {
			return nil
		}
		ctx, cancel := s.bound(ctx)
		defer cancel()
		names, args := slices.Clone(lists), []any{org, kind}
		for _, id := range ids {
			names, args = append(names, s.names.record(id)), append(args, id)
		}
		_, err := run(ctx, s.client, tidyScript, names, args...)
		return err
	})
}
