package ratelimit

import "time"

// An account has what this process knows of one bucket of the store, and what it
// has taken from the bucket in advance. The lock of its shard guards it.
type account struct {
	leases [2]lease // the older one first

	// ahead is how far the bucket was ahead of the store's clock after the last
	// answer, in nanoseconds. The store was asked after the instant asked, and its
	// answer came before the instant answered. If known is false, there was no
	// answer yet.
	ahead    int64
	asked    instant
	answered instant
	known    bool

	// spent is what was spent since counted. before is an estimate of what was
	// spent in the leaseLife before counted.
	spent, before int64
	counted       instant

	// trip is the trip to the store that is under way, or nil. Other requests may
	// wait for it; waiting is what they cost together.
	trip    *trip
	waiting int64

	used instant // when the last trip began
}

// A charge is a request as an account sees it.
type charge struct {
	limit  Limit
	n      int
	cost   int64 // n times the interval
	window int64 // the window under which the store is asked, see leaseWindow
}

// pay pays for a request from the leases, the older one first. They must suffice.
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

// left returns how much the leases that may pay for a request have left. It drops
// leases that are too old.
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

// keep adds a lease. The older one of the two is dropped, and what is left of it is lost.
func (a *account) keep(p lease) { a.leases[0], a.leases[1] = a.leases[1], p }

// wait returns how long a request can be refused without asking the store. The
// result is 0 or less if the store must be asked.
//
// The store refuses while the bucket is too far ahead of its clock. The bucket was
// ahead by a.ahead when the store gave its last answer, which was after a.asked.
// Since then the lead has shrunk by at most a nanosecond each nanosecond: whatever
// others took has made it larger. So the store would refuse too, whatever the cost
// and the limit. This is relied on for leaseTerm at most, since somebody may have
// reset the bucket.
//
// If the last answer left less than leaseTerm, the store is asked only three times
// in each leaseTerm. Otherwise nearly every request would be a trip to an empty
// bucket, and most trips would be in vain. This does not hold for an urgent request:
// one whose own trip was refused just now because it asked for more than the request
// alone.
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

// refuse fills d with a refusal. RetryAfter is at least wait. It is longer by up to
// the duration of the last trip, so that nobody is told to come back too early.
func (a *account) refuse(c *charge, now instant, wait, left int64, d *Decision) {
	exact := a.ahead - max(now.since(a.answered), 0) + c.cost - c.window
	d.RetryAfter = time.Duration(max(wait, exact))
	a.fill(c, now, left, d)
	if d.Remaining == c.n-1 {
		d.NextAfter = d.RetryAfter
	}
}

// fill fills the fields of d that say how full the bucket is. They are estimates:
// what others have taken since the last answer is missing. The argument left is what
// account.left returned.
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

// recent estimates how much was spent in the last leaseLife. About as much can be
// spent from a new lease before it is too old.
func (a *account) recent(now instant) int64 {
	age := now.since(a.counted)
	if age >= leaseLife {
		a.before = int64(float64(a.spent) * float64(leaseLife) / float64(age))
		a.spent, a.counted, age = 0, now, 0
	}
	gone := float64(max(age, 0)) / float64(leaseLife)
	return a.spent + a.before - int64(float64(a.before)*gone)
}

// ask returns how many requests to take from the store at once, for a request and
// for all that wait. It is as much as was spent lately, but at most a quarter of
// what was left at the last answer, since other processes need some too. It is at
// least what the request and those that wait cost, but no more than the bucket can
// hold now: the store gives all or nothing. In its third try, a request asks for
// itself alone.
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

// settle notes the store's decision on n requests, for which it was asked after the
// instant asked. If it admitted them, c is paid for, and the rest is a new lease.
func (a *account) settle(c *charge, n int, d Decision, asked, now instant) {
	a.ahead = int64(d.ResetAfter)
	a.asked, a.answered, a.known = asked, now, true
	if !d.Allowed {
		return
	}
	a.spent += c.cost
	if rest := int64(n)*c.limit.interval - c.cost; rest > 0 {
		a.keep(lease{left: rest, window: c.window, from: asked})
	}
}

// busy reports whether a trip is under way or requests wait. Then the account must not
// be dropped.
func (a *account) busy() bool { return a.trip != nil || a.waiting > 0 }

// idle reports whether an account can be dropped, since what it has is too old to be
// of use.
func (a *account) idle(now instant) bool {
	return !a.busy() && now.since(a.used) >= 2*leaseTerm
}
