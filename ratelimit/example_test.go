package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
	"golang.org/x/time/rate"
)

// A limiter over a Memory, for an API of one process. Two credentials of the
// organization acme have different figures and share its bucket.
func ExampleLimiter() {
	limiter, err := ratelimit.NewLimiter(&ratelimit.Memory{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	partner, err := ratelimit.PerMinute(600)
	if err != nil {
		log.Fatal(err)
	}
	trial := ratelimit.MustPerMinute(4)

	ctx := context.Background()
	now := time.Now() // once a request
	for _, limit := range []ratelimit.Limit{partner, trial, trial, trial, trial} {
		d, err := limiter.TakeAt(ctx, "acme", limit, now, 1)
		if err != nil {
			log.Fatal(err)
		}
		if d.Allowed {
			fmt.Printf("%3d a minute: admitted, %d left\n", limit.Burst(), d.Remaining)
		} else {
			fmt.Printf("%3d a minute: refused, Retry-After: %d\n", limit.Burst(), d.RetryAfterSeconds())
		}
	}
	// Output:
	// 600 a minute: admitted, 599 left
	//   4 a minute: admitted, 2 left
	//   4 a minute: admitted, 1 left
	//   4 a minute: admitted, 0 left
	//   4 a minute: refused, Retry-After: 1
}

// What happens when the store fails is up to the host.
func ExampleOptions() {
	store := storeFunc(func(context.Context, ratelimit.Bucket, ratelimit.Limit, time.Time, int) (ratelimit.Decision, error) {
		return ratelimit.Decision{}, errors.New("connection refused")
	})
	limiter, err := ratelimit.NewLimiter(store, &ratelimit.Options{
		OnFailure: ratelimit.FallbackLocal,
		Timeout:   100 * time.Millisecond,
		Hook: func(_ context.Context, b ratelimit.Bucket, err error) {
			fmt.Printf("%s %s: %v\n", b.Space, b.Name, err)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	d, err := limiter.Take(context.Background(), "acme", ratelimit.MustPerMinute(600), 1)
	fmt.Println(d.Allowed, d.Fallback, err)
	fmt.Println(limiter.Failures())
	// Output:
	// org acme: connection refused
	// true true <nil>
	// 1
}

// Limits other than a number of requests a minute: five uploads at once, and
// then one every ten seconds.
func ExampleNewLimit() {
	l, err := ratelimit.NewLimit(rate.Every(10*time.Second), 5)
	fmt.Println(l.Interval(), l.Burst(), l.Window(), err)

	_, err = ratelimit.NewLimit(rate.Every(0), 5)
	fmt.Println(errors.Is(err, ratelimit.ErrInvalidLimit))
	// Output:
	// 10s 5 50s <nil>
	// true
}

// The arithmetic by itself, with the timestamp in the caller's hands.
func ExampleLimit_Take() {
	l := ratelimit.MustPerMinute(2)
	now := time.Now()
	var tat int64 // never used
	for range 3 {
		next, d, err := l.Take(tat, now.UnixNano(), 1)
		if err != nil {
			log.Fatal(err)
		}
		tat = next
		fmt.Println(d.Allowed, d.Remaining, d.RetryAfter, d.ResetAfter)
	}
	// Output:
	// true 1 0s 30s
	// true 0 0s 1m0s
	// false 0 30s 1m0s
}

// Hosts that want idle memory back without any traffic call Sweep, for example
// on a ticker.
func ExampleMemory_Sweep() {
	var m ratelimit.Memory
	l := ratelimit.MustPerMinute(600)
	now := time.Now()
	for _, name := range []string{"acme", "globex", "initech"} {
		if _, err := m.Take(context.Background(), ratelimit.Bucket{Space: "org", Name: name}, l, now, 6); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(m.Sweep(now.Add(500*time.Millisecond)), m.Len())
	fmt.Println(m.Sweep(now.Add(600*time.Millisecond)), m.Len())
	// Output:
	// 0 3
	// 3 0
}

// mapStore is a store in a few lines: one integer for a bucket, read, computed
// and written in one atomic step. A store over a database does the same in a
// statement or a script, by the clock of the database.
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
	s.buckets[b] = next // when refused, too
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

func ExampleBucket_Key() {
	fmt.Println(ratelimit.Bucket{Space: "org", Name: "acme"}.Key())
	fmt.Println(ratelimit.Bucket{Space: "org:acme", Name: ""}.Key())
	// Output:
	// 3:org:acme
	// 8:org:acme:
}
