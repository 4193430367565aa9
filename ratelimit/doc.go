// Package ratelimit limits how many requests an organization, an address or
// anything else with a name may make.
//
// # Units
//
// A [Limit] is a rate and a burst. The rate is in the unit of
// [golang.org/x/time/rate.Limit], requests a second; most hosts think in
// requests a minute and call [PerMinute]. The burst is in requests: it is what
// a bucket that was left alone for a while admits at once, and the most that
// one request may cost. Time is in whole nanoseconds throughout. There is no
// value that means "unlimited": a rate or a burst that is zero, negative,
// infinite or not a number is an error, and so is a cost below one.
//
// # The arithmetic
//
// The limiter is the generic cell rate algorithm. A bucket is one timestamp,
// the time at which it will be full again; a request that costs n moves the
// timestamp n intervals on, counted from now if the bucket is full already. The
// request is refused, and the timestamp stays, if that would put it more than
// one window (the burst times the interval) ahead of now.
//
// [Limit.Take] is that, and nothing else: a pure function of a timestamp and a
// clock. Every store computes the same function, so a decision is the same in
// memory, in SQL and in a script on a server. It is a token bucket, decision by
// decision the one of [golang.org/x/time/rate.Limiter], and keeps the promise
// of a token bucket: over any span of time, a bucket admits at most the burst
// plus the rate times the span.
//
// # Shared buckets
//
// The limit belongs to the request and the bucket to whoever is limited. Two
// credentials of one organization that carry different figures draw on the same
// bucket: a request under 600 a minute takes 1/600 of the organization's
// minute, one under 60 a minute takes 1/60 of it. So a second key, during a
// rotation or for good, never doubles what an organization may do. See
// [Limit.Horizon] for the one rule that limits on a shared bucket must keep.
//
// # Limiters and stores
//
// A [Limiter] asks a [Store] and decides what happens when the store cannot
// answer; by default it goes on with buckets of its own ([FallbackLocal]).
// [Memory] is the store for one process. It allocates nothing for a decision,
// is bounded, gives idle memory back, and starts no goroutine.
//
// # Writing a store
//
// A store has one method, [Store.Take], and keeps one integer for a bucket. In
// one atomic step it reads the integer (0 if there is none), computes
// [Limit.Take] with its own clock, and writes the result back. The comment on
// [Store] is the full contract. [Bucket.Key] gives a text key for stores that
// need one, [Limit.Interval], [Limit.Window] and [Limit.Horizon] the numbers for
// those that compute in another language.
package ratelimit
