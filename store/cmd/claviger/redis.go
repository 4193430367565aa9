package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// A redisServer is a Redis or Valkey server, or a cluster of them.
type redisServer struct {
	*redisstore.Store
	client  redis.UniversalClient
	timeout time.Duration
}

// newRedis returns a server for redis://, rediss:// and unix://, and a cluster if
// the URL names addresses of further nodes: redis://one:6379?addr=two:6379.
func newRedis(text string, c *config, timeout time.Duration) (database, error) {
	client, err := redisClient(text, timeout)
	if err != nil {
		return nil, err
	}
	s, err := redisstore.New(client, &redisstore.Options{Prefix: c.Prefix, Replicas: c.Replicas, Timeout: timeout})
	if err != nil {
		client.Close()
		return nil, usageError("configuration: %v", err)
	}
	return &redisServer{s, client, timeout}, nil
}

func redisClient(text string, timeout time.Duration) (redis.UniversalClient, error) {
	bad := usageError("the URL of the store is not one of Redis; want redis://HOST:6379, rediss:// with TLS, or unix:///SOCKET")
	u, err := url.Parse(text)
	if err != nil {
		return nil, bad
	}
	if u.Query().Has("addr") {
		options, err := redis.ParseClusterURL(text)
		if err != nil {
			return nil, bad
		}
		options.ContextTimeoutEnabled, options.DialTimeout, options.ReadTimeout = true, timeout, timeout
		return redis.NewClusterClient(options), nil
	}
	options, err := redis.ParseURL(text)
	if err != nil {
		return nil, bad
	}
	options.ContextTimeoutEnabled, options.DialTimeout, options.ReadTimeout = true, timeout, timeout
	return redis.NewClient(options), nil
}

// open asks the server nothing: each call of the store finds out whether it is a
// primary.
func (r *redisServer) open(context.Context) (keys.Store, error) { return r.Store, nil }

func (r *redisServer) check(ctx context.Context, limitsAlone bool) error {
	if limitsAlone {
		return r.CheckLimits(ctx)
	}
	return r.Check(ctx)
}

// plan returns no steps: Migrate can run at any time, and the server does not tell
// whether it has run.
func (r *redisServer) plan(context.Context) ([]string, error) { return nil, nil }

func (r *redisServer) migrate(ctx context.Context) error { return r.Migrate(ctx) }

func (r *redisServer) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	info, err := r.client.Info(ctx, "server").Result()
	if err != nil {
		return "", fmt.Errorf("the server does not tell its version: %w", err)
	}
	version := ""
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "valkey_version":
			return "Valkey " + value, nil
		case "redis_version":
			version = "Redis " + value
		}
	}
	return version, nil
}

func (r *redisServer) now(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.client.Time(ctx).Result()
}

// sweepBuckets has nothing to do: the server's buckets expire.
func (r *redisServer) sweepBuckets(context.Context, int) (int, error) { return 0, nil }

func (r *redisServer) close() error { return r.client.Close() }

// severity returns the result for what a store's check found. A server that does not
// tell its settings may have the right ones, so that is a warning.
func severity(err error) string {
	if errors.Is(err, redisstore.ErrNotTold) {
		return warning
	}
	return wrong
}
