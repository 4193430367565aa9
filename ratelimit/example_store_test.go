package ratelimit_test

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A mapStore is a store in a few lines. It keeps one integer for each bucket, and
// reads, computes and writes it in one atomic step. A store over a database does
// the same in a statement or a script, by the clock of the database.
type mapStore struct {
	mu      sync.Mutex
	buckets map[ratelimit.Bucket]int64
}

func (s *mapStore) Take(_ context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, d, err := l.Take(s.buckets[b], now.UnixNano(), n)
	if err != nil {
		return ratelimit.Decision{}, err
	}
	s.buckets[b] = next // after a refusal, too
	return d, nil
}

func ExampleStore() {
	limiter, err := ratelimit.NewLimiter(&mapStore{buckets: make(map[ratelimit.Bucket]int64)}, nil)
	if err != nil {
		log.Fatal(err)
	}
	d, err := limiter.Take(context.Background(), "acme", ratelimit.MustPerMinute(600), 600)
	fmt.Println(d.Allowed, d.Remaining, err)
	// Output: true 0 <nil>
}
