package ratelimit

import "time"

// A Decision is the answer to one request. The zero Decision refuses.
type Decision struct {
	// Allowed says whether the request was admitted, and paid for.
	Allowed bool

	// Limit is the limit that the request was decided under.
	Limit Limit

	// Remaining is the number of requests, of cost one and under the same
	// limit, that the bucket would admit right now. It is between 0 and the
	// burst.
	Remaining int

	// RetryAfter is 0 if the request was admitted. If it was refused, it is
	// the time, exact to the nanosecond, after which the bucket admits a
	// request of the same cost, unless others take from it in the meantime.
	RetryAfter time.Duration

	// ResetAfter is the time after which the bucket is full again.
	ResetAfter time.Duration

	// Fallback says that the store failed and that the [Limiter] decided in
	// its place. Stores leave it false.
	Fallback bool
}

// RetryAfterSeconds returns RetryAfter in whole seconds, rounded up, as the
// Retry-After header field wants it (RFC 9110 §10.2.3): a client that waits that
// long is not early. It is at least 1 if the request was refused, and 0 if it
// was admitted.
func (d Decision) RetryAfterSeconds() int64 {
	if d.Allowed {
		return 0
	}
	return max(1, seconds(d.RetryAfter))
}

// ResetAfterSeconds returns ResetAfter in whole seconds, rounded up. It is 0
// only for a bucket that is full.
func (d Decision) ResetAfterSeconds() int64 { return seconds(d.ResetAfter) }

// seconds rounds up. Going through the remainder, it cannot overflow.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}
