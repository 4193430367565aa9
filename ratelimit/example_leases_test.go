package ratelimit_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// Two processes share a store, which each would ask for every request without
// leases. With leases they ask for a few. No limit is exceeded: of a full bucket of
// 600 an hour, they admit 599 at once.
func ExampleLeases() {
	shared := &mapStore{buckets: make(map[ratelimit.Bucket]int64)} // a database, say
	var processes []*ratelimit.Limiter
	var all []*ratelimit.Leases
	for range 2 {
		leases, err := ratelimit.NewLeases(shared, nil)
		if err != nil {
			log.Fatal(err)
		}
		limiter, err := ratelimit.NewLimiter(leases, nil)
		if err != nil {
			log.Fatal(err)
		}
		processes, all = append(processes, limiter), append(all, leases)
	}

	ctx, limit := context.Background(), ratelimit.MustPer(600, time.Hour, 600)
	admitted := 0
	for i := range 10_000 {
		d, err := processes[i%2].Take(ctx, "acme", limit, 1)
		if err != nil {
			log.Fatal(err)
		}
		if d.Allowed {
			admitted++
		}
	}
	fmt.Println("at most 599 are admitted:", admitted <= 599)
	fmt.Println("at least 500 are:", admitted >= 500)
	trips := all[0].Stats().Trips + all[1].Stats().Trips
	fmt.Println("in less than 200 trips:", trips < 200)
	// Output:
	// at most 599 are admitted: true
	// at least 500 are: true
	// in less than 200 trips: true
}

// Nothing is taken in advance in the spaces that Direct names. If Direct is nil, that
// is the space "manage" alone. Name a space of your own there if its limits are small.
func ExampleLeasesOptions() {
	shared := &mapStore{buckets: make(map[ratelimit.Bucket]int64)}
	leases, err := ratelimit.NewLeases(shared, &ratelimit.LeasesOptions{Direct: []string{"manage", "signup"}})
	if err != nil {
		log.Fatal(err)
	}
	signup := ratelimit.Bucket{Space: "signup", Name: "192.0.2.1"}
	for range 3 {
		d, err := leases.Take(context.Background(), signup, ratelimit.MustPerMinute(20), time.Now(), 1)
		fmt.Println(d.Allowed, d.Remaining, err)
	}
	fmt.Println(leases.Stats().Trips, "trips")
	// Output:
	// true 19 <nil>
	// true 18 <nil>
	// true 17 <nil>
	// 3 trips
}
