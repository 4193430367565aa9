package ratelimit

import (
	"context"
	"time"
)

// A Store keeps buckets and takes requests from them. [Memory] is one; stores
// over a database share the buckets of many processes.
//
// A store keeps one integer for each bucket, the timestamp of [Limit.Take], and
// knows nothing else about it. The contract of a store is:
//
//  1. A Take is one atomic step: reading the bucket, deciding as [Limit.Take]
//     does, and writing the result. Concurrent calls, from all processes that
//     share the store, admit what they would admit one after another.
//  2. A bucket that was never used is full, its timestamp 0. A store may forget a
//     bucket that is full, and must not forget one that is not. A store that is
//     out of room fails, or lets newcomers share a bucket, but never makes room
//     by giving quota back.
//  3. Buckets are told apart by both strings of [Bucket], byte by byte and
//     case-sensitive, whatever characters they hold. A store with a text key uses
//     [Bucket.Key] or another encoding that is as injective.
//  4. The limit is an argument of each call, and may differ from one call to the
//     next on the same bucket. A store never resets a bucket because of that.
//  5. The value that [Limit.Take] returns as next is written even if the request
//     is refused, when it differs from what was read.
//  6. A store that processes share decides by its own clock, the same for all of
//     them, and ignores now. A store within one process decides by now, which may
//     have a monotonic reading and need not grow from call to call.
//  7. The context bounds the call. A store that cannot decide before the context
//     ends returns an error soon after; a [Limiter] waits until it returns.
//  8. A store that cannot decide returns an error and the zero Decision. It does
//     not guess, and it does not repeat a step of which it is unknown whether it
//     was taken: the request would pay twice.
//  9. Invalid limits and costs fail as [Limit.Take] does, with [ErrInvalidLimit] and
//     [ErrCost]. A name that the store cannot hold fails with [ErrBucket]. Errors
//     hold no passwords of the store's.
//  10. A store is safe for concurrent use, does not keep the arguments, and leaves
//     [Decision.Fallback] false.
//
// A [Limiter] checks the bucket's name, the limit and the cost before it asks.
type Store interface {
	// Take takes n requests from bucket b under limit l in one atomic step,
	// and returns the decision. A refusal is not an error.
	Take(ctx context.Context, b Bucket, l Limit, now time.Time, n int) (Decision, error)
}
