package storetest_test

import (
	"context"
	"errors"
	"hash/crc32"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// decided is a Take whose decisions are changed.
func decided(change func(d *ratelimit.Decision, n int)) broken {
	return broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		d, err := b.Memory.Take(ctx, bucket, l, now, n)
		if err == nil {
			change(&d, n)
		}
		return d, err
	}}
}

// asked is a Take that asks the sound store for something else.
func asked(change func(b *broken, bucket *ratelimit.Bucket, l *ratelimit.Limit, now *time.Time, n *int)) broken {
	return broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		was := l
		change(b, &bucket, &l, &now, &n)
		d, err := b.Memory.Take(ctx, bucket, l, now, n)
		if err == nil {
			d.Limit = was
		}
		return d, err
	}}
}

// unleased returns l with a window that is not shortened. A limit that is none stays.
func unleased(l ratelimit.Limit) ratelimit.Limit {
	full, err := ratelimit.Per(1, l.Interval(), l.Burst())
	if err != nil {
		return l
	}
	return full
}

// A place is a key of the timestamps of kept.
type place struct {
	bucket ratelimit.Bucket
	limit  ratelimit.Limit
}

// kept is a store of its own, under keys that are chosen by place, which keeps
// what settle returns, and no more than most timestamps.
func kept(
	at func(ratelimit.Bucket, ratelimit.Limit) any,
	settle func(tat, next int64, d ratelimit.Decision, cost int64) int64,
	most int,
) broken {
	return broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		key := at(bucket, l)
		tat, known := b.tats[key]
		next, d, err := l.Take(tat, now.UnixNano(), n)
		if err != nil {
			return d, err
		}
		if !known {
			if b.tats == nil {
				b.tats = make(map[any]int64)
			}
			b.order = append(b.order, key)
			if len(b.order) > most {
				delete(b.tats, b.order[0])
				b.order = b.order[1:]
			}
		}
		b.tats[key] = settle(max(tat, now.UnixNano()), next, d, int64(n)*int64(l.Interval()))
		return d, nil
	}}
}

// many is more than the kit has buckets.
const many = 1 << 20

func whole(b ratelimit.Bucket, _ ratelimit.Limit) any { return b }

// cut is a key that is not longer than a column.
func cut(text string, most int) string { return text[:min(len(text), most)] }

func sound(_, next int64, _ ratelimit.Decision, _ int64) int64 { return next }

// rounded is a store that keeps timestamps in other units than nanoseconds.
func rounded(round func(time.Time) time.Time) broken {
	return kept(whole, func(_, next int64, _ ratelimit.Decision, _ int64) int64 {
		return round(time.Unix(0, next)).UnixNano()
	}, many)
}

// expiring is a store that forgets a bucket some time after it was last written.
func expiring(ttl func(l ratelimit.Limit) time.Duration, clock func(now time.Time) time.Time) broken {
	type expiry struct{ ratelimit.Bucket }
	return broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.tats == nil {
			b.tats = make(map[any]int64)
		}
		at := clock(now)
		if at.UnixNano() >= b.tats[expiry{bucket}] {
			delete(b.tats, bucket)
		}
		next, d, err := l.Take(b.tats[bucket], now.UnixNano(), n)
		if err == nil {
			b.tats[bucket], b.tats[expiry{bucket}] = next, at.Add(ttl(l)).UnixNano()
		}
		return d, err
	}}
}

func wall(time.Time) time.Time { return time.Now() }

func given(now time.Time) time.Time { return now }

// clock is a Take with another clock: f is given the time since the first one.
func clock(f func(time.Duration) time.Duration) broken {
	return asked(func(b *broken, _ *ratelimit.Bucket, _ *ratelimit.Limit, now *time.Time, _ *int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.epoch.IsZero() {
			b.epoch = *now
		}
		*now = b.epoch.Add(f(now.Sub(b.epoch)))
	})
}

var limitDefects = []*defect{
	{"one more than the burst", "take-admits-the-burst", asked(func(_ *broken, _ *ratelimit.Bucket, l *ratelimit.Limit, _ *time.Time, n *int) {
		if larger, err := ratelimit.NewLimit(l.Rate(), l.Burst()+1); err == nil && *n > 0 && *n <= l.Burst() {
			*l = larger
		}
	})},
	{"a refusal is an error", "take-admits-the-burst", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		d, err := b.Memory.Take(ctx, bucket, l, now, n)
		if err == nil && !d.Allowed {
			return ratelimit.Decision{}, errors.New("too many requests")
		}
		return d, err
	}}},
	{"buckets begin empty", "take-admits-the-burst", kept(whole, func(tat, next int64, d ratelimit.Decision, cost int64) int64 { return next + cost }, many)},
	{"every request costs one", "take-charges-the-cost", asked(func(_ *broken, _ *ratelimit.Bucket, l *ratelimit.Limit, _ *time.Time, n *int) {
		if *n > 1 && *n <= l.Burst() {
			*n = 1
		}
	})},
	{"refusals are charged", "take-refuses-for-free", kept(whole, func(tat, next int64, d ratelimit.Decision, cost int64) int64 {
		if !d.Allowed {
			return tat + cost
		}
		return next
	}, many)},
	{"refusals take what is left", "take-refuses-for-free", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		d, err := b.Memory.Take(ctx, bucket, l, now, n)
		if err == nil && !d.Allowed && d.Remaining > 0 {
			_, err = b.Memory.Take(ctx, bucket, l, now, d.Remaining)
		}
		return d, err
	}}},
	{"the decision lacks its limit", "take-reports-the-limit", decided(func(d *ratelimit.Decision, _ int) { d.Limit = ratelimit.Limit{} })},
	{"the decision claims a fallback", "take-reports-the-limit", decided(func(d *ratelimit.Decision, _ int) { d.Fallback = true })},
	{"remaining is read before the request was paid for", "take-reports-remaining", decided(func(d *ratelimit.Decision, n int) {
		if d.Allowed {
			d.Remaining += n
		}
	})},
	{"remaining is negative on a refusal", "take-reports-remaining", decided(func(d *ratelimit.Decision, n int) {
		if !d.Allowed {
			d.Remaining -= n
		}
	})},
	{"seconds for nanoseconds", "take-reports-times", decided(func(d *ratelimit.Decision, _ int) { d.RetryAfter /= time.Second })},
	{"milliseconds for nanoseconds", "take-reports-times", decided(func(d *ratelimit.Decision, _ int) { d.ResetAfter /= time.Millisecond })},
	{"retry is the time until full", "take-reports-times", decided(func(d *ratelimit.Decision, _ int) {
		if !d.Allowed {
			d.RetryAfter = d.ResetAfter
		}
	})},
	{"retry is set when admitted", "take-reports-times", decided(func(d *ratelimit.Decision, _ int) {
		if d.Allowed {
			d.RetryAfter = 1
		}
	})},
	{"next is left out", "take-reports-times", decided(func(d *ratelimit.Decision, _ int) { d.NextAfter = 0 })},
	{"next is the time until full", "take-reports-times", decided(func(d *ratelimit.Decision, _ int) { d.NextAfter = d.ResetAfter })},
	{"next is what a request costs", "take-agrees-with-the-limit", decided(func(d *ratelimit.Decision, _ int) { d.NextAfter = d.Limit.Interval() })},
	{"retry is in whole milliseconds", "take-agrees-with-the-limit", decided(func(d *ratelimit.Decision, _ int) { d.RetryAfter = d.RetryAfter.Truncate(time.Millisecond) })},
	{"timestamps are rounded down to milliseconds", "take-keeps-nanoseconds", rounded(func(t time.Time) time.Time { return t.Truncate(time.Millisecond) })},
	{"timestamps are rounded down to microseconds", "take-keeps-nanoseconds", rounded(func(t time.Time) time.Time { return t.Truncate(time.Microsecond) })},
	{"timestamps are rounded up to microseconds", "take-keeps-nanoseconds", rounded(func(t time.Time) time.Time { return t.Add(time.Microsecond - 1).Truncate(time.Microsecond) })},
	{"timestamps are rounded down to seconds", "take-keeps-nanoseconds", rounded(func(t time.Time) time.Time { return t.Truncate(time.Second) })},
	{"timestamps are rounded up to milliseconds", "take-keeps-nanoseconds", rounded(func(t time.Time) time.Time { return t.Add(time.Millisecond - 1).Truncate(time.Millisecond) })},
	{"timestamps are rounded to milliseconds", "take-keeps-nanoseconds", rounded(func(t time.Time) time.Time { return t.Round(time.Millisecond) })},
	{"a cost above the burst is refused", "take-checks-the-cost", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		d, err := b.Memory.Take(ctx, bucket, l, now, n)
		if errors.Is(err, ratelimit.ErrCost) && n > l.Burst() {
			return ratelimit.Decision{Limit: l, RetryAfter: l.Window()}, nil
		}
		return d, err
	}}},
	{"a cost of none is admitted", "take-checks-the-cost", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		if n < 1 && l != (ratelimit.Limit{}) {
			return ratelimit.Decision{Allowed: true, Limit: l}, nil
		}
		return b.Memory.Take(ctx, bucket, l, now, n)
	}}},
	{"no limit is unlimited", "take-checks-the-limit", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		if l == (ratelimit.Limit{}) {
			return ratelimit.Decision{Allowed: true}, nil
		}
		return b.Memory.Take(ctx, bucket, l, now, n)
	}}},
	{"names are joined with a colon", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any { return b.Space + ":" + b.Name }, sound, many)},
	{"names are joined with a newline", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any { return b.Space + "\n" + b.Name }, sound, many)},
	{"names are joined in braces", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any { return "{" + b.Space + "}" + b.Name }, sound, many)},
	{"names without their space", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any { return b.Name }, sound, many)},
	{"names are cut to 64 bytes", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any {
		return ratelimit.Bucket{Space: b.Space, Name: cut(b.Name, 64)}
	}, sound, many)},
	{"names are cut to 299 bytes", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any {
		return ratelimit.Bucket{Space: b.Space, Name: cut(b.Name, 299)}
	}, sound, many)},
	{"names are cut to 300 bytes", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any {
		return ratelimit.Bucket{Space: b.Space, Name: cut(b.Name, 300)}
	}, sound, many)},
	{"keys are cut to 255 bytes", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any { return cut(b.Key(), 255) }, sound, many)},
	{"the last 64 bytes of a key", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any {
		key := b.Key()
		return key[max(0, len(key)-64):]
	}, sound, many)},
	{"keys are hashed to 32 bits", "take-isolates-buckets", kept(func(b ratelimit.Bucket, _ ratelimit.Limit) any { return crc32.ChecksumIEEE([]byte(b.Key())) }, sound, many)},
	{"long names are a failure", "take-isolates-buckets", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		if len(bucket.Name) > 300 {
			return ratelimit.Decision{}, errDriver
		}
		return b.Memory.Take(ctx, bucket, l, now, n)
	}}},
	{"a short window forgives the debt of a long one", "take-shares-between-limits", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.tats == nil {
			b.tats = make(map[any]int64)
		}
		if tat := b.tats[bucket]; tat > now.Add(l.Window()).UnixNano() {
			b.tats[bucket] = now.Add(l.Window()).UnixNano()
		}
		next, d, err := l.Take(b.tats[bucket], now.UnixNano(), n)
		b.tats[bucket] = next
		return d, err
	}}},
	{"refusals are not written", "take-writes-refusals", kept(whole, func(tat, next int64, d ratelimit.Decision, _ int64) int64 {
		if !d.Allowed {
			return tat
		}
		return next
	}, many)},
	{"a bucket for each limit", "take-shares-between-limits", kept(func(b ratelimit.Bucket, l ratelimit.Limit) any { return place{b, l} }, sound, many)},
	{"room for 200 buckets", "take-forgets-no-debt", kept(whole, sound, 200)},
	{"room for 1000 buckets", "take-forgets-no-debt", kept(whole, sound, 1000)},
	{"buckets are kept for a second", "take-keeps-debt-while-it-lasts", expiring(func(ratelimit.Limit) time.Duration { return time.Second }, wall)},
	{"buckets are kept for an hour of the caller's", "take-keeps-debt-while-it-lasts", expiring(func(ratelimit.Limit) time.Duration { return time.Hour }, given)},
	{"buckets are kept for a window of milliseconds", "take-keeps-debt-while-it-lasts", expiring(func(l ratelimit.Limit) time.Duration { return l.Window() / 1000 }, wall)},
	{"buckets are kept for an interval", "take-keeps-debt-while-it-lasts", expiring(ratelimit.Limit.Interval, wall)},
	{"buckets are kept for the last window", "take-keeps-debt-while-it-lasts", expiring(ratelimit.Limit.Window, wall)},
	{"the window is the burst times the interval", "take-keeps-to-the-window", asked(func(_ *broken, _ *ratelimit.Bucket, l *ratelimit.Limit, _ *time.Time, n *int) {
		if l.Check(*n) == nil {
			*l = unleased(*l)
		}
	})},
	{"the cost may be up to the burst", "take-keeps-to-the-window", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		d, err := b.Memory.Take(ctx, bucket, l, now, n)
		if errors.Is(err, ratelimit.ErrCost) && n > 0 && n <= l.Burst() {
			return ratelimit.Decision{Limit: l, RetryAfter: l.Window()}, nil
		}
		return d, err
	}}},
	{"the horizon is shorter where the window is", "take-keeps-to-the-horizon", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		tat := b.tats[bucket]
		horizon := max(l.Horizon()-(unleased(l).Window()-l.Window()), 61*time.Second)
		if ahead := tat - now.UnixNano(); l.Check(n) == nil && ahead > int64(horizon) {
			tat = now.Add(l.Window()).UnixNano()
		}
		next, d, err := l.Take(tat, now.UnixNano(), n)
		if b.tats == nil {
			b.tats = make(map[any]int64)
		}
		b.tats[bucket] = next
		return d, err
	}}},
	{"a clock that stands still", "take-refills", clock(func(time.Duration) time.Duration { return 0 })},
	{"a clock that is slow", "take-refills", clock(func(d time.Duration) time.Duration { return d / 2 })},
	{"a clock that is fast", "take-keeps-the-rate", clock(func(d time.Duration) time.Duration { return 2 * d })},
	{"whoever hung up is admitted", "take-with-ended-context", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		if ctx.Err() != nil {
			return ratelimit.Decision{Allowed: true, Limit: l}, nil
		}
		return b.Memory.Take(ctx, bucket, l, now, n)
	}}},
	{"an ended context is a wrong limit", "take-with-ended-context", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		if ctx.Err() != nil {
			return ratelimit.Decision{}, ratelimit.ErrInvalidLimit
		}
		return b.Memory.Take(ctx, bucket, l, now, n)
	}}},
	{"read, then write", "concurrent-takes-admit-the-burst", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		b.mu.Lock()
		tat := b.tats[bucket]
		b.mu.Unlock()
		latency(1)
		next, d, err := l.Take(tat, now.UnixNano(), n)
		if err == nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.tats == nil {
				b.tats = make(map[any]int64)
			}
			b.tats[bucket] = next
		}
		return d, err
	}}},
	{"get and increment apart", "concurrent-takes-admit-the-burst", broken{take: func(b *broken, ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		b.mu.Lock()
		tat := b.tats[bucket]
		next, d, err := l.Take(tat, now.UnixNano(), n)
		if err == nil && next < tat { // beyond the horizon
			b.tats[bucket] = next
		}
		b.mu.Unlock()
		latency(1)
		if err == nil && d.Allowed {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.tats == nil {
				b.tats = make(map[any]int64)
			}
			b.tats[bucket] = max(b.tats[bucket], now.UnixNano()) + int64(n)*int64(l.Interval())
		}
		return d, err
	}}},
}
