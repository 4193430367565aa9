package oauth

import (
	"slices"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// attemptShards is the number of locks that the attempts are spread over, by a
// keyed hash, so that nobody outside can choose a shard.
const attemptShards = 64

// attempts are the authentications that are under way, by their buckets.
//
// Whether an attempt fails is known only after a trip to the store. If failures were
// counted then and nothing else was done, everybody who asks during that trip would
// be let through. So an attempt starts only if the bucket could pay for it and for
// every running attempt failing. Until then it waits for one of those to end. Even if
// all that run fail, there are no more failures than the limit permits. And clients
// with the right secret are never refused for asking many times at once.
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

// begin starts an attempt, which the caller ends with end. If it returns a channel,
// the attempt has not started: the caller waits until the channel is closed and then
// calls begin again, or calls leave. If wait is above zero, the attempt is refused,
// and wait is how long it takes until the bucket permits one more failure.
func (t *throttle) begin(b *bucket, now time.Time) (turn chan struct{}, wait time.Duration) {
	a := b.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.queue(b)
	q := &a.queues[i]
	if q.running < b.limit.Burst() {
		// Peek fails only for a bad limit or cost, and both are good here. If it
		// did all the same, nobody would be refused.
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

// leave gives up waiting for the channel that begin returned.
func (b *bucket) leave(turn chan struct{}) {
	a := b.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.queue(b)
	q := &a.queues[i]
	if at := slices.Index(q.waiting, turn); at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
		return // the queue is tidied by whoever runs, or has the turn
	}
	a.next(i) // the channel was closed meanwhile: pass the turn on
}

// queue returns the index of b's queue, which it makes if there is none.
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

// tidy removes queue i if it is empty. The names in its bucket are parts of a
// request, which would stay in memory with them.
func (a *attempts) tidy(i int) {
	if q := &a.queues[i]; q.running == 0 && len(q.waiting) == 0 {
		a.queues = slices.Delete(a.queues, i, i+1)
	}
}
