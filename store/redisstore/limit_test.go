package redisstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/redisstore"
)

func mustLimit(perSecond float64, burst int) ratelimit.Limit {
	l, err := ratelimit.NewLimit(rate.Limit(perSecond), burst)
	if err != nil {
		panic(err)
	}
	return l
}

// daily returns the limit of one request a day with bursts of n.
func daily(n int) ratelimit.Limit { return mustLimit(1.0/86400, n) }

// acme is a bucket.
var acme = ratelimit.Bucket{Space: "org", Name: "acme"}

// leased returns l as [ratelimit.Leases] hands it to a store: with a shorter window
// and the same horizon.
func leased(l ratelimit.Limit) (got ratelimit.Limit) {
	leases, err := ratelimit.NewLeases(takeFunc(func(l ratelimit.Limit) { got = l }), nil)
	if err != nil {
		panic(err)
	}
	leases.Take(context.Background(), acme, l, time.Now(), 1)
	if got.Window() >= l.Window() || got.Horizon() != l.Horizon() {
		panic(fmt.Sprintf("%+v is not leased", l))
	}
	return got
}

// A takeFunc is a store that is only told of limits.
type takeFunc func(l ratelimit.Limit)

func (f takeFunc) Take(_ context.Context, _ ratelimit.Bucket, l ratelimit.Limit, _ time.Time, _ int) (ratelimit.Decision, error) {
	f(l)
	return ratelimit.Decision{}, nil
}

// limits are small, large, with intervals that no binary fraction hits, and with
// windows that end at a whole second.
func limits() []ratelimit.Limit {
	return []ratelimit.Limit{
		ratelimit.MustPerMinute(1), ratelimit.MustPerMinute(7), ratelimit.MustPerMinute(600), ratelimit.MustPerMinute(1_000_000_000),
		mustLimit(1e9, 1), mustLimit(1e9, 1000), mustLimit(1e9, 1_000_000), mustLimit(3, 10), mustLimit(1.0/3, 2), daily(1), daily(52), daily(53), daily(366), mustLimit(1.0/(366*86400), 1),
		leased(ratelimit.MustPerMinute(600)), leased(ratelimit.MustPerMinute(700_000)), leased(mustLimit(3, 50)), leased(ratelimit.MustPer(10_000, time.Hour, 10_000)), leased(daily(53)),
	}
}

// A step is one run of the script with a clock of the test's.
type step struct {
	l        ratelimit.Limit
	tat, now int64 // the latter in whole microseconds
	n        int
}

// check runs the script and compares what it leaves with [ratelimit.Limit.Take].
func (st step) check(t *testing.T, c *redis.Client, key string) (next int64) {
	t.Helper()
	want, _, err := st.l.Take(st.tat, st.now, st.n)
	must(t, err)
	const clockCall = "redis.call('TIME')"
	source, args := redisstore.TakeCall(st.l, st.n)
	if n := strings.Count(source, clockCall); n != 1 {
		t.Fatalf("the script reads the clock %d times", n)
	}
	clock := fmt.Sprintf("{ARGV[%d], ARGV[%d]}", len(args)+1, len(args)+2)
	source = strings.Replace(source, clockCall, clock, 1)
	args = append(args, st.now/1e9, st.now%1e9/1e3)

	var left, life *redis.Cmd
	// In a transaction the key cannot expire between the commands.
	_, err = c.TxPipelined(t.Context(), func(tx redis.Pipeliner) error {
		tx.Del(t.Context(), key)
		if st.tat > 0 {
			tx.Set(t.Context(), key, strconv.FormatInt(st.tat, 10), 0)
		}
		tx.Eval(t.Context(), source, []string{key}, args...)
		left, life = tx.Do(t.Context(), "GET", key), tx.Do(t.Context(), "PTTL", key)
		return nil
	})
	must(t, err)
	text, _ := left.Text()
	if got, err := strconv.ParseInt(text, 10, 64); err != nil || got != want {
		t.Fatalf("%+v: the script left %q, want %d", st, text, want)
	}
	ms, err := life.Int64()
	must(t, err)
	lead := time.Duration(want - st.now)
	if kept := time.Duration(ms) * time.Millisecond; want != st.tat && (kept < lead || kept > lead+2*time.Second) {
		t.Fatalf("%+v: the bucket is full in %v, and kept for %v", st, lead, kept)
	}
	return want
}

// TestTakeScript compares the scripts with the pure function, step by step, on
// schedules with a clock that also jumps, and limits that change.
func TestTakeScript(t *testing.T) {
	t.Parallel()
	c := connect(t, server(t).Socket)
	all := limits()
	for i, l := range all {
		t.Run(fmt.Sprintf("%d in %v", l.Burst(), l.Window()), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(i)))
			key := prefix()
			st := step{l: l, now: 1_700_000_000_999_999_000}
			for range rounds(400, 400, 60) {
				st.n = 1 + random.IntN(min(st.l.Burst(), 5))
				if random.IntN(10) == 0 {
					st.n = int(st.l.Window() / st.l.Interval()) // the burst, unless the limit is leased
				}
				st.tat = st.check(t, c, key)
				switch random.IntN(12) {
				case 0: // the clock goes back, now and then beyond the horizon
					st.now -= random.Int64N(2 * int64(l.Horizon()))
				case 1:
					st.now += random.Int64N(2 * int64(l.Horizon()))
				case 2, 3, 4: // just so that the next request fits, or does not
					st.now = st.tat + int64(st.l.Interval()-st.l.Window()) + random.Int64N(3000) - 1500
				case 5:
					st.l = all[random.IntN(len(all))]
				case 6:
					st.l = l
				default:
					st.now += random.Int64N(2 * int64(l.Interval()))
				}
				st.now = max(st.now-st.now%1000, 1e9)
			}
		})
	}
}

// TestTakeEdges tries timestamps to the nanosecond around those at which the
// answer changes.
func TestTakeEdges(t *testing.T) {
	t.Parallel()
	c := connect(t, server(t).Socket)
	key := prefix()
	for _, now := range []int64{1_700_000_000_000_000_000, 1_700_000_000_999_999_000, 9_000_000_000_000_001_000} {
		for _, l := range limits() {
			for _, edge := range []int64{0, int64(l.Window() - l.Interval()), int64(l.Window()), int64(l.Horizon()), 1e9} {
				for d := int64(-2); d <= 2; d++ {
					step{l, now + edge + d, now, 1}.check(t, c, key)
				}
			}
		}
	}
}

// TestTakeAnswers checks decisions against the bucket that is left, on the
// server's clock.
func TestTakeAnswers(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	clock := func() int64 {
		t.Helper()
		now, err := c.Time(t.Context()).Result()
		must(t, err)
		return now.UnixNano()
	}
	l := ratelimit.MustPerMinute(7)
	tat := int64(0)
	for i, n := range []int{1, 3, 4, 1, 2, 1, 7} {
		before := clock()
		d, err := s.Take(t.Context(), acme, l, time.Unix(0, 0), n)
		must(t, err)
		after := clock()
		left, err := c.Get(t.Context(), p+":b:3:org:acme").Int64()
		must(t, err)
		now := left - int64(d.ResetAfter)
		if now < before || now > after {
			t.Errorf("take %d was decided at %d, not between %d and %d", i, now, before, after)
		}
		next, want, err := l.Take(tat, now, n)
		must(t, err)
		if d != want || left != next {
			t.Errorf("take %d: %+v and %d, want %+v and %d", i, d, left, want, next)
		}
		tat = left
	}
}

func TestTakeOfJunk(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	key := p + ":b:3:org:acme"
	for _, junk := range []string{"x", "", "-1700000000000000000", "17000000000000000000000", "1e18", "1700000000.000000", "123456789"} {
		must(t, c.Set(t.Context(), key, junk, 0).Err())
		d, err := s.Take(t.Context(), acme, daily(1), time.Time{}, 1)
		if junk == "" { // as good as absent
			must(t, err)
			continue
		}
		wants(t, "Take of "+junk, err, keys.ErrCorrupt)
		if d != (ratelimit.Decision{}) {
			t.Errorf("beside an error: %+v", d)
		}
	}
	must(t, c.Del(t.Context(), key).Err())
	must(t, c.RPush(t.Context(), key, "x").Err())
	_, err := s.Take(t.Context(), acme, daily(1), time.Time{}, 1)
	wants(t, "Take of a list", err, keys.ErrCorrupt)
	if d, err := s.Take(t.Context(), ratelimit.Bucket{Space: "org", Name: "other"}, daily(1), time.Time{}, 1); err != nil || !d.Allowed {
		t.Errorf("another bucket: %+v, %v", d, err)
	}
	// Later than any honest clock: as of now, the bucket is empty.
	must(t, c.Set(t.Context(), key, "9999999999999999999", 0).Err())
	d, err := s.Take(t.Context(), acme, daily(2), time.Time{}, 1)
	if err != nil || d.Allowed || d.ResetAfter != 48*time.Hour {
		t.Errorf("a bucket of the year 2286: %+v, %v", d, err)
	}
	if d, err := s.Take(t.Context(), acme, daily(2), time.Time{}, 1); err != nil || d.ResetAfter > 48*time.Hour {
		t.Errorf("the same bucket again: %+v, %v", d, err)
	}
}

// TestTakeIsShared takes from two processes' clients at once.
func TestTakeIsShared(t *testing.T) {
	t.Parallel()
	p := prefix()
	var stores []*redisstore.Store
	for range 2 {
		stores = append(stores, open(t, connect(t, server(t).Socket), redisstore.Options{Prefix: p, Timeout: 10 * time.Second}))
	}
	const burst = 100
	var admitted atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range burst / 4 {
				d, err := stores[i%2].Take(t.Context(), acme, daily(burst), time.Time{}, 1)
				if err != nil {
					t.Error(err)
				}
				if d.Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	all.Wait()
	if admitted.Load() != burst {
		t.Errorf("two clients of a bucket of %d admitted %d", burst, admitted.Load())
	}
}

// TestRefusalsWriteNothing checks that those who keep trying cost no write.
func TestRefusalsWriteNothing(t *testing.T) {
	t.Parallel()
	srv := private(t)
	c := connect(t, srv.Socket)
	s := open(t, c, redisstore.Options{})
	take := func() bool {
		d, err := s.Take(t.Context(), acme, daily(1), time.Time{}, 1)
		must(t, err)
		return d.Allowed
	}
	offset := func() string {
		text, err := c.Info(t.Context(), "persistence").Result()
		must(t, err)
		return redisstore.ParseInfo(text)["aof_current_size"]
	}
	start := offset()
	if !take() || offset() == start {
		t.Fatal("the first request was refused, or not written")
	}
	start = offset()
	for range 10 {
		if take() {
			t.Fatal("admitted")
		}
	}
	if end := offset(); end != start {
		t.Errorf("refusals made the log grow from %s to %s", start, end)
	}
}

func TestTakeRefusesNames(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	for _, b := range []ratelimit.Bucket{{Name: "a"}, {Space: "a"}, {Space: "a", Name: "b\x00"}, {Space: "a\xff", Name: "b"}, {Space: "a\xc3", Name: "\xa4b"}} {
		d, err := s.Take(t.Context(), b, daily(1), time.Time{}, 1)
		wants(t, fmt.Sprintf("Take from %q", b), err, ratelimit.ErrBucket)
		if d != (ratelimit.Decision{}) {
			t.Errorf("beside an error: %+v", d)
		}
	}
	if keys, err := c.Keys(t.Context(), p+":b:*").Result(); err != nil || len(keys) != 0 {
		t.Errorf("buckets were made: %q, %v", keys, err)
	}
}

func TestTakeWithoutTime(t *testing.T) {
	t.Parallel()
	s, _, _ := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := s.Take(ctx, acme, daily(1), time.Time{}, 1); err == nil || d != (ratelimit.Decision{}) {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := s.Take(t.Context(), acme, daily(1), time.Time{}, 1); err != nil || !d.Allowed {
		t.Errorf("after a call whose context had ended: %+v, %v", d, err)
	}
}
