package main

import (
	"cmp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// An admission is a request that was admitted: when it was sent, and when the answer
// was there. It cost n.
type admission struct {
	from, to time.Duration
	n        int
}

// over returns by how many requests the most was exceeded that a limit admits: in
// any span of time, its burst and what its rate gives in that time. A request counts
// for a span if all of it lies within.
func over(all []admission, l ratelimit.Limit) (worst int) {
	slices.SortFunc(all, func(a, b admission) int { return cmp.Compare(a.to, b.to) })
	begins := make([]time.Duration, 0, len(all))
	for i := 0; i < len(all); i += 1 + len(all)/500 {
		begins = append(begins, all[i].from)
	}
	for _, begin := range begins {
		n := 0
		for _, a := range all {
			if a.from >= begin {
				n += a.n
				worst = max(worst, n-l.Burst()-int((a.to-begin)/l.Interval()+1))
			}
		}
	}
	return worst
}

// TestNodesQuota sends twice as many requests as an organization may make, to three
// processes. Not one too many is admitted, hardly any of the quota lies idle, and
// few requests ask the store.
func TestNodesQuota(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes three seconds")
	}
	t.Parallel()
	const perMinute = 12_000
	for _, tt := range someStores() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dsn, _ := tt.open(t)
			f := startFleet(t, dsn)
			limit := ratelimit.MustPerMinute(perMinute)
			s := &subject{text: f.key("globex", perMinute).Text.Reveal(), path: anyone}
			for _, n := range f.nodes {
				if status := f.use(n, s); status != 200 {
					t.Fatal(status)
				}
			}
			all := f.drain(t, "globex", limit)
			begin, end := f.now(), f.now()+3*time.Second
			if *endings > 0 {
				end = begin + 30*time.Second
			}
			var mu sync.Mutex
			sent, admitted := 0, 0
			var users sync.WaitGroup
			for i := range 24 {
				users.Go(func() {
					n, pause := f.nodes[i%len(f.nodes)], 24*limit.Interval()/2
					tick := time.NewTicker(pause)
					defer tick.Stop()
					for f.now() < end {
						<-tick.C
						from := f.now()
						status := f.use(n, s)
						mu.Lock()
						switch sent++; status {
						case 200:
							admitted++
							all = append(all, admission{from, f.now(), 1})
						case 429:
						default:
							t.Errorf("%d", status)
						}
						mu.Unlock()
					}
				})
			}
			users.Wait()
			span := f.now() - begin
			sum := f.stop()
			quota := int(span / limit.Interval())
			t.Logf("%d sent and %d admitted, of a quota of %d in %v; %v", sent, admitted, quota, span, sum)
			if n := over(all, limit); n > 0 {
				t.Errorf("%d requests too many were admitted", n)
			}
			if sent < quota*3/2 {
				t.Logf("the machine was too slow to send twice the limit")
				return
			}
			if admitted*4 < quota*3 { // about 95 in 100 on a machine that is not busy
				t.Errorf("%d were admitted of a quota of %d", admitted, quota)
			}
			if sum["trips"]*20 > sent {
				t.Errorf("%d trips for %d requests", sum["trips"], sent)
			}
		})
	}
}

// drain takes all that an organization has left, as another process with leases
// would.
func (f *fleet) drain(t *testing.T, org string, l ratelimit.Limit) (all []admission) {
	t.Helper()
	leases, err := ratelimit.NewLeases(f.limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := l.Burst() / 10; n > 0; {
		from := f.now()
		d, err := leases.Take(t.Context(), ratelimit.Bucket{Space: "org", Name: org}, l, time.Now(), n)
		switch {
		case err != nil:
			t.Fatal(err)
		case d.Allowed:
			all = append(all, admission{from, f.now(), n})
		default:
			n /= 2
		}
	}
	return all
}
