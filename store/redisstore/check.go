package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// What [Store.Check] finds.
var (
	// ErrNotPrimary reports a server that is a replica. It refuses writes, and
	// knows of revocations late.
	ErrNotPrimary = errors.New("redisstore: server is not a primary")
	// ErrEvicts reports a server that drops keys when it is out of memory. It
	// forgets what an organization has used up, credentials, and that IDs were
	// used.
	ErrEvicts = errors.New("redisstore: server evicts keys")
	// ErrNotDurable reports a server that loses acknowledged writes when it, or
	// its machine, ends without warning.
	ErrNotDurable = errors.New("redisstore: server does not sync each write")
)

// Check asks the server, or each primary of a cluster, whether it is set up to
// keep the promises of a store. Hosts call it at start. The error wraps one or
// more of [ErrNotPrimary], [ErrEvicts] (if maxmemory-policy is not noeviction),
// [ErrNotDurable] (unless appendonly is yes and appendfsync always, or if the
// server does not say) and [ErrReplicas] (if fewer replicas are connected than
// [Options.Replicas]), or is that of the client. A host that accepts one of them
// looks for the others by [errors.Is].
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return s.check(ctx, s.client)
	}
	var mu sync.Mutex
	var found error
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		err := s.check(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		found = errors.Join(found, err)
		return nil
	})
	return errors.Join(found, failure(err))
}

// check is Check for one server.
func (s *Store) check(ctx context.Context, node redis.Cmdable) error {
	text, err := node.Info(ctx).Result()
	if err != nil {
		return failure(err)
	}
	info := parseInfo(text)
	if role := info["role"]; role != "master" {
		// The rest matters little, and differs between primary and replica.
		return fmt.Errorf("%w: its role is %q", ErrNotPrimary, role)
	}
	var problems []error
	if policy := info["maxmemory_policy"]; policy != "noeviction" {
		problems = append(problems, fmt.Errorf("%w: maxmemory-policy is %q, want noeviction", ErrEvicts, policy))
	}
	if info["aof_enabled"] != "1" {
		problems = append(problems, fmt.Errorf("%w: appendonly is not yes", ErrNotDurable))
	} else if err := checkSync(ctx, node); err != nil {
		problems = append(problems, err)
	}
	if n := online(info); n < s.replicas {
		problems = append(problems, fmt.Errorf("%w: %d of %d are connected", ErrReplicas, n, s.replicas))
	}
	return errors.Join(problems...)
}

// checkSync says what is wrong with appendfsync.
func checkSync(ctx context.Context, node redis.Cmdable) error {
	settings, err := node.ConfigGet(ctx, "appendfsync").Result()
	switch value := settings["appendfsync"]; {
	case err != nil:
		return fmt.Errorf("%w: appendfsync is unknown: %w", ErrNotDurable, err)
	case value != "always":
		return fmt.Errorf("%w: appendfsync is %q, want always", ErrNotDurable, value)
	}
	return nil
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

// online counts the replicas that are up to date but for what is on its way.
func online(info map[string]string) int {
	n := 0
	for name, value := range info {
		if strings.HasPrefix(name, "slave") && strings.Contains(value, "state=online") {
			n++
		}
	}
	return n
}
