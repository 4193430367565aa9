package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// slots is how many a cluster has.
const slots = 16384

// A cluster is three servers with a third of the slots each.
type cluster struct {
	nodes   [3]*servers.Server
	addrs   []string
	clients [3]*redis.Client
	ids     [3]string
}

var (
	clusterStarted atomic.Bool
	sharedCluster  = sync.OnceValues(startCluster)
)

func closeCluster() {
	if clusterStarted.Load() {
		c, _ := sharedCluster()
		c.close()
	}
}

func (c *cluster) close() {
	for i, s := range c.nodes {
		if s != nil {
			_ = c.clients[i].Close()
			_ = s.Close()
		}
	}
}

func startCluster() (*cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := new(cluster)
	for i := range c.nodes {
		if err := c.start(ctx, i); err != nil {
			return c, err
		}
	}
	for i := range c.nodes {
		if err := c.clients[i].ClusterAddSlotsRange(ctx, i*slots/3, (i+1)*slots/3-1).Err(); err != nil {
			return c, err
		}
		if err := c.clients[0].Do(ctx, "CLUSTER", "MEET", "127.0.0.1", c.port(i)).Err(); err != nil {
			return c, err
		}
	}
	for i := range c.clients {
		if err := agreed(ctx, c.clients[i]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// start starts a node. Nodes of a cluster need TCP, and the port that is 10000
// above theirs too. Neither can be reserved, so another one is tried if the
// server finds one taken.
func (c *cluster) start(ctx context.Context, i int) error {
	var err error
	for range 20 {
		var port int
		if port, err = freePort(); err != nil {
			return err
		}
		var s *servers.Server
		s, err = servers.Redis("--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--cluster-enabled", "yes",
			"--cluster-node-timeout", "5000", "--appendfsync", "no")
		if errors.Is(err, servers.ErrNotInstalled) {
			return err
		}
		if err == nil {
			c.nodes[i], c.clients[i] = s, redis.NewClient(settings(s.Socket))
			c.addrs = append(c.addrs, fmt.Sprintf("127.0.0.1:%d", port))
			c.ids[i], err = c.clients[i].ClusterMyID(ctx).Result()
			return err
		}
	}
	return err
}

func freePort() (int, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil || port < 50000 {
			return port, err
		}
	}
}

func (c *cluster) port(i int) string {
	_, port, _ := net.SplitHostPort(c.addrs[i])
	return port
}

// agreed waits until a node knows of all slots.
func agreed(ctx context.Context, node *redis.Client) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := node.ClusterInfo(ctx).Result()
		if err != nil {
			return err
		}
		if fields := redisstore.ParseInfo(info); fields["cluster_state"] == "ok" && fields["cluster_known_nodes"] == "3" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// clustered returns the shared cluster and a client of it. With -short there is none.
func clustered(t testing.TB) (*cluster, *redis.ClusterClient) {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs a cluster")
	}
	clusterStarted.Store(true)
	c, err := sharedCluster()
	servers.Require(t, err)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.addrs, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return c, client
}

// TestClusterConformance is TestConformance over a cluster. A page of List is not
// of one moment there, since no command reads what is on two nodes.
func TestClusterConformance(t *testing.T) {
	t.Parallel()
	_, client := clustered(t)
	open := func(t testing.TB) judged {
		name := prefix()
		return judged{
			Store: whole(t, client, open(t, client, redisstore.Options{Prefix: name, Timeout: 10 * time.Second}), name),
			second: func(t testing.TB) redis.UniversalClient {
				_, other := clustered(t)
				return other
			},
			prefix: name,
		}
	}
	violations := storetest.CheckRecords(t, func(t testing.TB) keys.Store { return open(t) }, &storetest.Options[keys.Store]{Second: another[keys.Store], Race: race()})
	for _, v := range violations {
		if v.Clause != "concurrent-lists-are-one-moment" {
			t.Error(v)
		}
	}
	storetest.TestLimits(t, func(t testing.TB) ratelimit.Store { return open(t) }, &storetest.Options[ratelimit.Store]{Second: another[ratelimit.Store], Race: race()})
}

// TestClusterSpread checks that each node has its share of the records, and of
// the buckets.
func TestClusterSpread(t *testing.T) {
	t.Parallel()
	c, client := clustered(t)
	p := prefix()
	s := open(t, client, redisstore.Options{Prefix: p, Timeout: 10 * time.Second})
	const n = 160
	for i := range n {
		must(t, s.Insert(t.Context(), record(keys.KindKey, fmt.Sprint("key", i))))
	}
	for i, node := range c.clients {
		found, err := node.Keys(t.Context(), p+":{*}:r:*").Result()
		must(t, err)
		if len(found) < n/6 || len(found) > n/2 {
			t.Errorf("node %d has %d of %d records", i, len(found), n)
		}
	}
	seen := make(map[int64]string)
	for _, tag := range redisstore.Tags() {
		slot, err := c.clients[0].ClusterKeySlot(t.Context(), p+":{"+tag+"}:r:x").Result()
		must(t, err)
		if other, ok := seen[slot*16/slots]; ok {
			t.Errorf("tags %q and %q are in one sixteenth of the slots", tag, other)
		}
		seen[slot*16/slots] = tag
	}
}

func TestClusterFamily(t *testing.T) {
	t.Parallel()
	_, client := clustered(t)
	s := open(t, client, redisstore.Options{Prefix: prefix(), Timeout: 10 * time.Second})
	checkFamilies(t, s)
}

func TestClusterLists(t *testing.T) {
	t.Parallel()
	_, client := clustered(t)
	checkListsFollow(t, open(t, client, redisstore.Options{Prefix: prefix(), Timeout: 10 * time.Second}), func(map[string]keys.Record) {})
}

// TestClusterMigrate checks that Migrate finds the records on all nodes.
func TestClusterMigrate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, client := clustered(t)
	p := prefix()
	s := open(t, client, redisstore.Options{Prefix: p, Timeout: 10 * time.Second})
	old := earlier{client, p}
	const n = 60
	for i := range n {
		r := record(keys.KindKey, fmt.Sprint("key ", i))
		must(t, old.insert(ctx, r).Err())
		if i%2 == 0 {
			r.RevokedAt = created
			must(t, old.update(ctx, r).Err())
		}
	}
	if got, err := s.Count(ctx, "acme", keys.KindKey, created, n); got != n || err != nil {
		t.Errorf("Count before: %d, %v; want %d, as documented", got, err, n)
	}
	must(t, s.Migrate(ctx))
	if got, err := s.Count(ctx, "acme", keys.KindKey, created, n); got != n/2 || err != nil {
		t.Errorf("Count: %d, %v; want %d", got, err, n/2)
	}
	if got, err := s.Count(ctx, "acme", keys.KindKey, expires, n); got != 0 || err != nil {
		t.Errorf("Count when all are over: %d, %v", got, err)
	}
	if orgs, err := s.Orgs(ctx, "", 9); len(orgs) != 1 || err != nil {
		t.Errorf("Orgs: %q, %v", orgs, err)
	}
}

func TestClusterUses(t *testing.T) {
	t.Parallel()
	_, client := clustered(t)
	checkUses(t, open(t, client, redisstore.Options{Prefix: prefix(), Timeout: 10 * time.Second}))
}

// TestClusterMoves moves a slot away under clients that have seen it elsewhere.
// Other tests use that slot too; so this one runs before those in parallel.
func TestClusterMoves(t *testing.T) {
	c, client := clustered(t)
	p := prefix()
	const id = "moving"
	plain := open(t, client, redisstore.Options{Prefix: p, Timeout: 10 * time.Second})
	waiting := open(t, client, redisstore.Options{Prefix: p, Timeout: time.Second, Replicas: 1})
	name := redisstore.RecordKey(p, id)
	slot, err := client.ClusterKeySlot(t.Context(), name).Result()
	must(t, err)
	owner := func() int {
		t.Helper()
		home, err := client.MasterForKey(t.Context(), name)
		must(t, err)
		me, err := home.ClusterMyID(t.Context()).Result()
		must(t, err)
		for i := range c.ids {
			if c.ids[i] == me {
				return i
			}
		}
		t.Fatalf("no node is %s", me)
		return 0
	}
	move := func(from, to int) {
		t.Helper()
		must(t, c.clients[to].Do(t.Context(), "CLUSTER", "SETSLOT", slot, "IMPORTING", c.ids[from]).Err())
		must(t, c.clients[from].Do(t.Context(), "CLUSTER", "SETSLOT", slot, "MIGRATING", c.ids[to]).Err())
		for {
			all, err := c.clients[from].ClusterGetKeysInSlot(t.Context(), int(slot), 100).Result()
			must(t, err)
			if len(all) == 0 {
				break
			}
			args := []any{"MIGRATE", "127.0.0.1", c.port(to), "", 0, 5000, "KEYS"}
			for _, k := range all {
				args = append(args, k)
			}
			must(t, c.clients[from].Do(t.Context(), args...).Err())
		}
		for _, i := range []int{to, from, 3 - from - to} {
			must(t, c.clients[i].Do(t.Context(), "CLUSTER", "SETSLOT", slot, "NODE", c.ids[to]).Err())
		}
	}
	must(t, plain.Insert(t.Context(), record(keys.KindKey, id)))
	first := owner()
	second := (first + 1) % 3
	move(first, second)
	r, _, err := plain.Get(t.Context(), id)
	must(t, err)
	if diff := cmp.Diff(record(keys.KindKey, id), r, equal); diff != "" {
		t.Error(diff)
	}
	move(second, first)
	// There are no replicas; but the right node was found, and has the write.
	wants(t, "Update after a move", waiting.Update(t.Context(), r), redisstore.ErrReplicas)
	if r, _, err = plain.Get(t.Context(), id); err != nil || r.Version != 2 {
		t.Errorf("version %d, %v; want 2", r.Version, err)
	}
}

func TestClusterCheck(t *testing.T) {
	t.Parallel()
	_, client := clustered(t)
	s := open(t, client, redisstore.Options{Replicas: 1, Timeout: 10 * time.Second})
	err := s.Check(t.Context())
	wants(t, "Check of nodes that do not sync", err, redisstore.ErrNotDurable)
	wants(t, "Check of nodes without replicas", err, redisstore.ErrReplicas)
}

// TestClusterPolls counts what a poll of all shards costs: one pipeline, and one more
// if a node does not know the script.
func TestClusterPolls(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, client := clustered(t)
	l := new(log)
	client.AddHook(l)
	s := open(t, client, redisstore.Options{Prefix: prefix(), Timeout: 10 * time.Second})
	must(t, s.Announce(ctx, cacheID, time.Second))
	first, err := s.Poll(ctx, cacheID, "")
	must(t, err)
	l.take()
	next, err := s.Poll(ctx, cacheID, first.Next)
	must(t, err)
	if diff := cmp.Diff([]string{"evalsha"}, l.take()); diff != "" || next.All || next.Next != first.Next {
		t.Errorf("%+v after %q, with trips\n%s", next, first.Next, diff)
	}
	r := record(keys.KindKey, "r")
	must(t, s.Insert(ctx, r))
	must(t, s.Update(ctx, r))
	must(t, c.clients[1].ScriptFlush(ctx).Err())
	l.take()
	next, err = s.Poll(ctx, cacheID, first.Next)
	must(t, err)
	// Another test may have told the node meanwhile.
	if trips := l.take(); len(trips) > 2 || next.All || len(next.IDs) != 1 {
		t.Errorf("%+v, with trips %q", next, trips)
	}
}
