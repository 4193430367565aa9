package redisstore_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// wrapped is a client of a type that package redisstore does not know.
type wrapped struct{ redis.UniversalClient }

func TestNew(t *testing.T) {
	t.Parallel()
	// Nobody is there; New does not notice.
	good := settings("/nowhere")
	cached, slow := *good, *good
	cached.ClientSideCacheConfig = &redis.ClientSideCacheConfig{}
	slow.ContextTimeoutEnabled = false
	node := func(change func(*redis.ClusterOptions)) redis.UniversalClient {
		o := &redis.ClusterOptions{Addrs: []string{"/nowhere"}, ContextTimeoutEnabled: true}
		change(o)
		return redis.NewClusterClient(o)
	}
	for _, row := range []struct {
		name   string
		client redis.UniversalClient
		opts   *redisstore.Options
		want   string // part of the error, or "" for none
	}{
		{"a client", redis.NewClient(good), nil, ""},
		{"zero options", redis.NewClient(good), &redisstore.Options{}, ""},
		{"all options", redis.NewClient(good), &redisstore.Options{Prefix: "My-app_1.0", Timeout: time.Minute, Replicas: 2}, ""},
		{"a cluster", node(func(*redis.ClusterOptions) {}), &redisstore.Options{Replicas: 1}, ""},
		{"a wrapper", wrapped{redis.NewClient(good)}, nil, ""},
		{"no client", nil, nil, "nil client"},
		{"a nil client", (*redis.Client)(nil), nil, "nil client"},
		{"a nil cluster", (*redis.ClusterClient)(nil), nil, "nil client"},
		{"a client without an end", redis.NewClient(&slow), nil, "ContextTimeoutEnabled"},
		{"a client with a cache", redis.NewClient(&cached), nil, "cache"},
		{"a cluster without an end", node(func(o *redis.ClusterOptions) { o.ContextTimeoutEnabled = false }), nil, "ContextTimeoutEnabled"},
		{"a cluster that reads replicas", node(func(o *redis.ClusterOptions) { o.ReadOnly = true }), nil, "replicas"},
		{"a cluster that reads the nearest", node(func(o *redis.ClusterOptions) { o.RouteByLatency = true }), nil, "replicas"},
		{"a cluster that reads any", node(func(o *redis.ClusterOptions) { o.RouteRandomly = true }), nil, "replicas"},
		{"a ring", redis.NewRing(&redis.RingOptions{ContextTimeoutEnabled: true}), nil, "redis.Ring"},
		{"a wrapper that is to wait", wrapped{redis.NewClient(good)}, &redisstore.Options{Replicas: 1}, "replicas"},
		{"a colon", redis.NewClient(good), &redisstore.Options{Prefix: "a:b"}, "prefix"},
		{"a brace", redis.NewClient(good), &redisstore.Options{Prefix: "{a}"}, "prefix"},
		{"a long prefix", redis.NewClient(good), &redisstore.Options{Prefix: strings.Repeat("x", 65)}, "prefix"},
		{"a negative timeout", redis.NewClient(good), &redisstore.Options{Timeout: -1}, "Options.Timeout is -1ns, want 0 or more"},
		{"negative replicas", redis.NewClient(good), &redisstore.Options{Replicas: -1}, "Options.Replicas is -1, want 0 or more"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, err := redisstore.New(row.client, row.opts)
			if (s == nil) != (row.want != "") || (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, %v", s, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "redisstore: ") {
				t.Error(err)
			}
		})
	}
}

// TestNewDoesNotConnect counts the connections of a client that New was given.
func TestNewDoesNotConnect(t *testing.T) {
	t.Parallel()
	c := connect(t, server(t).Socket)
	open(t, c, redisstore.Options{})
	if n := c.PoolStats().TotalConns; n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	c := connect(t, server(t).Socket)
	p := prefix()
	a, b := open(t, c, redisstore.Options{Prefix: p}), open(t, c, redisstore.Options{Prefix: p + ".b"})
	must(t, a.Insert(t.Context(), record(keys.KindKey, "key")))
	_, _, err := b.Get(t.Context(), "key")
	wants(t, "Get in another store", err, keys.ErrNotFound)
	must(t, b.Insert(t.Context(), record(keys.KindKey, "key")))
	for _, s := range []*redisstore.Store{a, b} {
		page, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
		if len(page) != 1 || err != nil {
			t.Errorf("List: %v, %v", page, err)
		}
		if d, err := s.Take(t.Context(), acme, daily(1), time.Time{}, 1); err != nil || !d.Allowed {
			t.Errorf("Take: %+v, %v", d, err)
		}
	}
}

// TestLayout pins where data is, and in what form: a change would lose it.
func TestLayout(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := connect(t, private(t).Socket)
	s := open(t, c, redisstore.Options{})
	full := keys.Record{
		ID: "key", Kind: keys.KindKey, Org: "acme", Label: "a label", Scopes: scopes.MustParse("a b"), RateLimit: 600,
		Environment: "test", Networks: mustNetworks("10.0.0.0/8 2001:db8::/32"), Metadata: `{"a":1}`, CreatedBy: "host:bootstrap",
		Replaces: "old", ReplacedBy: "new", Digest: digest, Previous: digest, PreviousExpiresAt: created, CreatedAt: created,
		ExpiresAt: expires, DisabledAt: created, Version: 7,
	}
	client := keys.Record{ID: "client", Kind: keys.KindClient, Org: "acme", RateLimit: 1, TokenLifetime: time.Hour, Digest: digest, CreatedAt: created, Version: 1}
	revoked := record(keys.KindKey, "revoked")
	revoked.RevokedAt = created
	for _, r := range []keys.Record{full, client, revoked, record(keys.KindToken, "token")} {
		must(t, s.Insert(ctx, r))
	}
	_, err := s.Take(ctx, acme, daily(1), time.Time{}, 1)
	must(t, err)
	names, err := c.Keys(ctx, "*").Result()
	must(t, err)
	slices.Sort(names)
	if diff := cmp.Diff([]string{
		"claviger:b:3:org:acme",
		"claviger:{5f}:i:client:acme", "claviger:{5f}:o", "claviger:{5f}:r:client",
		"claviger:{dt}:d", "claviger:{dt}:e:token:acme", "claviger:{dt}:i:token:acme", "claviger:{dt}:o", "claviger:{dt}:r:token",
		"claviger:{ly}:o", "claviger:{ly}:r:revoked", "claviger:{ly}:x:key:acme",
		"claviger:{uv}:e:key:acme", "claviger:{uv}:i:key:acme", "claviger:{uv}:o", "claviger:{uv}:r:key",
	}, names); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	const sum = "$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"
	for id, want := range map[string]map[string]string{
		full.ID: {
			"org": "acme", "kind": "key", "label": "a label", "scopes": "a b", "rate": "600", "env": "test", "networks": "10.0.0.0/8 2001:db8::/32",
			"metadata": `{"a":1}`, "createdby": "host:bootstrap", "replaces": "old", "replacedby": "new", "digest": sum, "before": sum,
			"until": "1700000000001", "created": "1700000000001", "expires": "4000000000002", "disabled": "1700000000001", "version": "1:7",
		},
		client.ID: {"org": "acme", "kind": "client", "rate": "1", "life": "3600000", "digest": sum, "created": "1700000000001", "version": "1"},
		revoked.ID: {
			"org": "acme", "kind": "key", "label": "a label", "scopes": "a b", "rate": "600", "digest": sum, "created": "1700000000001",
			"expires": "4000000000002", "revoked": "1700000000001", "version": "1",
		},
		"token": {
			"org": "acme", "kind": "token", "parent": "client of token", "label": "a label", "scopes": "a b", "rate": "600", "digest": sum,
			"created": "1700000000001", "expires": "4000000000002", "version": "1",
		},
	} {
		got, err := c.HGetAll(ctx, redisstore.RecordKey(redisstore.DefaultPrefix, id)).Result()
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}
