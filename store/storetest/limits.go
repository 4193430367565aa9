package storetest

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"

	"github.com/claviger-auth/claviger/ratelimit"
)

const (
	admits   = "take-admits-the-burst"
	charges  = "take-charges-the-cost"
	free     = "take-refuses-for-free"
	reports  = "take-reports-remaining"
	times    = "take-reports-times"
	nanos    = "take-keeps-nanoseconds"
	isolates = "take-isolates-buckets"
	shares   = "take-shares-between-limits"
	remember = "take-forgets-no-debt"
	lasts    = "take-keeps-debt-while-it-lasts"
	window   = "take-keeps-to-the-window"
)

// limitClauses are the clauses of [ratelimit.Store]. Stores may decide by a clock
// that the kit does not see. So nearly all clauses take under limits that give back
// one request a day, and do not depend on how long the kit takes. Three wait for
// real time to pass, and only check what is true however long that took.
var limitClauses = []clause[ratelimit.Store]{
	rule(admits,
		"A bucket that was never used is full: it admits the burst, and then refuses. A refusal is not an error.",
		takeAdmitsBurst),
	rule(charges,
		"A request that costs n takes n, or is refused if the bucket has less.",
		takeChargesCost, admits),
	rule(free,
		"A request that is refused takes nothing, however often it is repeated. Clients that keep "+
			"trying must not be locked out for longer.",
		takeRefusesForFree, charges),
	rule("take-reports-the-limit",
		"The Decision has the limit of the call, and leaves Fallback unset, which is for a Limiter to set.",
		takeReportsLimit, admits),
	rule(reports,
		"Remaining is the number of requests that the bucket would still admit, after this one was paid for. "+
			"It is never negative and never above the burst.",
		takeReportsRemaining, free, charges),
	rule(times,
		"RetryAfter is 0 if the request was admitted, otherwise the time until it would be. NextAfter is the time until "+
			"Remaining grows by one, and ResetAfter the time until the bucket is full. All are durations: "+
			"seconds or milliseconds are off by a power of ten.",
		takeReportsTimes, free),
	rule("take-agrees-with-the-limit",
		"The Decision is the one that Limit.Take returns, in every field and to the nanosecond. A store that computes "+
			"by itself, or that rounds, tells clients to come back too early or shows a quota that is not there.",
		takeAgreesWithLimit, times, reports, "take-reports-the-limit"),
	rule(nanos,
		"The timestamp of a bucket is kept in whole nanoseconds. If it is rounded down, to milliseconds for example, "+
			"every request gives some quota back, and under a limit of thousands a second all of it.",
		takeKeepsNanoseconds, times),
	rule("take-checks-the-cost",
		"A cost that is below one or above the burst fails with an error that wraps ErrCost and with the zero "+
			"Decision, and takes nothing. A negative cost would fill the bucket.",
		takeChecksCost, charges),
	rule("take-checks-the-limit",
		"The zero Limit fails with an error that wraps ErrInvalidLimit and with the zero Decision. It never means unlimited.",
		takeChecksLimit, admits),
	rule(isolates,
		"Buckets are the same only if both strings are equal, byte by byte, up to 255 bytes at least. Strings that are "+
			"joined with a separator, cut or folded meet, and then one organization pays for another.",
		takeIsolatesBuckets, admits),
	rule(shares,
		"Calls with other limits draw on the same bucket, each by fractions of its own window. "+
			"A bucket for each limit would double what an organization may do with a second key.",
		takeSharesBetweenLimits, free, charges),
	rule("take-writes-refusals",
		"What Limit.Take returns as next is written even if the request is refused. A timestamp beyond the horizon "+
			"is pulled in that way. Otherwise a clock that was set back would lock clients out until it has caught up.",
		takeWritesRefusals, shares),
	rule(remember,
		"A bucket that is not full is not forgotten, however many other buckets come. Forgetting gives quota back.",
		takeForgetsNoDebt, isolates),
	rule(lasts,
		"A bucket is kept until it is full, whatever limits it is asked under meanwhile. If it expires earlier, "+
			"clients get quota back by waiting for that.",
		takeKeepsDebt, remember, shares),
	rule(window,
		"A bucket admits what Limit.Window has room for. Leases ask stores under limits with a window that is shorter than the burst "+
			"times the interval. A store that multiplies by itself lets them exceed the limit.",
		takeKeepsToWindow, charges, shares, "take-agrees-with-the-limit"),
	rule("take-keeps-to-the-horizon",
		"A bucket's timestamp is pulled in only if it is beyond Limit.Horizon, which is not shorter where the window is. Otherwise "+
			"a process that leases forgives the debt of those that do not.",
		takeKeepsToHorizon, window, "take-writes-refusals", lasts, nanos),
	rule("take-refills",
		"A request that was refused is admitted once RetryAfter is over.",
		takeRefills, nanos),
	rule("take-keeps-the-rate",
		"Over any span of time a bucket admits at most the burst plus the rate times the span.",
		takeKeepsRate, nanos, lasts),
	rule("take-with-ended-context",
		"With a context that has ended a store decides all the same, or fails with the zero Decision and "+
			"an error that does not blame the limit, the cost or the bucket. It never admits more than the burst.",
		takeWithEndedContext, admits),
	rule("concurrent-takes-admit-the-burst",
		"Take is one atomic step: calls at the same time admit exactly the burst together. Reading first and "+
			"writing then breaks this.",
		concurrentTakes, admits),
}

// day is what one request costs under the limits of most clauses.
const day = 24 * time.Hour

// daily returns the limit of one request a day with bursts of n.
func daily(n int) ratelimit.Limit { return mustLimit(1.0/86400, n) }

func mustLimit(perSecond float64, burst int) ratelimit.Limit {
	l, err := ratelimit.NewLimit(rate.Limit(perSecond), burst)
	if err != nil {
		panic(err)
	}
	return l
}

// bucket returns a bucket of the clause's own.
func (p *probe) bucket(name string) ratelimit.Bucket {
	return ratelimit.Bucket{Space: "org", Name: p.clause + "." + name}
}

// take takes n requests and fails on an error.
func (p *probe) take(s ratelimit.Store, b ratelimit.Bucket, l ratelimit.Limit, n int) ratelimit.Decision {
	d, err := s.Take(p.ctx, b, l, time.Now(), n)
	p.ok(err, "Take of %d from %+q", n, b)
	return d
}

// admitted takes n requests and fails unless they were admitted, or refused, as
// wanted.
func (p *probe) admitted(want bool, s ratelimit.Store, b ratelimit.Bucket, l ratelimit.Limit, n int, when string) ratelimit.Decision {
	d := p.take(s, b, l, n)
	if d.Allowed != want {
		p.failf("Take of %d from a bucket of %d, %s: Allowed is %t, want %t", n, l.Burst(), when, d.Allowed, want)
	}
	return d
}

func takeAdmitsBurst(p *probe, s ratelimit.Store) {
	for _, burst := range []int{1, 2, 5, 60} {
		b, l := p.bucket(fmt.Sprint(burst)), daily(burst)
		for i := range burst {
			p.admitted(true, s, b, l, 1, fmt.Sprintf("after %d", i))
		}
		p.admitted(false, s, b, l, 1, "after all of it")
	}
}

func takeChargesCost(p *probe, s ratelimit.Store) {
	b, l := p.bucket("a"), daily(10)
	p.admitted(true, s, b, l, 4, "when full")
	p.admitted(true, s, b, l, 6, "after 4")
	p.admitted(false, s, b, l, 1, "after all of it")
	p.admitted(true, s, p.bucket("b"), l, 10, "when full")
	p.admitted(false, s, p.bucket("b"), l, 1, "after all of it")
	p.admitted(true, s, p.bucket("c"), l, 7, "when full")
	p.admitted(false, s, p.bucket("c"), l, 4, "after 7")
}

func takeRefusesForFree(p *probe, s ratelimit.Store) {
	b, l := p.bucket("a"), daily(5)
	p.admitted(true, s, b, l, 3, "when full")
	for range 20 {
		p.admitted(false, s, b, l, 3, "after 3")
	}
	p.admitted(true, s, b, l, 2, "after 3 and many refusals")
	first := p.take(s, b, l, 1)
	for range 20 {
		if d := p.take(s, b, l, 1); d.RetryAfter > first.RetryAfter {
			p.failf("RetryAfter grew from %v to %v while requests were refused", first.RetryAfter, d.RetryAfter)
		}
	}
}

func takeReportsLimit(p *probe, s ratelimit.Store) {
	b, l := p.bucket("a"), daily(2)
	for range 3 { // the last of which is refused
		if d := p.take(s, b, l, 1); d.Limit != l || d.Fallback {
			p.failf("Take under %+v: Limit is %+v and Fallback %t, want the same and false", l, d.Limit, d.Fallback)
		}
	}
}

func takeReportsRemaining(p *probe, s ratelimit.Store) {
	b, l := p.bucket("a"), daily(6)
	left := 6
	for _, n := range []int{1, 2, 4, 1, 2, 1, 1, 1} {
		d := p.take(s, b, l, n)
		if d.Allowed {
			left -= n
		}
		if d.Remaining != left {
			p.failf("Take of %d, Allowed %t: Remaining is %d, want %d", n, d.Allowed, d.Remaining, left)
		}
	}
}

func takeReportsTimes(p *probe, s ratelimit.Store) {
	const slack = time.Second // between the store's clock and ours
	b, l := p.bucket("a"), daily(3)
	start := time.Now()
	check := func(name string, got, want time.Duration) {
		if least := want - time.Since(start) - slack; got > want || got < least {
			p.failf("%s is %v, want %v or, for the time that has passed, a little less", name, got, want)
		}
	}
	for i := range 3 {
		d := p.take(s, b, l, 1)
		if d.RetryAfter != 0 {
			p.failf("RetryAfter of a request that was admitted is %v, want 0", d.RetryAfter)
		}
		check(fmt.Sprintf("NextAfter after %d requests, each of which costs a day,", i+1), d.NextAfter, day)
		check(fmt.Sprintf("ResetAfter after %d requests, each of which costs a day,", i+1), d.ResetAfter, time.Duration(i+1)*day)
	}
	for n := 1; n <= 3; n++ {
		d := p.take(s, b, l, n)
		check(fmt.Sprintf("RetryAfter of %d requests from an empty bucket, each of which costs a day,", n), d.RetryAfter, time.Duration(n)*day)
		check("NextAfter of an empty bucket, under a limit of one request a day,", d.NextAfter, day)
		check("ResetAfter of an empty bucket of 3 requests, each of which costs a day,", d.ResetAfter, 3*day)
	}
}

// takeAgreesWithLimit needs no clock: ResetAfter is how far the bucket is ahead of
// the store's, and the rest of the Decision follows from it.
func takeAgreesWithLimit(p *probe, s ratelimit.Store) {
	for i, limits := range [][]ratelimit.Limit{
		{daily(6), mustLimit(1.0/86400/2, 3), daily(6)}, // of one window, by days and by two days
		{ratelimit.MustPerMinute(7)},                    // rounded
		{ratelimit.MustPer(10_000, day, 3)},
		{ratelimit.MustPer(1, day+123456789*time.Nanosecond, 5), ratelimit.MustPer(5, 5*(day+123456789*time.Nanosecond), 5)},
	} {
		b := p.bucket(fmt.Sprint(i))
		for step := range 12 {
			l := limits[step%len(limits)]
			n := 1 + step%2
			d := p.take(s, b, l, n)
			lead := d.ResetAfter
			if d.Allowed {
				lead -= time.Duration(n) * l.Interval()
			}
			_, want, err := l.Take(int64(lead), 0, n)
			p.ok(err, "Limit.Take")
			if d != want {
				p.failf("Take of %d under one request in %v and bursts of %d returned\n\t%s\nwant, for that ResetAfter,\n\t%s",
					n, l.Interval(), l.Burst(), quoteDecision(d), quoteDecision(want))
			}
		}
	}
}

func quoteDecision(d ratelimit.Decision) string {
	return fmt.Sprintf("Allowed %t, Remaining %d, RetryAfter %v, NextAfter %v, ResetAfter %v", d.Allowed, d.Remaining, d.RetryAfter, d.NextAfter, d.ResetAfter)
}

// takeKeepsNanoseconds adds up what is lost, or charged too much, when the
// timestamp is rounded. Rounded to milliseconds, that is 80 ms or more.
func takeKeepsNanoseconds(p *probe, s ratelimit.Store) {
	const (
		takes    = 200
		interval = time.Hour + 400*time.Microsecond
		slack    = 10 * time.Millisecond // between the store's clock and ours
	)
	b, l := p.bucket("a"), ratelimit.MustPer(1, interval, takes)
	var d ratelimit.Decision
	start := time.Now()
	for i := range takes {
		d = p.admitted(true, s, b, l, 1, fmt.Sprintf("after %d", i))
	}
	passed := time.Since(start)
	if most := takes * interval; d.ResetAfter > most || d.ResetAfter < most-passed-slack {
		p.failf("ResetAfter after %d requests, each of which costs %v, is %v, want %v or, for the %v that have passed, a little less",
			takes, interval, d.ResetAfter, most, passed)
	}
	p.keepsFractions(s)
}

// keepsFractions finds timestamps that are rounded to microseconds in a database
// whose clock counts in microseconds. From what two requests leave in a bucket
// follows how much time passed between them. It is in whole microseconds there if
// the timestamp is exact, otherwise it has the fraction of the interval each time.
// By a clock that counts in nanoseconds the fractions differ, and tell nothing.
func (p *probe) keepsFractions(s ratelimit.Store) {
	const (
		pairs    = 20
		interval = time.Hour + 333
	)
	l := ratelimit.MustPer(1, interval, 2)
	for i := range pairs {
		b := p.bucket(fmt.Sprint("pair ", i))
		one, two := p.admitted(true, s, b, l, 1, "when full"), p.admitted(true, s, b, l, 1, "after one")
		passed := one.ResetAfter + interval - two.ResetAfter
		if (passed-interval)%time.Microsecond != 0 {
			return
		}
	}
	p.failf("a second request, which costs %v, moved ResetAfter by whole microseconds, in each of %d buckets: the timestamp is rounded", interval, pairs)
}

// takeRefused fails unless a call fails with an error that wraps want.
func (p *probe) takeRefused(s ratelimit.Store, b ratelimit.Bucket, l ratelimit.Limit, n int, want error) {
	d, err := s.Take(p.ctx, b, l, time.Now(), n)
	p.refused(err, want, "Take of %d under a limit with a burst of %d", n, l.Burst())
	if d != (ratelimit.Decision{}) {
		p.failf("Take of %d failed, and returned the Decision %+v, want the zero one", n, d)
	}
}

func takeChecksCost(p *probe, s ratelimit.Store) {
	b, l := p.bucket("a"), daily(3)
	p.admitted(true, s, b, l, 1, "when full")
	for _, n := range []int{0, -1, math.MinInt / 2, 4, math.MaxInt/2 + 1} {
		p.takeRefused(s, b, l, n, ratelimit.ErrCost)
	}
	p.admitted(true, s, b, l, 2, "after 1 and costs that are none")
	p.takeRefused(s, b, l, -3, ratelimit.ErrCost)
	p.admitted(false, s, b, l, 1, "after all of it and costs that are none")
}

func takeChecksLimit(p *probe, s ratelimit.Store) {
	b := p.bucket("a")
	for range 3 {
		p.takeRefused(s, b, ratelimit.Limit{}, 1, ratelimit.ErrInvalidLimit)
	}
	p.admitted(true, s, b, daily(1), 1, "after calls with the zero Limit")
}

// errBlame are the errors that say that the caller is wrong.
var errBlame = []error{ratelimit.ErrInvalidLimit, ratelimit.ErrCost, ratelimit.ErrBucket}

// blames reports whether err is one of the errors that say so.
func blames(err error) bool {
	for _, blame := range errBlame {
		if errors.Is(err, blame) {
			return true
		}
	}
	return false
}
