// Package ratelimit limits how many requests an organization, an address, or
// anything else with a name may make.
//
// # Limits
//
// A [Limit] is a steady rate and a burst. [PerMinute] makes the limit of n requests
// a minute, [Per] that of n requests in any period, and [NewLimit] takes a rate in
// the unit of [golang.org/x/time/rate.Limit], requests a second. The burst is the
// number of requests that a full bucket admits at once. It is also the most that
// one request may cost. All times are in whole nanoseconds.
//
// No value means "unlimited". A rate or burst that is zero, negative, infinite or
// not a number is an error, and so is a cost below one.
//
// # Arithmetic
//
// The limiter is the generic cell rate algorithm. A bucket is one timestamp, the
// time at which it is full again. A request that costs n moves the timestamp n
// intervals on, counted from now if the bucket is full. If that would put the
// timestamp more than one window ahead of now, the request is refused and the
// timestamp stays. The interval is the cost of one request, and the window is the
// burst times the interval.
//
// [Limit.Take] is this arithmetic, as a pure function of a timestamp and a clock.
// Every store computes the same function, so a decision is the same in memory, in
// SQL and in a script on a server. It is a token bucket, and decides as
// [golang.org/x/time/rate.Limiter] does. Over any span of time, a bucket admits at
// most the burst plus the rate times the span.
//
// # Shared buckets
//
// A limit belongs to a request, and a bucket to whoever is limited. Two credentials
// of one organization can have different limits and share the organization's
// bucket. A request under 600 a minute then takes 1/600 of the organization's
// minute, and one under 60 a minute takes 1/60 of it. So a second key, during a
// rotation or for good, never doubles what an organization may do. [Limit.Horizon]
// has the one rule that limits on a shared bucket must keep.
//
// # Limiters and stores
//
// A [Limiter] asks a [Store], and decides what happens when the store cannot
// answer. By default it continues with buckets in the process ([FallbackLocal]).
// [Memory] is the store for one process. It does not allocate for a decision, its
// size is bounded, it gives idle memory back, and it starts no goroutine.
//
// # Several processes
//
// Over a store that processes share, each decision is a trip to that store. A
// [Leases] between the limiter and the store takes quota in advance, spends it in
// the process, and remembers refusals. Then few requests need a trip, and the limits
// still hold. In return, bursts are smaller by what the rate admits in a second.
//
// # Writing a store
//
// A store has one method, [Store.Take], and keeps one integer for each bucket. In
// one atomic step it reads the integer (0 if there is none), computes [Limit.Take]
// with its own clock, and writes the result back. The comment on [Store] is the
// full contract, and package storetest checks a store against it. [Bucket.Key] is a
// text key for stores that need one. [Limit.Check] and [Bucket.Validate] check
// arguments. [Limit.Interval], [Limit.Window] and [Limit.Horizon] are the numbers
// for a store that computes in another language.
//
// The program examples/partnerapi keeps limits in the process or in a shared store, with
// leases and without. examples/sqlstore is a store for limits over SQL.
package ratelimit
