package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// exampleClient returns a client of the server of these tests. Hosts have a line
// such as
//
//	redis.NewClient(&redis.Options{Addr: "redis.internal:6379", ContextTimeoutEnabled: true})
func exampleClient() *redis.Client {
	s, err := durable()
	if err != nil {
		panic(err)
	}
	return redis.NewClient(settings(s.Socket))
}

// A host keeps its credentials and its limits in Redis, where all its processes
// share them.
func Example() {
	ctx := context.Background()
	client := exampleClient()
	defer client.Close()
	s, err := redisstore.New(client, &redisstore.Options{Prefix: "shop", Timeout: 5 * time.Second})
	if err != nil {
		panic(err)
	}
	if err := s.Check(ctx); err != nil {
		panic(err)
	}
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		panic(err)
	}
	key, err := manager.Create(ctx, "acme", keys.Spec{Label: "orders"})
	if err != nil {
		panic(err)
	}
	p, err := manager.Verifier().VerifyAt(ctx, key.Text.Reveal(), time.Now())
	fmt.Println(p.Org, p.Label, err)

	limiter, err := ratelimit.NewLimiter(s, nil)
	if err != nil {
		panic(err)
	}
	for range 3 {
		d, err := limiter.Take(ctx, "acme", ratelimit.MustPerMinute(2), 1)
		fmt.Println(d.Allowed, err)
	}
	// Output:
	// acme orders <nil>
	// true <nil>
	// true <nil>
	// false <nil>
}

// A host keeps its limits in Redis, and its records elsewhere. A server that
// forgets all when it is restarted will do, and one that does not tell how it is
// set up has to be believed.
func ExampleStore_CheckLimits() {
	client := exampleClient()
	defer client.Close()
	s, err := redisstore.New(client, nil)
	if err != nil {
		panic(err)
	}
	if err := s.CheckLimits(context.Background()); err != nil && !errors.Is(err, redisstore.ErrNotTold) {
		panic(err)
	}
	fmt.Println("good for limits")
	// Output: good for limits
}

// A host accepts that a machine that loses power takes the last second with it,
// and nothing else that Check finds.
func ExampleStore_Check() {
	client := exampleClient()
	defer client.Close()
	s, err := redisstore.New(client, nil)
	if err != nil {
		panic(err)
	}
	err = s.Check(context.Background())
	for _, other := range []error{redisstore.ErrNotPrimary, redisstore.ErrEvicts, redisstore.ErrReplicas, redisstore.ErrNotTold} {
		if errors.Is(err, other) {
			panic(err)
		}
	}
	if err != nil && !errors.Is(err, redisstore.ErrNotDurable) {
		panic(err) // the server does not answer
	}
	fmt.Println("good enough")
	// Output: good enough
}
