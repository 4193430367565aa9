package ratelimit

import "time"

// An account is what is known here of one bucket of the store, and what has been
// taken from it in advance. The lock of its shard guards it.
type account struct {
	leases [2]lease // the older one first

	// ahead is how far the bucket was ahead of the store's clock after the last
	// answer, in nanoseconds. The answer is to an ask that was sent after asked,
	// and was there at answered. If known is false, there was no answer yet.
	ahead    int64
	asked    instant
	answered instant
	known    bool

	// spent is what was spent since counted, and before is about what was spent
	// in the leaseLife before that.
	spent, before int64
	counted       instant

	// trip is the trip to the store that is under way, if any. Others wait for
	// it, whose requests cost waiting together.
	trip    *trip
	waiting int64

	used instant // when the last trip began
}

// A charge is a request as an account sees it.
type charge struct {
	limit  Limit
	n      int
	cost   int64 // n times the interval
	window int64 // under which the store is asked, see leaseWindow
}

// pay pays for a request from leases that suffice, the older one first.
func (a *account) pay(c *charge) {
	owed := c.cost
	for i := range a.leases {
		if p := &a.leases[i]; p.window <= c.window {
			part := min(p.left, owed)
			p.left -= part
			owed -= part
		}
	}
	a.spent += c.cost
}

// left returns what the leases hold that can pay for a request. It drops those that
// are too old.
func (a *account) left(c *charge, now instant) (sum int64) {
	for i := range a.leases {
		p := &a.leases[i]
		if p.left > 0 && now.since(p.from) >= leaseLife {
			p.left = 0
		}
		if p.window <= c.window {
			sum += p.left
		}
	}
	return sum
}

// keep adds a lease. If there are two already, the older one is lost: quota that
// was paid for, and that nobody can use.
func (a *account) keep(p lease) {
	if a.leases[1].left > 0 {
		a.leases[0] = a.leases[1]
	}
	a.leases[1] = p
}

// wait returns for how long the store need not be asked for a request, or 0 or less
// if it must be.
//
// The store refuses while the bucket is ahead too far. It was ahead by a.ahead when
// it gave its last answer, which was after a.asked, and comes nearer by a nanosecond
// each nanosecond. Whatever is taken meanwhile only moves it on. So this is true for
// requests of all costs and under all limits. It is not relied on for longer than
// leaseTerm, since somebody may have reset the bucket.
//
// If less than leaseTerm was left, the store is asked only three times in that time.
// Else nearly each request would be a trip to an empty bucket, and most of them for
// nothing. The exception is a request for which the store has been asked already,
// for more than the request alone.
func (a *account) wait(c *charge, now instant, urgent bool) int64 {
	passed := max(now.since(a.asked), 0)
	if !a.known || passed >= leaseTerm {
		return 0
	}
	wait := a.ahead - passed + c.cost - c.window
	if a.ahead > c.window-leaseTerm && !urgent {
		wait = max(wait, leaseTerm/3-passed)
	}
	return wait
}

// decide decides a request by what is known here, and fills d. It reports false if
// the store must be asked.
func (a *account) decide(c *charge, now instant, urgent bool, d *Decision) bool {
	left := a.left(c, now)
	if left >= c.cost {
		a.pay(c)
		d.Allowed = true
		a.fill(c, now, left-c.cost, d)
		return true
	}
	wait := a.wait(c, now, urgent)
	if wait <= 0 {
		return false
	}
	a.refuse(c, now, wait, left, d)
	return true
}

// refuse fills d, which refuses. RetryAfter is at least wait. It is longer by up to
// the duration of the last trip, so that nobody is told to come too early.
func (a *account) refuse(c *charge, now instant, wait, left int64, d *Decision) {
	exact := a.ahead - max(now.since(a.answered), 0) + c.cost - c.window
	d.RetryAfter = time.Duration(max(wait, exact))
	a.fill(c, now, left, d)
	if d.Remaining == c.n-1 {
		d.NextAfter = d.RetryAfter
	}
}

// fill fills all fields of d but those that say whether the request was admitted.
// They are what is known here: what others have taken since the last answer is
// missing. The leases hold left, see account.left.
func (a *account) fill(c *charge, now instant, left int64, d *Decision) {
	ahead := max(a.ahead-max(now.since(a.answered), 0), 0)
	left += c.window - ahead
	interval := c.limit.interval
	if left > 0 {
		whole := left / interval
		d.Remaining = int(whole)
		left -= whole * interval
	}
	d.NextAfter = time.Duration(interval - left)
	d.ResetAfter = time.Duration(ahead)
	sane(d, &c.limit, c.n)
}

// recent returns about how much was spent in the last leaseLife, which is what a
// new lease can be expected to be good for.
func (a *account) recent(now instant) int64 {
	age := now.since(a.counted)
	if age >= leaseLife {
		a.before = int64(float64(a.spent) * float64(leaseLife) / float64(age))
		a.spent, a.counted, age = 0, now, 0
	}
	gone := float64(max(age, 0)) / float64(leaseLife)
	return a.spent + a.before - int64(float64(a.before)*gone)
}

// ask returns how many requests the store is asked for, at once, on behalf of one
// request and all that wait. It is what was spent lately, but at most a quarter of
// what was left at the last answer, since others want some of it too. It is at least
// what is wanted now, unless more is wanted than there can be: the store gives all
// or nothing. In its third try, a request asks for itself alone.
func (a *account) ask(c *charge, now instant, try int) int {
	recent := a.recent(now)
	if try >= 2 {
		return c.n
	}
	amount := c.cost + a.waiting
	most := c.window
	if passed := now.since(a.asked); a.known && passed < leaseTerm {
		amount = max(amount, min(recent, (c.window-a.ahead)/4))
		most = min(most, c.window-a.ahead+passed)
	}
	interval := c.limit.interval
	n := min((amount-1)/interval+1, most/interval)
	return max(int(n), c.n)
}

// settle notes the answer of the store to an ask for n requests, which was sent
// after asked. If it was admitted, c is paid for, and the rest is a new lease.
func (a *account) settle(c *charge, n int, d Decision, asked, now instant) {
	a.ahead = min(max(int64(d.ResetAfter), 0), c.limit.horizon())
	a.asked, a.answered, a.known = asked, now, true
	if !d.Allowed {
		return
	}
	a.spent += c.cost
	if rest := int64(n)*c.limit.interval - c.cost; rest > 0 {
		a.keep(lease{left: rest, window: c.window, from: asked})
	}
}

// idle reports whether there is nothing left to know about a bucket.
func (a *account) idle(now instant) bool {
	return a.trip == nil && a.waiting == 0 && now.since(a.used) >= 2*leaseTerm
}
