package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// leased returns l as [ratelimit.Leases] gives it to a store: with a shorter window, and
// the same horizon.
func (p *probe) leased(l ratelimit.Limit) ratelimit.Limit {
	var got asked
	leases, err := ratelimit.NewLeases(&got, nil)
	p.ok(err, "NewLeases")
	_, err = leases.Take(p.ctx, p.bucket("leased"), l, time.Now(), 1)
	p.refused(err, errAsked, "Leases.Take")
	return got.limit
}

// An asked is a store that notes the limit that it is asked under.
type asked struct{ limit ratelimit.Limit }

var errAsked = errors.New("storetest: asked")

func (a *asked) Take(_ context.Context, _ ratelimit.Bucket, l ratelimit.Limit, _ time.Time, _ int) (ratelimit.Decision, error) {
	a.limit = l
	return ratelimit.Decision{}, errAsked
}

func takeKeepsToWindow(p *probe, s ratelimit.Store) {
	full := daily(5)
	l := p.leased(full)
	b := p.bucket("a")
	for i := range 4 {
		d := p.admitted(true, s, b, l, 1, fmt.Sprintf("after %d, under a window that is %v shorter,", i, full.Window()-l.Window()))
		if d.Remaining != 3-i || d.Limit != l {
			p.failf("Take under a window that is %v shorter than %d intervals, after %d: Remaining is %d, want %d",
				full.Window()-l.Window(), l.Burst(), i, d.Remaining, 3-i)
		}
	}
	p.admitted(false, s, b, l, 1, fmt.Sprintf("after 4, under a window that is %v shorter,", full.Window()-l.Window()))
	p.takeRefused(s, b, l, 5, ratelimit.ErrCost)
	p.admitted(true, s, b, full, 1, "after 4 under a shorter window,")
	p.admitted(false, s, b, full, 1, "after all of it,")
}

// takeKeepsToHorizon fills a bucket under the full window, so that it is ahead by
// more than the shorter one. Under that it is neither admitted nor pulled in.
func takeKeepsToHorizon(p *probe, s ratelimit.Store) {
	full := ratelimit.MustPer(1000, 10*time.Second, 10_000) // longer than the least horizon
	l := p.leased(full)
	for n := range 3 {
		b := p.bucket(fmt.Sprint(n))
		start := time.Now()
		p.admitted(true, s, b, full, full.Burst(), "when full")
		p.admitted(false, s, b, l, full.Burst()/10, "after all of it, under a shorter window,")
		d := p.take(s, b, full, full.Burst())
		const slack = 10 * time.Millisecond // between the store's clock and ours
		if least := full.Window() - time.Since(start) - slack; d.ResetAfter < least {
			p.failf("after a refusal under a window that is %v shorter, ResetAfter of a bucket of which all was taken is %v, want %v or more",
				full.Window()-l.Window(), d.ResetAfter, least)
		}
	}
}
