package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// LeasesOptions are the optional settings of [Leases]. A nil *LeasesOptions is the
// same as the zero LeasesOptions.
type LeasesOptions struct {
	// Direct are the spaces (see [Bucket]) without leases: each of their requests
	// is a trip to the store. If nil, the space "manage" alone, in which requests
	// that manage credentials are limited.
	Direct []string
}

// Leases is a [Store] over another one, for hosts of several processes. It takes
// quota from that store in advance and spends it in this process, and it remembers
// refusals. So few requests are trips to the store, whether they are admitted or
// refused.
//
// While the store answers and all processes use Leases, no limit is exceeded, not
// even by one request. In any span of time, all processes together admit at most the
// burst plus the rate times the span. These are the rules:
//
//   - Quota is spent within a second after it was taken. What is left then is lost.
//     The store is asked under a window that is a second shorter. So a full bucket
//     admits less than the burst at once: 590 requests under a limit of 600 a
//     minute. Under a limit of two a minute, the second request is admitted up to a
//     second later.
//   - A process takes about as much as it spent in the last second, and at most a
//     quarter of what is left. If less than a second's worth is left, the store is
//     asked for a bucket only three times a second. Requests in between are refused
//     even if the store could still admit some.
//   - Limits with a window below 16 seconds are not leased. Nor are requests that
//     cost more than the shortened window holds, such as the whole burst. Nor are
//     those in the spaces of [LeasesOptions.Direct]. All these are trips.
//   - Windows of 60 to 61 seconds count as a minute, so that all limits a minute can
//     share what was taken.
//
// Some requests are trips although others lease from the same bucket: requests that
// cost too much, requests under short windows, and those of processes that share the
// store without Leases. Together they can exceed a limit, by what the rate admits in
// a second at most. So all processes that share a store should use Leases.
//
// Leases reads the monotonic and the wall clock of the machine, and goes by the one
// that shows more time. A clock may be slow or fast by a fifth. A virtual machine
// that was frozen with both clocks may exceed limits when it wakes, by the quota that
// it holds. The store decides by its own clock.
//
// A Decision of Leases says what this process knows. Remaining, NextAfter and
// ResetAfter are estimates: what other processes took since the last trip is missing.
// RetryAfter is exact as of the last trip.
//
// If the store fails, Take spends what was taken before, and then fails with the
// store's error. If a process ends, or the answer of the store is lost, the quota that
// was taken is lost, for one window at most. If the store takes most of a second to
// answer, there are no leases, since they would be too old.
//
// A bucket for which the store was asked in the last seconds takes about 300 bytes of
// memory. Leases is safe for concurrent use and starts no goroutine.
type Leases struct {
	hasher
	accounts
	store  Store
	direct []string
	clock  func() instant
}

var _ Store = (*Leases)(nil)

// errWindow is returned if the store admitted more than the window allows.
var errWindow = errors.New("ratelimit: the store does not keep to Limit.Window, as leases need")

// NewLeases returns a Leases over store. It fails if store is nil, a Leases itself,
// or a [Memory], which is faster alone. Structs that embed one of these are refused
// too. It fails with an error that wraps [ErrBucket] if a space of the options is no
// valid name.
//
// The store must keep to all of the contract of [Store], above all to [Limit.Window]
// and [Limit.Horizon]. Limits that Leases hands to it have a shorter window.
func NewLeases(store Store, opts *LeasesOptions) (*Leases, error) {
	switch store.(type) {
	case nil:
		return nil, errors.New("ratelimit: NewLeases needs a store")
	case interface{ leasing() }:
		return nil, errors.New("ratelimit: the store of NewLeases is a Leases already")
	case interface{ inProcess() }:
		return nil, errors.New("ratelimit: the store of NewLeases is in this process, and faster without leases")
	}
	l := &Leases{hasher: newHasher(), store: store, direct: []string{"manage"}}
	if opts != nil && opts.Direct != nil {
		l.direct = slices.Clone(opts.Direct)
	}
	for _, space := range l.direct {
		if !validName(space) {
			return nil, fmt.Errorf("%w: space %q", ErrBucket, space)
		}
	}
	origin := time.Now()
	l.clock = func() instant { return instantAt(time.Now(), origin) }
	return l, nil
}

// leasing marks Leases, for NewLeases.
func (l *Leases) leasing() {}

// LeaseStats are numbers about a [Leases], since it was made.
type LeaseStats struct {
	// Leased is the number of requests that were admitted without asking the
	// store for them alone: they were paid with what was taken in advance.
	Leased uint64

	// Refused is the number of requests that were refused by what was known,
	// without asking the store.
	Refused uint64

	// Trips is the number of calls of the store, those that failed included.
	Trips uint64

	// Buckets is the number of buckets that this process knows of.
	Buckets int
}

// Stats returns the numbers so far.
func (l *Leases) Stats() LeaseStats {
	all := LeaseStats{Trips: l.trips.Load()}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		all.Leased += s.leased
		all.Refused += s.refused
		all.Buckets += len(s.all)
		s.mu.Unlock()
	}
	return all
}

// Take takes n requests from bucket b under limit l, from what was taken in advance
// or from the store. It passes now on to the store, and reads the clock itself for
// everything else.
//
// The context bounds the trip to the store. While a trip for a bucket is under way,
// other requests that need one wait for it, and the next trip is for all of them. If
// the context of the request that makes the trip ends, another one makes a new trip.
// If the context of a request that waits ends, Take fails with the context's error,
// and others can spend what was taken for it. Any other error of the store is
// returned to all that wait.
func (l *Leases) Take(ctx context.Context, b Bucket, limit Limit, now time.Time, n int) (d Decision, err error) {
	leased := l.leases(b.Space)
	if leased && l.takeHere(l.key(b), limit, n, &d) {
		return d, nil
	}
	a, err := l.take(ctx, b, leased, limit, now, n)
	return a.Decision, err
}

// leases reports whether buckets in a space are leased from.
func (l *Leases) leases(space string) bool { return !slices.Contains(l.direct, space) }

// takeHere is the part of Take that does not need the store. It fills d, which is
// the zero Decision, and reports false if the store must be asked. It does not
// allocate.
func (l *Leases) takeHere(k key, limit Limit, n int, d *Decision) bool {
	c := charge{limit: limit, n: n, window: leaseWindow(limit, n)}
	if c.window == 0 {
		return false
	}
	c.cost = int64(n) * limit.interval
	now := l.clock()
	s := l.shard(k)
	s.mu.Lock()
	a := s.all[k]
	decided := a != nil && s.decide(a, &c, now, false, d)
	s.mu.Unlock()
	return decided
}

// decide is account.decide, and counts.
func (s *accountShard) decide(a *account, c *charge, now instant, urgent bool, d *Decision) bool {
	if !a.decide(c, now, urgent, d) {
		return false
	}
	if d.Allowed {
		s.leased++
	} else {
		s.refused++
	}
	return true
}
