package sqlitestore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// A bucket gives back one request a day, so that no test is too slow for it.
const day = 24 * time.Hour

var acme = ratelimit.Bucket{Space: "org", Name: "acme"}

func daily(burst int) ratelimit.Limit { return ratelimit.MustPer(1, day, burst) }

func take(t testing.TB, s *sqlitestore.Store, b ratelimit.Bucket, l ratelimit.Limit, n int) ratelimit.Decision {
	t.Helper()
	d, err := s.Take(t.Context(), b, l, time.Time{}, n)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func init() { roles["taker"] = takeWhenTold }

const (
	takers    = 3   // processes
	takes     = 100 // by each of two goroutines of a process
	takeBurst = 300
)

// takeWhenTold takes from one bucket and says how often it was admitted.
func takeWhenTold(path string, in *bufio.Scanner, out io.Writer) error {
	s, err := sqlitestore.Open(path, patient())
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintln(out, "ready")
	in.Scan()
	var admitted atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() {
			for range takes {
				d, err := s.Take(ctx, acme, daily(takeBurst), time.Time{}, 1)
				if err != nil {
					errs[i] = err
					return
				}
				if d.Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintln(out, admitted.Load())
	return nil
}

// TestTakeOverProcesses has three processes take from one bucket at once, more
// than it has. Together they get what it has.
func TestTakeOverProcesses(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	var all []*process
	for range takers {
		p := launch(t, "taker", path)
		p.next(t) // ready
		all = append(all, p)
	}
	for _, p := range all {
		fmt.Fprintln(p.in, "go")
	}
	sum := 0
	for _, p := range all {
		n, err := strconv.Atoi(p.next(t))
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != takeBurst {
		t.Errorf("admitted %d of %d, want %d", sum, takers*2*takes, takeBurst)
	}
	if d := take(t, s, acme, daily(takeBurst), 1); d.Allowed || d.Remaining != 0 {
		t.Errorf("one more: %+v", d)
	}
}

// TestTakeOutlivesTheStore opens a file again.
func TestTakeOutlivesTheStore(t *testing.T) {
	t.Parallel()
	path := file(t)
	first, err := sqlitestore.Open(path, patient())
	if err != nil {
		t.Fatal(err)
	}
	take(t, first, acme, daily(5), 3)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if d := take(t, open(t, path), acme, daily(5), 1); d.Remaining != 1 {
		t.Errorf("%d are left after 3 and 1 of 5", d.Remaining)
	}
}

// TestTakeWhileLocked holds that a request that is refused waits for nobody, and
// that the others heed their context.
func TestTakeWhileLocked(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openWith(t, path, &sqlitestore.Options{BusyTimeout: time.Hour})
	take(t, s, acme, daily(5), 5)
	defer locked(t, path)()
	if d := take(t, s, acme, daily(5), 1); d.Allowed || d.RetryAfter <= day-time.Hour {
		t.Errorf("an empty bucket while another process writes: %+v", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	d, err := s.Take(ctx, ratelimit.Bucket{Space: "org", Name: "other"}, daily(5), time.Time{}, 1)
	if !errors.Is(err, context.DeadlineExceeded) || d != (ratelimit.Decision{}) {
		t.Errorf("a full bucket while another process writes: %+v, %v", d, err)
	}
}

// TestClockWasSetBack leaves a bucket as a clock that was a year ahead did.
func TestClockWasSetBack(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	execute(t, database(t, hostDSN(path)), "INSERT INTO claviger_buckets VALUES (?, ?)", acme.Key(), time.Now().AddDate(1, 0, 0).UnixNano())
	if d := take(t, s, acme, daily(5), 1); d.Allowed || d.RetryAfter > day || d.ResetAfter > 5*day {
		t.Errorf("%+v, want a bucket that is empty as of now", d)
	}
	// The debt that was pulled in is written, and does not begin anew.
	d := take(t, s, acme, daily(5), 1)
	if again := take(t, s, acme, daily(5), 1); again.ResetAfter >= d.ResetAfter {
		t.Errorf("full again after %v, and then after %v", d.ResetAfter, again.ResetAfter)
	}
}

// TestSweepBuckets holds that only buckets that are full, and were for a while,
// are dropped, and no more than was asked for.
func TestSweepBuckets(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	db := database(t, hostDSN(path))
	const idle = 250
	for i := range idle {
		execute(t, db, "INSERT INTO claviger_buckets VALUES (?, ?)", fmt.Sprintf("4:idle:%d %s", i, `"\`), time.Now().Add(-2*time.Minute).UnixNano())
	}
	execute(t, db, "INSERT INTO claviger_buckets VALUES ('5:fresh:a', ?)", time.Now().UnixNano())
	take(t, s, acme, daily(5), 1)
	left := func() (names string) {
		t.Helper()
		err := db.QueryRowContext(t.Context(), "SELECT ifnull(group_concat(key, ' '), '') FROM claviger_buckets WHERE key NOT LIKE '4:idle:%'").Scan(&names)
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	for i, want := range []int{1, 120, 129, 0} {
		limit := []int{1, 120, 500, 500}[i]
		if n, err := s.SweepBuckets(t.Context(), limit); n != want || err != nil {
			t.Errorf("SweepBuckets(%d): %d, %v; want %d", limit, n, err, want)
		}
	}
	if names := left(); names != "3:org:acme 5:fresh:a" {
		t.Errorf("left: %s", names)
	}
	if d := take(t, s, acme, daily(5), 1); d.Remaining != 3 {
		t.Errorf("%d are left of 5 after 2", d.Remaining)
	}
	if n, err := s.SweepBuckets(t.Context(), 0); n != 0 || !errors.Is(err, keys.ErrInvalid) {
		t.Errorf("SweepBuckets(0): %d, %v", n, err)
	}
}

// TestDropLooksAgain has a bucket be used after SweepBuckets found it idle.
func TestDropLooksAgain(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	take(t, s, acme, daily(5), 1)
	execute(t, database(t, hostDSN(path)), "INSERT INTO claviger_buckets VALUES ('4:idle:a', 1)")
	if n, err := s.Drop(t.Context(), acme.Key(), "4:idle:a", "4:gone:a"); n != 1 || err != nil {
		t.Errorf("dropped %d, %v; want 1", n, err)
	}
	if d := take(t, s, acme, daily(5), 1); d.Remaining != 3 {
		t.Errorf("%d are left of 5 after 2", d.Remaining)
	}
}

// TestSweepBucketsInUse takes from buckets while they are swept. None gives back
// what was taken.
func TestSweepBucketsInUse(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	db := database(t, hostDSN(path))
	const buckets = 150
	name := func(i int) ratelimit.Bucket { return ratelimit.Bucket{Space: "org", Name: strings.Repeat("x", i+1)} }
	for i := range buckets {
		execute(t, db, "INSERT INTO claviger_buckets VALUES (?, 1)", name(i).Key())
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range buckets {
			take(t, s, name(i), daily(2), 1)
		}
	})
	wg.Go(func() {
		for range 5 {
			if _, err := s.SweepBuckets(t.Context(), 1000); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for i := range buckets {
		if d := take(t, s, name(i), daily(2), 1); !d.Allowed || d.Remaining != 0 {
			t.Errorf("bucket %d after two of two: %+v", i, d)
		}
	}
}
