package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
	"golang.org/x/time/rate"
)

// A limiter over a Memory, for an API in one process. Two credentials of the
// organization acme have different limits and share its bucket.
func ExampleLimiter() {
	limiter, err := ratelimit.NewLimiter(&ratelimit.Memory{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	partner, trial := ratelimit.MustPerMinute(600), ratelimit.MustPerMinute(4)

	ctx := context.Background()
	now := time.Now() // once a request
	for _, limit := range []ratelimit.Limit{partner, trial, trial, trial, trial} {
		d, err := limiter.TakeAt(ctx, "acme", limit, now, 1)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%3d a minute: admitted %t, %d left\n", limit.Burst(), d.Allowed, d.Remaining)
	}
	// Output:
	// 600 a minute: admitted true, 599 left
	//   4 a minute: admitted true, 2 left
	//   4 a minute: admitted true, 1 left
	//   4 a minute: admitted true, 0 left
	//   4 a minute: admitted false, 0 left
}

// Requests that manage credentials have buckets of their own, so that nobody who
// floods the API keeps its owner from revoking a key.
func ExampleLimiter_In() {
	limiter, err := ratelimit.NewLimiter(&ratelimit.Memory{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	manage, err := limiter.In("manage")
	if err != nil {
		log.Fatal(err)
	}
	ctx, limit := context.Background(), ratelimit.MustPerMinute(1)
	for _, l := range []*ratelimit.Limiter{limiter, limiter, manage} {
		d, err := l.Take(ctx, "acme", limit, 1)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(d.Allowed)
	}
	fmt.Println(limiter.SameBuckets(manage))
	// Output:
	// true
	// false
	// true
	// false
}

// unreachable is a store that is down.
type unreachable struct{}

func (unreachable) Take(context.Context, ratelimit.Bucket, ratelimit.Limit, time.Time, int) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, errors.New("connection refused")
}

// If the store fails, the limiter continues with buckets in the process. The hook
// tells the host, and the Decision says so too.
func ExampleOptions() {
	limiter, err := ratelimit.NewLimiter(unreachable{}, &ratelimit.Options{
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

// Two requests under each policy while the store is down, with a limit of one a
// minute.
func ExampleFailurePolicy() {
	for _, policy := range []ratelimit.FailurePolicy{ratelimit.FallbackLocal, ratelimit.FailClosed, ratelimit.InsecureFailOpen} {
		limiter, err := ratelimit.NewLimiter(unreachable{}, &ratelimit.Options{OnFailure: policy})
		if err != nil {
			log.Fatal(err)
		}
		for range 2 {
			d, err := limiter.Take(context.Background(), "acme", ratelimit.MustPerMinute(1), 1)
			fmt.Println(d.Allowed, err)
		}
	}
	// Output:
	// true <nil>
	// false <nil>
	// false ratelimit: store unavailable: connection refused
	// false ratelimit: store unavailable: connection refused
	// true <nil>
	// true <nil>
}

// A thousand requests an hour, and ten at once.
func ExamplePer() {
	l, err := ratelimit.Per(1000, time.Hour, 10)
	fmt.Println(l.Interval(), l.Burst(), l.Window(), err)

	// Seven do not divide a minute. The cost of a request is rounded up, so that
	// no minute sees more than seven besides the burst.
	l = ratelimit.MustPer(7, time.Minute, 1)
	fmt.Println(l.Interval())

	_, err = ratelimit.Per(0, time.Hour, 10)
	fmt.Println(err)
	// Output:
	// 3.6s 10 36s <nil>
	// 8.571428572s
	// ratelimit: invalid limit: 0 requests in 1h0m0s, want at least 1 and at most one a nanosecond
}

func ExamplePerMinute() {
	l, err := ratelimit.PerMinute(600)
	fmt.Println(l.Interval(), l.Burst(), l.Window(), err)
	fmt.Println(l == ratelimit.MustPer(600, time.Minute, 600))
	// Output:
	// 100ms 600 1m0s <nil>
	// true
}

// A rate in the unit of package rate: five uploads at once, and then one every ten
// seconds.
func ExampleNewLimit() {
	l, err := ratelimit.NewLimit(rate.Every(10*time.Second), 5)
	fmt.Println(l.Interval(), l.Burst(), l.Window(), err)

	_, err = ratelimit.NewLimit(rate.Every(0), 5)
	fmt.Println(errors.Is(err, ratelimit.ErrInvalidLimit))
	// Output:
	// 10s 5 50s <nil>
	// true
}

// The arithmetic by itself. The caller keeps the timestamp of the bucket.
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

// A request that costs more than the burst can never be admitted.
func ExampleLimit_Check() {
	l := ratelimit.MustPerMinute(600)
	fmt.Println(l.Check(600))
	fmt.Println(l.Check(601))
	fmt.Println(ratelimit.Limit{}.Check(1))
	// Output:
	// <nil>
	// ratelimit: cost below one or above the burst
	// ratelimit: invalid limit
}

// A request that costs 4 is refused, 300 ms after another such request.
func ExampleDecision() {
	l := ratelimit.MustPerMinute(6)
	var m ratelimit.Memory
	b := ratelimit.Bucket{Space: "org", Name: "acme"}
	now := time.Now()
	if _, err := m.Take(context.Background(), b, l, now, 4); err != nil {
		log.Fatal(err)
	}
	d, err := m.Take(context.Background(), b, l, now.Add(300*time.Millisecond), 4)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("admitted:", d.Allowed)
	fmt.Println("left:", d.Remaining, "of", d.Limit.Burst())
	fmt.Println("this one again:", d.RetryAfter, d.RetryAfterSeconds())
	fmt.Println("one more left:", d.NextAfter, d.NextAfterSeconds())
	fmt.Println("all left:", d.ResetAfter, d.ResetAfterSeconds())
	// Output:
	// admitted: false
	// left: 2 of 6
	// this one again: 19.7s 20
	// one more left: 9.7s 10
	// all left: 39.7s 40
}

// A Memory is a store, and can be used without a limiter.
func ExampleMemory() {
	var m ratelimit.Memory
	b := ratelimit.Bucket{Space: "addr", Name: ratelimit.AddressName(netip.MustParseAddr("2001:db8::1"))}
	for range 3 {
		d, err := m.Take(context.Background(), b, ratelimit.MustPerMinute(2), time.Now(), 1)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(b.Name, d.Allowed)
	}
	fmt.Println(m.Len())
	// Output:
	// 2001:db8::/64 true
	// 2001:db8::/64 true
	// 2001:db8::/64 false
	// 1
}

// Two wrong passwords a minute. A right one costs nothing, so look first and take
// after a failure.
func ExampleMemory_Peek() {
	var m ratelimit.Memory
	b, l := ratelimit.Bucket{Space: "login", Name: "anna"}, ratelimit.MustPerMinute(2)
	for _, password := range []string{"wrong", "right", "wrong", "right"} {
		now := time.Now()
		d, err := m.Peek(b, l, now, 1)
		if err != nil {
			log.Fatal(err)
		}
		if !d.Allowed {
			fmt.Println("too many failures")
			continue
		}
		fmt.Println(password)
		if password != "right" {
			if _, err := m.Take(context.Background(), b, l, now, 1); err != nil {
				log.Fatal(err)
			}
		}
	}
	// Output:
	// wrong
	// right
	// wrong
	// too many failures
}

// A host that wants idle memory back without any traffic calls Sweep, for example
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

func ExampleBucket_Key() {
	fmt.Println(ratelimit.Bucket{Space: "org", Name: "acme:eu"}.Key())
	fmt.Println(ratelimit.Bucket{Space: "org:acme", Name: "eu"}.Key())
	// Output:
	// 3:org:acme:eu
	// 8:org:acme:eu
}

func ExampleBucket_Validate() {
	fmt.Println(ratelimit.Bucket{Space: "org", Name: "acme"}.Validate())
	fmt.Println(ratelimit.Bucket{Space: "org", Name: "acme\x00"}.Validate())
	// Output:
	// <nil>
	// ratelimit: invalid bucket name
}

func ExampleParseAddress() {
	for _, remote := range []string{"192.0.2.1:4711", "[::ffff:192.0.2.1]:4711", "[2001:db8::1:2:3:4]:4711", "@"} {
		addr, ok := ratelimit.ParseAddress(remote)
		fmt.Println(ratelimit.AddressName(addr), ok)
	}
	// Output:
	// 192.0.2.1 true
	// 192.0.2.1 true
	// 2001:db8::/64 true
	// unknown false
}
