package oauth

import (
	"slices"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// attemptShards is over how many locks the attempts are spread, by a hash that
// nobody outside can know.
const attemptShards = 64

// attempts are authentications that are under way, by their buckets. A failure
// is counted only when it is known, which takes a trip to the store, so without
// them everybody who asks during that trip would be let through. An attempt
// starts only if the bucket could pay for it and for every running attempt
// failing; until that is so it waits for one of those to end. All that run
// may fail, and still there are no more failures than the limit permits, while
// clients with the right secret are never refused for asking many times at once.
type attempts struct {
	mu     sync.Mutex
	queues []attemptQueue // those with attempts that run or wait: few, so there is no map
}

// An attemptQueue has the attempts of one bucket. Whoever waits has a channel,
// which is closed when it is its turn to ask again. If somebody waits, then an
// attempt runs or a turn was given that is not yet taken.
type attemptQueue struct {
	bucket  ratelimit.Bucket
	running int
	waiting []chan struct{}
}

// begin starts an attempt, to be ended by end. It returns a channel if the
// caller has to wait, and to ask again when it is closed or to call leave; or how
// long it takes until there is a failure left, if there is none.
func (t *throttle) begin(b *bucket, now time.Time) (turn chan struct{}, wait time.Duration) {
	a := b.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.queue(b)
	q := &a.queues[i]
	if q.running < b.limit.Burst() {
		// An error cannot be: limit and cost are good. It would refuse nobody.
		d, err := t.buckets.Peek(b.Bucket, b.limit, now, q.running+1)
		if err != nil || d.Allowed {
			q.running++
			return nil, 0
		}
		if q.running == 0 {
			a.next(i)
			return nil, d.RetryAfter
		}
	}
	turn = make(chan struct{})
	q.waiting = append(q.waiting, turn)
	return turn, 0
}

// end ends an attempt, whose failure, if it was one, has been counted.
func (b *bucket) end() {
	a := b.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.queue(b)
	a.queues[i].running--
	a.next(i)
}

// leave gives up waiting for a turn.
func (b *bucket) leave(turn chan struct{}) {
	a := b.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.queue(b)
	q := &a.queues[i]
	if at := slices.Index(q.waiting, turn); at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
		a.tidy(i)
		return
	}
	a.next(i) // it was given the turn meanwhile, which is now the next one's
}

// queue returns the place of b's queue, which is made if there is none.
func (a *attempts) queue(b *bucket) int {
	for i := range a.queues {
		if a.queues[i].bucket == b.Bucket {
			return i
		}
	}
	a.queues = append(a.queues, attemptQueue{bucket: b.Bucket})
	return len(a.queues) - 1
}

// next gives the turn to the attempt that has waited longest in queue i.
func (a *attempts) next(i int) {
	q := &a.queues[i]
	if len(q.waiting) > 0 {
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
	}
	a.tidy(i)
}

// tidy forgets queue i if nothing is in it. Its names are parts of a request,
// which must not be kept for them.
func (a *attempts) tidy(i int) {
	if q := &a.queues[i]; q.running == 0 && len(q.waiting) == 0 {
		a.queues = slices.Delete(a.queues, i, i+1)
	}
}
