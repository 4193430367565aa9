package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Errors of [Store.Check] and [Store.CheckLimits].
var (
	// ErrNotPrimary reports a server that is a replica. It refuses writes, and
	// learns of revocations late. Other calls of a Store can fail with it too.
	ErrNotPrimary = errors.New("redisstore: server is not a primary")
	// ErrEvicts reports a server that drops keys when it is out of memory. It
	// can then lose used quota, credentials, and which IDs were used.
	ErrEvicts = errors.New("redisstore: server evicts keys")
	// ErrNotDurable reports a server that may lose acknowledged writes when its
	// process is killed or its machine loses power.
	ErrNotDurable = errors.New("redisstore: server does not sync each write")
	// ErrNotTold reports a server that does not tell how it is set up, because
	// it denies the commands INFO or CONFIG, as many managed servers do. It may
	// be set up well.
	ErrNotTold = errors.New("redisstore: server does not tell its settings")
)

// Check asks the server, or each primary of a cluster, whether it is set up to
// keep the promises of a store. Hosts call it when they start. The error wraps one or
// more of
//
//   - [ErrNotPrimary];
//   - [ErrEvicts], if maxmemory-policy is not noeviction;
//   - [ErrNotDurable], unless appendonly is yes and appendfsync is always;
//   - [ErrReplicas], if fewer replicas are connected than [Options.Replicas];
//   - [ErrNotTold], if one of these cannot be told;
//
// or is that of the client. A host that accepts one of these looks for the others
// with [errors.Is].
//
// In a new store, and after a promotion, revocations take six seconds at first: see
// [Store.LongestLease]. Check starts that time, so that it may be over before the
// first revocation.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.LongestLease(ctx)
	return cmp.Or(s.eachPrimary(ctx, s.check), err)
}

// CheckLimits is [Store.Check] for a server that keeps nothing but buckets, which may
// be lost with the server. So it only looks for [ErrNotPrimary] and [ErrEvicts]. If the
// server denies both INFO and CONFIG the error wraps [ErrNotTold]; the host must then
// make sure by other means that maxmemory-policy is noeviction.
func (s *Store) CheckLimits(ctx context.Context) error { return s.eachPrimary(ctx, s.checkLimits) }

// eachPrimary calls check for the server, or for each primary of a cluster, and
// returns the errors that are there.
func (s *Store) eachPrimary(ctx context.Context, check func(context.Context, redis.Cmdable) error) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	// INFO may be denied. So the role is found out as by all calls that read.
	if err := s.read(ctx).exec(ctx); err != nil {
		return err
	}
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return check(ctx, s.client)
	}
	var mu sync.Mutex
	var found error
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		err := check(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		found = errors.Join(found, err)
		return nil
	})
	return errors.Join(found, failure(err))
}

// check is Check for one server.
func (s *Store) check(ctx context.Context, node redis.Cmdable) error {
	info, err := askInfo(ctx, node)
	if err != nil {
		return err
	}
	return errors.Join(checkPolicy(ctx, node, info), checkLog(ctx, node, info), s.checkReplicas(info))
}

// checkLimits is CheckLimits for one server.
func (s *Store) checkLimits(ctx context.Context, node redis.Cmdable) error {
	info, err := askInfo(ctx, node)
	if err != nil {
		return err
	}
	return checkPolicy(ctx, node, info)
}

// checkPolicy returns an error if the server evicts keys.
func checkPolicy(ctx context.Context, node redis.Cmdable, info map[string]string) error {
	policy, told := info["maxmemory_policy"]
	if !told {
		var err error
		if policy, err = askConfig(ctx, node, "maxmemory-policy"); err != nil {
			return err
		}
	}
	if policy != "noeviction" {
		return fmt.Errorf("%w: maxmemory-policy is %q, want noeviction", ErrEvicts, policy)
	}
	return nil
}

// checkLog returns an error if the server does not write and sync an append-only file.
func checkLog(ctx context.Context, node redis.Cmdable, info map[string]string) error {
	enabled, told := info["aof_enabled"]
	if !told {
		answer, err := askConfig(ctx, node, "appendonly")
		if err != nil {
			return err
		}
		if answer == "yes" {
			enabled = "1"
		}
	}
	if enabled != "1" {
		return fmt.Errorf("%w: appendonly is not yes", ErrNotDurable)
	}
	sync, err := askConfig(ctx, node, "appendfsync")
	if err == nil && sync != "always" {
		return fmt.Errorf("%w: appendfsync is %q, want always", ErrNotDurable, sync)
	}
	return err
}

// checkReplicas returns an error if too few replicas are connected.
func (s *Store) checkReplicas(info map[string]string) error {
	switch n := online(info); {
	case s.replicas == 0 || n >= s.replicas:
		return nil
	case len(info) == 0:
		return fmt.Errorf("%w: how many replicas are connected", ErrNotTold)
	default:
		return fmt.Errorf("%w: %d of %d are connected", ErrReplicas, n, s.replicas)
	}
}

// askInfo returns the answer to INFO, or nothing if the server denies that.
func askInfo(ctx context.Context, node redis.Cmdable) (map[string]string, error) {
	text, err := node.Info(ctx).Result()
	switch {
	case denied(err):
		return nil, nil
	case err != nil:
		return nil, failure(err)
	}
	info := parseInfo(text)
	if role := info["role"]; role != "master" {
		return nil, fmt.Errorf("%w: its role is %q", ErrNotPrimary, role)
	}
	return info, nil
}

// askConfig returns the value of a setting.
func askConfig(ctx context.Context, node redis.Cmdable, name string) (string, error) {
	settings, err := node.ConfigGet(ctx, name).Result()
	value, ok := settings[name]
	if denied(err) || err == nil && !ok {
		return "", fmt.Errorf("%w: %s", ErrNotTold, name)
	}
	return value, failure(err)
}

// denied reports whether a server does not let this client use a command, or does not
// have it.
func denied(err error) bool {
	return redis.HasErrorPrefix(err, "NOPERM") || answered(err) && strings.Contains(err.Error(), "unknown command")
}

// parseInfo reads the answer to INFO.
func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// online counts the replicas that are connected, and have all but the latest writes.
func online(info map[string]string) int {
	n := 0
	for _, value := range info {
		if strings.Contains(value, "state=online") {
			n++
		}
	}
	return n
}
