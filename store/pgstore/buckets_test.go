package pgstore_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/time/rate"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/pgstore"
)

func limit(t testing.TB, perSecond float64, burst int) ratelimit.Limit {
	t.Helper()
	l, err := ratelimit.NewLimit(rate.Limit(perSecond), burst)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// leased returns l as [ratelimit.Leases] hands it to a store: with a shorter window
// and the same horizon.
func leased(t testing.TB, l ratelimit.Limit) (got ratelimit.Limit) {
	t.Helper()
	leases, err := ratelimit.NewLeases(takeFunc(func(l ratelimit.Limit) { got = l }), nil)
	if err != nil {
		t.Fatal(err)
	}
	leases.Take(t.Context(), bucket("a"), l, now, 1)
	if got.Window() >= l.Window() || got.Horizon() != l.Horizon() {
		t.Fatalf("%+v is not leased", l)
	}
	return got
}

// A takeFunc is a store that is only told of limits.
type takeFunc func(l ratelimit.Limit)

func (f takeFunc) Take(_ context.Context, _ ratelimit.Bucket, l ratelimit.Limit, _ time.Time, _ int) (ratelimit.Decision, error) {
	f(l)
	return ratelimit.Decision{}, nil
}

// limits are of all sizes: the smallest interval, the longest window, a window
// beyond the least horizon, and one that was rounded.
func limits(t testing.TB) []ratelimit.Limit {
	return []ratelimit.Limit{
		ratelimit.MustPerMinute(1), ratelimit.MustPerMinute(7), ratelimit.MustPerMinute(600), ratelimit.MustPerMinute(1e9),
		limit(t, 1, 1), limit(t, 1e9, 1), limit(t, 1e9, int(min(int64(1)<<40, math.MaxInt))), limit(t, 0.1, 100), limit(t, 1.0/86400, 366),
		leased(t, ratelimit.MustPerMinute(600)), leased(t, limit(t, 3, 50)), leased(t, ratelimit.MustPer(10_000, time.Hour, 10_000)),
	}
}

// TestArithmetic compares what the server computes with Limit.Take, with times
// that no clock shows.
func TestArithmetic(t *testing.T) {
	t.Parallel()
	dsn(t)
	const unix = 1_700_000_000_000_000_000
	rng := rand.New(rand.NewPCG(1, 2))
	batch := new(pgx.Batch)
	text := pgstore.NextText("$5::bigint", "least($1::bigint, 9191749636854775807)")
	for _, l := range limits(t) {
		window, horizon := int64(l.Window()), int64(l.Horizon())
		for _, now := range []int64{0, 1, unix, math.MaxInt64 - window, math.MaxInt64} {
			tats := []int64{0, 1, now - 1, now, math.MaxInt64, math.MaxInt64 - 1}
			for _, edge := range []int64{0, int64(l.Interval()), window - int64(l.Interval()), window, horizon} {
				if now < math.MaxInt64-horizon-1 {
					tats = append(tats, now+edge-1, now+edge, now+edge+1, now+rng.Int64N(horizon))
				}
			}
			for _, tat := range tats {
				most := int(l.Window() / l.Interval()) // the burst, unless the limit is leased
				for _, n := range []int{1, 1 + rng.IntN(most), most} {
					want, _, err := l.Take(max(tat, 0), now, n)
					if err != nil {
						t.Fatal(err)
					}
					tat := max(tat, 0)
					batch.Queue(text, now, int64(n)*int64(l.Interval()), window, horizon, tat).QueryRow(func(row pgx.Row) error {
						var got, was, at int64
						if err := row.Scan(&got, &was, &at); err != nil {
							return err
						}
						if got != want || was != tat {
							t.Errorf("%d from %d at %d under %+v: next is %d, and it was %d, want %d", n, tat, now, l, got, was, want)
						}
						return nil
					})
				}
			}
		}
	}
	if batch.Len() < 1000 {
		t.Errorf("only %d cases", batch.Len())
	}
	if err := shared.pool.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTakeStepByStep follows one bucket through requests under many limits,
// with its timestamp set by hand now and then, and compares each step with
// Limit.Take.
func TestTakeStepByStep(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	rng := rand.New(rand.NewPCG(3, 4))
	b := ratelimit.Bucket{Space: "org", Name: "step by step"}
	all := limits(t)
	var tat int64
	var refused, pulled int
	for step := range 1000 {
		l := all[rng.IntN(len(all))]
		if step%40 == 0 {
			tat = []int64{
				0, 1, -5, math.MinInt64, math.MaxInt64, time.Now().UnixNano(), time.Now().Add(l.Window()).UnixNano(),
				time.Now().Add(l.Horizon() + time.Hour).UnixNano(), time.Now().Add(-time.Hour).UnixNano(),
			}[rng.IntN(9)]
			execute(t, shared.pool, `INSERT INTO `+name+`.buckets VALUES ($1, $2, 0, 0) ON CONFLICT (key) DO UPDATE SET tat = $2`, b.Key(), tat)
		}
		n := 1 + rng.IntN(min(l.Burst(), 9))
		begin := time.Now()
		got := take(t, s, b, l, n)
		end := time.Now()

		var next, was, at int64
		if err := shared.pool.QueryRow(t.Context(), `SELECT tat, was, at FROM `+name+`.buckets WHERE key = $1`, b.Key()).Scan(&next, &was, &at); err != nil {
			t.Fatal(err)
		}
		if next == tat && !got.Allowed { // refused without a write: the clock shows in the decision alone
			refused++
			at = tat - int64(got.ResetAfter)
			was = tat
		}
		if at < begin.Add(-time.Microsecond).UnixNano() || at > end.UnixNano() {
			t.Fatalf("step %d: decided at %d, want between %d and %d", step, at, begin.UnixNano(), end.UnixNano())
		}
		wantNext, want, err := l.Take(tat, at, n)
		if err != nil || was != tat || next != wantNext || got != want {
			t.Fatalf("step %d: %d from %d at %d under %+v:\nkept %d, which was %d, and decided %+v\nwant %d, %+v, %v",
				step, n, tat, at, l, next, was, got, wantNext, want, err)
		}
		if next < tat {
			pulled++
		}
		tat = next
	}
	if refused < 100 || pulled < 5 {
		t.Errorf("%d refusals and %d timestamps that were pulled in: the steps prove little", refused, pulled)
	}
}

// TestRefusalsWriteNothing checks that requests which are refused leave the row
// as it is, neither written nor locked, and do not wait for one who holds it.
func TestRefusalsWriteNothing(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	b, l := ratelimit.Bucket{Space: "org", Name: "a"}, limit(t, 1.0/86400, 3)
	take(t, s, b, l, 3)
	where := `SELECT ctid::text || xmin::text || xmax::text FROM ` + name + `.buckets`
	before := value[string](t, shared.pool, where)

	tx, err := shared.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	for range 10 {
		if take(t, s, b, l, 1).Allowed {
			t.Fatal("an empty bucket admits")
		}
	}
	if after := value[string](t, shared.pool, where); after != before {
		t.Errorf("the row was %s and is %s", before, after)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM `+name+`.buckets FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if d, err := s.Take(ctx, b, l, now, 1); d.Allowed || err != nil {
		t.Errorf("Take while somebody holds the bucket: %+v, %v, want a refusal", d, err)
	}
}

// TestClockAfterWait checks that a take which waits for another decides by the
// time at which its turn comes.
func TestClockAfterWait(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	b, l := bucket("a"), limit(t, 1, 5)
	take(t, s, b, l, 1)
	tx, err := shared.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `SELECT FROM `+name+`.buckets FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := s.Take(t.Context(), b, l, now, 1)
		done <- err
	}()
	waits(t, `"`+name+`".buckets`)
	turn := value[int64](t, tx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000`)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if at := value[int64](t, shared.pool, `SELECT at FROM `+name+`.buckets`); at < turn {
		t.Errorf("decided by a clock from %v before its turn", time.Duration(turn-at))
	}
}

// TestTakeIsMiscomputed has a trigger of somebody else's change what the server
// computed. Nobody is admitted by that.
func TestTakeIsMiscomputed(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	execute(t, shared.pool, `CREATE FUNCTION `+name+`.spoil() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN NEW.tat = NEW.tat - 1; RETURN NEW; END$$;
		CREATE TRIGGER spoil BEFORE INSERT ON `+name+`.buckets FOR EACH ROW EXECUTE FUNCTION `+name+`.spoil()`)
	d, err := s.Take(t.Context(), bucket("a"), limit(t, 1, 5), now, 1)
	if err == nil || d != (ratelimit.Decision{}) {
		t.Errorf("Take: %+v, %v", d, err)
	}
}

func TestTakeRefusesNames(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	l := limit(t, 1.0/86400, 1)
	for _, test := range []struct {
		name   string
		bucket ratelimit.Bucket
		want   error
	}{
		{"no space", ratelimit.Bucket{Name: "a"}, ratelimit.ErrBucket},
		{"no name", ratelimit.Bucket{Space: "a"}, ratelimit.ErrBucket},
		{"NUL", ratelimit.Bucket{Space: "a", Name: "b\x00"}, ratelimit.ErrBucket},
		{"not UTF-8", ratelimit.Bucket{Space: "a\xff", Name: "b"}, ratelimit.ErrBucket},
		{"a rune in two halves", ratelimit.Bucket{Space: "a\xc3", Name: "\xa4b"}, ratelimit.ErrBucket},
		{"too long", ratelimit.Bucket{Space: "a", Name: strings.Repeat("x", 2050)}, ratelimit.ErrBucket},
		{"the longest, of text that does not compress", ratelimit.Bucket{Space: "a", Name: noise(2000)}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, err := s.Take(t.Context(), test.bucket, l, now, 1)
			fails(t, "Take", err, test.want)
			if d.Allowed != (test.want == nil) || test.want != nil && d != (ratelimit.Decision{}) {
				t.Errorf("the decision is %+v", d)
			}
		})
	}
}

// noise returns n characters without repetitions.
func noise(n int) string {
	rng := rand.New(rand.NewPCG(5, 6))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(' ' + rng.IntN(95))
	}
	return string(b)
}

func TestSweepBuckets(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	at := time.Now()
	for i, tat := range []int64{
		0, 1, at.Add(-time.Hour).UnixNano(), at.Add(-2 * time.Minute).UnixNano(), // idle
		at.Add(-30 * time.Second).UnixNano(), at.Add(time.Minute).UnixNano(), math.MaxInt64,
	} {
		execute(t, shared.pool, `INSERT INTO `+name+`.buckets VALUES ($1, $2, 0, 0)`, fmt.Sprint(i), tat)
	}
	for _, limit := range []int{0, -1, math.MinInt} {
		if n, err := s.SweepBuckets(t.Context(), limit); n != 0 {
			t.Errorf("SweepBuckets of %d removed %d", limit, n)
		} else {
			fails(t, "SweepBuckets", err, keys.ErrInvalid)
		}
	}
	for _, step := range []struct{ limit, want int }{{3, 3}, {math.MaxInt, 1}, {10, 0}} {
		if n, err := s.SweepBuckets(t.Context(), step.limit); n != step.want || err != nil {
			t.Errorf("SweepBuckets of %d removed %d, %v, want %d", step.limit, n, err, step.want)
		}
	}
	if left := value[string](t, shared.pool, `SELECT string_agg(key, ' ' ORDER BY key) FROM `+name+`.buckets`); left != "4 5 6" {
		t.Errorf("buckets %s are left, want 4 5 6", left)
	}
}

// TestSweepGivesNothingBack takes from a bucket while it is swept again and
// again.
func TestSweepGivesNothingBack(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	b, l := ratelimit.Bucket{Space: "org", Name: "a"}, limit(t, 1.0/86400, 50)
	for range 4 {
		// As the row would be after an hour: full, and next to be removed.
		execute(t, shared.pool, `INSERT INTO `+name+`.buckets VALUES ($1, 1, 0, 0) ON CONFLICT (key) DO UPDATE SET tat = 1`, b.Key())
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					if take(t, s, b, l, 1).Allowed {
						admitted.Add(1)
					}
				}
			})
			wg.Go(func() {
				for range 20 {
					if _, err := s.SweepBuckets(t.Context(), 10); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := admitted.Load(); n != 50 {
			t.Fatalf("%d were admitted, want 50", n)
		}
	}
}

// TestUnlogged checks what the package says of unlogged buckets.
func TestUnlogged(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	execute(t, shared.pool, `ALTER TABLE `+name+`.buckets SET UNLOGGED`)
	b, l := ratelimit.Bucket{Space: "org", Name: "a"}, limit(t, 1.0/86400, 1)
	if !take(t, s, b, l, 1).Allowed || take(t, s, b, l, 1).Allowed {
		t.Error("an unlogged bucket does not admit its burst")
	}
}
