package redisstore

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// Take takes n requests from bucket b, as [ratelimit.Store] says, in one round
// trip. It decides by the server's clock, which counts microseconds, and ignores now.
// The server computes [ratelimit.Limit.Take] to the nanosecond, and removes a bucket a
// second after it is full. Buckets that [ratelimit.Bucket.Validate] refuses fail
// with [ratelimit.ErrBucket].
//
// If it is not known whether the command was carried out, Take does not send it again,
// whatever the client's settings for retries are.
func (s *Store) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	if err := l.Check(n); err != nil {
		return ratelimit.Decision{}, err
	}
	if err := b.Validate(); err != nil {
		return ratelimit.Decision{}, err
	}
	if err := ctx.Err(); err != nil {
		return ratelimit.Decision{}, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	sc, args := takeCall(l, n)
	c, err := run(ctx, s.client, sc, []string{s.names.bucket(b)}, args...)
	if err != nil {
		return ratelimit.Decision{}, err
	}
	at, tat, err := bucketState(c)
	if err != nil {
		return ratelimit.Decision{}, err
	}
	_, d, err := l.Take(tat, at, n)
	return d, err
}

// longWindow is the shortest horizon, in nanoseconds, that needs the longer script.
// Numbers in Lua are exact up to twice as much. Both scripts do the same to a bucket.
const longWindow = 1 << 52

// takeCall returns the script that takes n requests under l, and its arguments.
func takeCall(l ratelimit.Limit, n int) (*script, []any) {
	cost, window, horizon := int64(n)*int64(l.Interval()), int64(l.Window()), int64(l.Horizon())
	if horizon < longWindow {
		return takeScript, []any{cost, window, horizon}
	}
	return takeLongScript, []any{cost / 1e9, cost % 1e9, window / 1e9, window % 1e9, horizon / 1e9, horizon % 1e9}
}

// bucketState reads the answer of the script: the server's time, and the timestamp
// that the bucket had before, both in Unix nanoseconds. Take computes the decision
// from them.
func bucketState(c call) (now, tat int64, err error) {
	answer, err := c.Text()
	if err != nil {
		return 0, 0, failure(err)
	}
	seconds, rest, _ := strings.Cut(answer, " ")
	micros, bucket, ok := strings.Cut(rest, " ")
	if !ok {
		return 0, 0, failure(errAnswer)
	}
	s, err1 := strconv.ParseInt(seconds, 10, 64)
	us, err2 := strconv.ParseInt(micros, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, failure(err)
	}
	if bucket != "" {
		// A timestamp that is out of range counts as the largest one.
		if tat, err = strconv.ParseInt(bucket, 10, 64); errors.Is(err, strconv.ErrRange) {
			tat = math.MaxInt64
		} else if err != nil {
			return 0, 0, failure(errAnswer)
		}
	}
	return s*int64(time.Second) + us*int64(time.Microsecond), tat, nil
}
