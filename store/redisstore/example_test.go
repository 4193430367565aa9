package redisstore_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// A host guards its routes by credentials and limits that all its processes
// share.
func Example() {
	client := redis.NewClient(&redis.Options{
		Addr:                  "redis.internal:6379",
		ContextTimeoutEnabled: true,
		DialTimeout:           500 * time.Millisecond,
	})
	defer client.Close()
	s, err := redisstore.New(client, &redisstore.Options{Prefix: "shop", Timeout: 500 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		panic(err)
	}
	limiter, err := ratelimit.NewLimiter(s, &ratelimit.Options{
		Hook: func(ctx context.Context, b ratelimit.Bucket, err error) {
			slog.WarnContext(ctx, "limits are local for now", "bucket", b.Name, "error", err)
		},
	})
	if err != nil {
		panic(err)
	}
	guard, err := middleware.NewGuard(manager.Verifier(), limiter, nil)
	if err != nil {
		panic(err)
	}
	http.Handle("GET /orders", guard.Require("orders:read")(http.NotFoundHandler()))
}

// A host that keeps the limits of its organizations in Redis, and its records
// elsewhere, can do with a server that forgets when it is restarted. It must not
// evict all the same.
func ExampleStore_Check() {
	client := redis.NewClient(&redis.Options{Addr: "redis.internal:6379", ContextTimeoutEnabled: true})
	defer client.Close()
	s, err := redisstore.New(client, nil)
	if err != nil {
		panic(err)
	}
	err = s.Check(context.Background())
	if errors.Is(err, redisstore.ErrEvicts) || errors.Is(err, redisstore.ErrNotPrimary) {
		panic(err)
	}
}
