package oauth

import (
	"slices"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// attempts are the authentications that are under way. A failure is counted only
// when it is known, which takes a trip to the store, so without them everybody
// who asks during that trip would be let through. An attempt therefore begins
// only if its bucket has a failure left for it besides one for each that runs;
// until that is so it waits for one of those to end. All that run may fail, and
// still there are no more failures than the limit permits, while clients with
// the right secret are never refused for asking many times at once.
type attempts struct {
	mu      sync.Mutex
	buckets map[ratelimit.Bucket]attemptQueue // those with attempts that run or wait
}

// An attemptQueue has the attempts of one bucket. Whoever waits has a channel,
// which is closed when it is its turn to ask again. If somebody waits, then an
// attempt runs or a turn was given that is not yet taken.
type attemptQueue struct {
	running int
	waiting []chan struct{}
}

// begin starts an attempt, to be ended by end. It returns a channel if the
// caller has to wait, and to ask again when it is closed or to call leave; or how
// long it takes until there is a failure left, if there is none.
func (t *throttle) begin(b ratelimit.Bucket, now time.Time) (turn chan struct{}, wait time.Duration) {
	a := t.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.buckets[b]
	if q.running < t.limit.Burst() {
		// An error cannot be: limit and cost are good. It would refuse nobody.
		d, err := t.buckets.Peek(b, t.limit, now, q.running+1)
		if err != nil || d.Allowed {
			q.running++
			a.buckets[b] = q
			return nil, 0
		}
		if q.running == 0 {
			a.next(b, q)
			return nil, d.RetryAfter
		}
	}
	turn = make(chan struct{})
	q.waiting = append(q.waiting, turn)
	a.buckets[b] = q
	return turn, 0
}

// end ends an attempt, whose failure, if it was one, has been counted.
func (t *throttle) end(b ratelimit.Bucket) {
	a := t.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.buckets[b]
	q.running--
	a.next(b, q)
}

// leave gives up waiting for a turn.
func (t *throttle) leave(b ratelimit.Bucket, turn chan struct{}) {
	a := t.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.buckets[b]
	if i := slices.Index(q.waiting, turn); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		a.keep(b, q)
		return
	}
	a.next(b, q) // it was given the turn meanwhile, which is now the next one's
}

// next gives the turn to the attempt that has waited longest, and keeps q.
func (a *attempts) next(b ratelimit.Bucket, q attemptQueue) {
	if len(q.waiting) > 0 {
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
	}
	a.keep(b, q)
}

// keep stores a queue, or forgets it if nothing is in it.
func (a *attempts) keep(b ratelimit.Bucket, q attemptQueue) {
	if q.running == 0 && len(q.waiting) == 0 {
		delete(a.buckets, b)
		return
	}
	a.buckets[b] = q
}
