package ratelimit

import "time"

// A Decision is the answer to one request. The zero Decision refuses.
type Decision struct {
	// Allowed reports whether the request was admitted, and paid for.
	Allowed bool

	// Fallback reports that the store failed, and that the [Limiter] decided
	// in its place. Stores leave it false.
	Fallback bool

	// Limit is the limit under which the request was decided.
	Limit Limit

	// Remaining is the number of requests that the bucket would still admit
	// right now, each of cost one and under the same limit. It is between 0
	// and the burst.
	Remaining int

	// RetryAfter is 0 if the request was admitted. If it was refused,
	// RetryAfter is the time, exact to the nanosecond, after which the bucket
	// admits a request of the same cost, unless others take from it first.
	RetryAfter time.Duration

	// NextAfter is the time after which Remaining grows by one, unless others
	// take from the bucket first. It is 0 if the bucket is full, when Remaining
	// is the burst. It is never above RetryAfter if the request was refused,
	// and equal to it if the request cost one and Remaining is 0.
	NextAfter time.Duration

	// ResetAfter is the time after which the bucket is full again, unless
	// others take from it first. It is 0 if the bucket is full.
	ResetAfter time.Duration
}

// RetryAfterSeconds returns RetryAfter in whole seconds, rounded up, for the
// header field Retry-After (RFC 9110, section 10.2.3). A client that waits that
// long is not too early. It is at least 1 if the request was refused, and 0 if
// the request was admitted.
func (d Decision) RetryAfterSeconds() int64 {
	if d.Allowed {
		return 0
	}
	return max(1, seconds(d.RetryAfter))
}

// NextAfterSeconds returns NextAfter in whole seconds, rounded up, for the
// parameter t of the header field RateLimit (draft-ietf-httpapi-ratelimit-headers,
// from version 10). It is 0 only if the bucket is full.
func (d Decision) NextAfterSeconds() int64 { return seconds(d.NextAfter) }

// ResetAfterSeconds returns ResetAfter in whole seconds, rounded up. It is 0 only
// if the bucket is full.
func (d Decision) ResetAfterSeconds() int64 { return seconds(d.ResetAfter) }

// seconds rounds up. It uses the remainder, so that it cannot overflow.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}
