package ratelimit

import (
	"context"
	"time"
)

// A Store keeps buckets and takes requests from them. [Memory] is a Store for one
// process. A store over a database shares its buckets between processes.
//
// A Store keeps one integer for each bucket, the timestamp of [Limit.Take]. Its
// contract is:
//
//  1. Take is one atomic step: it reads the timestamp, decides as [Limit.Take] does,
//     and writes the result. Calls at the same time, from all processes that share
//     the store, admit what they would admit one after another.
//  2. The timestamp of a bucket that was never used is 0, and the bucket is full. A
//     store may forget a bucket that is full. It must not forget any other, however
//     long ago it was used and however many there are. A store without room for more
//     fails, or lets new buckets share one, but never gives quota back.
//  3. Two buckets are the same only if both strings of [Bucket] are equal byte by
//     byte, whatever characters they hold and however long they are. A store with a
//     text key uses [Bucket.Key], or another encoding that gives different buckets
//     different keys.
//  4. The limit is an argument of each call. It may change from one call to the next
//     on the same bucket, and the store does not reset the bucket because of that.
//     A store that computes in another language takes [Limit.Window] and
//     [Limit.Horizon] as they are, and never the burst times the interval: the two
//     differ in the limits of [Leases].
//  5. The store writes what [Limit.Take] returns as next, in whole nanoseconds. It
//     does so even if the request is refused, if next differs from what was read.
//  6. The Decision is the one that [Limit.Take] returns, in every field and to the
//     nanosecond.
//  7. A store that processes share decides by its own clock, which is the same for
//     all of them, and ignores now. A store within one process decides by now. The
//     times need not grow from call to call.
//  8. The context bounds the call. A store that cannot decide before the context ends
//     returns an error soon after. A [Limiter] waits until the store returns.
//  9. A store that cannot decide returns an error and the zero Decision. It does not
//     guess. If it does not know whether a step was taken, it does not take it again,
//     since the request could pay twice.
//  10. Invalid limits and costs fail as [Limit.Check] does. Names of up to 300 bytes
//     that [Bucket.Validate] accepts are held: room for an ID or an organization of 255
//     bytes and for an address. Names that a store cannot hold fail with an error that
//     wraps [ErrBucket]. Errors hold no passwords.
//  11. A store is safe for concurrent use, does not keep its arguments, and leaves
//     [Decision.Fallback] false.
//
// A [Limiter] checks the bucket, the limit and the cost before it calls the store.
//
// [Leases] is a Store that keeps to this contract except for items 1, 4, 6 and 7.
// It decides by what it knows, and its decisions are estimates.
type Store interface {
	// Take takes n requests from bucket b under limit l in one atomic step, and
	// returns the decision. A refusal is not an error.
	Take(ctx context.Context, b Bucket, l Limit, now time.Time, n int) (Decision, error)
}
