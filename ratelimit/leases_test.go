package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

var acme = ratelimit.Bucket{Space: "org", Name: "acme"}

// A shared is a store that processes share: a Memory that decides by its own clock.
// It counts its calls, and notes what it was asked for last.
type shared struct {
	ratelimit.Store // of a type that does not tell that it is a Memory

	mu    sync.Mutex
	calls int
	limit ratelimit.Limit
	n     int
	err   error
	hold  chan struct{} // if not nil, calls wait for it before they take
}

func newShared() *shared {
	m := new(ratelimit.Memory)
	return &shared{Store: storeFunc(func(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, _ time.Time, n int) (ratelimit.Decision, error) {
		return m.Take(ctx, b, l, time.Now(), n)
	})}
}

func (s *shared) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	s.mu.Lock()
	s.calls, s.limit, s.n = s.calls+1, l, n
	hold, err := s.hold, s.err
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ratelimit.Decision{}, ctx.Err()
		}
	}
	if err != nil {
		return ratelimit.Decision{}, err
	}
	return s.Store.Take(ctx, b, l, now, n)
}

// asked returns the number of calls so far, and the number of requests that the last
// one was for.
func (s *shared) asked() (calls, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.n
}

func (s *shared) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func newLeases(t testing.TB, s ratelimit.Store, opts *ratelimit.LeasesOptions) *ratelimit.Leases {
	t.Helper()
	l, err := ratelimit.NewLeases(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// mustTake takes from acme, and checks what is true of all decisions.
func mustTake(t *testing.T, s ratelimit.Store, l ratelimit.Limit, n int) ratelimit.Decision {
	t.Helper()
	d, err := s.Take(t.Context(), acme, l, time.Now(), n)
	if err != nil || d.Limit != l || d.Remaining < 0 || d.Allowed != (d.RetryAfter == 0) {
		t.Errorf("an odd decision: %+v, %v", d, err) // not Fatal, since goroutines call it
	}
	return d
}

func TestNewLeases(t *testing.T) {
	t.Parallel()
	inner := newLeases(t, newShared(), nil)
	tests := []struct {
		name  string
		store ratelimit.Store
		opts  *ratelimit.LeasesOptions
		ok    bool
	}{
		{"nil options", newShared(), nil, true},
		{"zero options", newShared(), &ratelimit.LeasesOptions{}, true},
		{"no direct space", newShared(), &ratelimit.LeasesOptions{Direct: []string{}}, true},
		{"nil store", nil, nil, false},
		{"a Memory", &ratelimit.Memory{}, nil, false},
		{"a nil Memory", (*ratelimit.Memory)(nil), nil, false},
		{"a struct with a Memory", &embedding{}, nil, false},
		{"leases", inner, nil, false},
		{"nil leases", (*ratelimit.Leases)(nil), nil, false},
		{"a struct with leases", struct{ *ratelimit.Leases }{inner}, nil, false},
		{"invalid space", newShared(), &ratelimit.LeasesOptions{Direct: []string{"a", "\x00"}}, false},
		{"empty space", newShared(), &ratelimit.LeasesOptions{Direct: []string{""}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := ratelimit.NewLeases(tt.store, tt.opts)
			if (err == nil) != tt.ok || (l != nil) != tt.ok {
				t.Errorf("%v, %v; want ok %t", l, err, tt.ok)
			}
		})
	}
	if _, err := ratelimit.NewLimiter((*ratelimit.Leases)(nil), nil); err == nil {
		t.Error("a limiter over nil leases")
	}
}

// The store is asked for more as more is spent, under a window that is a second
// shorter and with the horizon of the full one.
func TestLeasesAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		leases := newLeases(t, s, nil)
		l := ratelimit.MustPerMinute(6000)
		var asks []int
		for i := range 100 {
			before, _ := s.asked()
			if d := mustTake(t, leases, l, 1); !d.Allowed || d.Remaining != 5900-i-1 {
				t.Fatalf("request %d: %+v", i, d)
			}
			if calls, n := s.asked(); calls > before {
				asks = append(asks, n)
			}
		}
		if fmt.Sprint(asks) != "[1 1 2 4 8 16 32 64]" {
			t.Errorf("asked for %v", asks)
		}
		if s.limit.Window() != 59*time.Second || s.limit.Horizon() != l.Horizon() || s.limit.Interval() != l.Interval() {
			t.Errorf("asked under %+v", s.limit)
		}
		if s.limit.Check(5900) != nil || s.limit.Check(5901) != ratelimit.ErrCost {
			t.Errorf("5900 and no more fit into the window of %+v", s.limit)
		}
		if got := leases.Stats(); got != (ratelimit.LeaseStats{Leased: 92, Trips: 8, Buckets: 1}) {
			t.Errorf("%+v", got)
		}
		// Twenty-eight are left in the lease, and are there for 833 milliseconds.
		time.Sleep(833 * time.Millisecond) // on the test's own clock
		mustTake(t, leases, l, 27)
		time.Sleep(time.Millisecond) // on the test's own clock
		mustTake(t, leases, l, 1)
		if calls, n := s.asked(); calls != 9 || n < 50 || n > 130 {
			t.Errorf("%d calls, the last for %d", calls, n)
		}
		// A quarter of what was left is the most.
		time.Sleep(time.Second) // on the test's own clock
		left := mustTake(t, leases, l, 5600).Remaining
		mustTake(t, leases, l, 1)
		if _, n := s.asked(); n != left/4 && n != left/4+1 {
			t.Errorf("asked for %d, and %d were left", n, left)
		}
	})
}

// Limits that have a shorter window already are not leased again.
func TestLeasesTwice(t *testing.T) {
	t.Parallel()
	s := newShared()
	inner := newLeases(t, s, nil)
	outer := newLeases(t, storeFunc(inner.Take), nil) // of a type that does not tell
	for range 10 {
		mustTake(t, outer, ratelimit.MustPerMinute(6000), 10)
	}
	if n := inner.Stats(); n.Leased != 0 || n.Trips == 0 || s.limit.Window() != 59*time.Second {
		t.Errorf("%+v, and the store was asked under %v", n, s.limit.Window())
	}
}

// What is not leased goes to the store as it came.
func TestLeasesDirect(t *testing.T) {
	t.Parallel()
	minute := ratelimit.MustPerMinute(600)
	tests := []struct {
		name   string
		direct []string
		bucket ratelimit.Bucket
		limit  ratelimit.Limit
		n      int
		leased bool
	}{
		{"org", nil, acme, minute, 1, true},
		{"manage", nil, ratelimit.Bucket{Space: "manage", Name: "acme"}, minute, 1, false},
		{"manage, leased", []string{}, ratelimit.Bucket{Space: "manage", Name: "acme"}, minute, 1, true},
		{"other spaces", []string{"a", "org"}, acme, minute, 1, false},
		{"almost sixteen seconds", nil, acme, ratelimit.MustPer(1, time.Second-1, 16), 1, false},
		{"sixteen seconds", nil, acme, ratelimit.MustPer(1, time.Second, 16), 1, true},
		{"a whole burst", nil, acme, minute, 600, false},
		{"a second less", nil, acme, minute, 590, true},
		{"a little more", nil, acme, minute, 591, false},
		{"one a minute", nil, acme, ratelimit.MustPerMinute(1), 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShared()
			leases := newLeases(t, s, &ratelimit.LeasesOptions{Direct: tt.direct})
			d, err := leases.Take(t.Context(), tt.bucket, tt.limit, time.Now(), tt.n)
			if err != nil || !d.Allowed || d.Limit != tt.limit {
				t.Fatalf("%+v, %v", d, err)
			}
			if leased := s.limit != tt.limit; leased != tt.leased {
				t.Errorf("the store was asked under %+v", s.limit)
			}
			if buckets := leases.Stats().Buckets; (buckets == 1) != tt.leased {
				t.Errorf("%d buckets are known", buckets)
			}
		})
	}
}

// A Limiter in a space without leases asks the store each time, and so does a limit that
// is too short for them, also in a bucket that has a lease.
func TestLimitersDirect(t *testing.T) {
	t.Parallel()
	s := newShared()
	leases := newLeases(t, s, nil)
	lim, err := ratelimit.NewLimiter(leases, nil)
	if err != nil {
		t.Fatal(err)
	}
	manage, err := lim.In("manage")
	if err != nil {
		t.Fatal(err)
	}
	minute, short := ratelimit.MustPerMinute(600), ratelimit.MustPer(1, time.Second, 2)
	for n := 1; n <= 10; n++ {
		if d, err := manage.Take(t.Context(), "acme", minute, 1); err != nil || !d.Allowed {
			t.Fatalf("%+v, %v", d, err)
		}
		if calls, _ := s.asked(); calls != n || s.limit != minute || leases.Stats().Buckets != 0 {
			t.Errorf("after %d requests, the store was asked %d times, under %+v", n, calls, s.limit)
		}
	}
	for range 5 {
		mustTake(t, leases, minute, 1)
	}
	before, _ := s.asked()
	mustTake(t, leases, short, 1)
	if calls, _ := s.asked(); calls != before+1 || s.limit != short {
		t.Errorf("the store was asked %d times under the short limit", calls-before)
	}
}

// A refusal counts from the answer of the store, and not from when it was asked.
func TestRefusalsCountFromTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		minute := ratelimit.MustPerMinute(60)
		m := new(ratelimit.Memory)
		var said ratelimit.Decision
		s := storeFunc(func(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, _ time.Time, n int) (d ratelimit.Decision, err error) {
			time.Sleep(2 * time.Second) // on the test's own clock
			if _, err := m.Take(ctx, b, minute, time.Now(), 60); err != nil {
				return d, err
			}
			said, err = m.Take(ctx, b, l, time.Now(), n)
			return said, err
		})
		if d := mustTake(t, newLeases(t, s, nil), minute, 1); d.Allowed || d.RetryAfter != said.RetryAfter || d.ResetAfter != said.ResetAfter || d.RetryAfter < 2*time.Second {
			t.Errorf("%+v, where the store said %+v", d, said)
		}
	})
}

// A mistake of the caller fails with the error of the store, and leaves no account.
func TestLeasesErrors(t *testing.T) {
	t.Parallel()
	leases := newLeases(t, newShared(), nil)
	minute := ratelimit.MustPerMinute(600)
	for _, tt := range []struct {
		limit ratelimit.Limit
		n     int
		want  error
	}{{minute, 0, ratelimit.ErrCost}, {minute, -1, ratelimit.ErrCost}, {minute, 601, ratelimit.ErrCost}, {ratelimit.Limit{}, 1, ratelimit.ErrInvalidLimit}} {
		if d, err := leases.Take(t.Context(), acme, tt.limit, time.Now(), tt.n); d != (ratelimit.Decision{}) || !errors.Is(err, tt.want) {
			t.Errorf("%d under %+v: %+v, %v", tt.n, tt.limit, d, err)
		}
	}
	if s := leases.Stats(); s.Buckets != 0 {
		t.Errorf("%+v", s)
	}
}

// What was leased is spent when the store fails.
func TestLeasesOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		leases := newLeases(t, s, nil)
		l := ratelimit.MustPerMinute(6000)
		mustTake(t, leases, l, 50)
		mustTake(t, leases, l, 1) // of 50
		s.fail(errDown)
		for range 49 {
			if d := mustTake(t, leases, l, 1); !d.Allowed {
				t.Fatalf("%+v", d)
			}
		}
		if d, err := leases.Take(t.Context(), acme, l, time.Now(), 1); d != (ratelimit.Decision{}) || !errors.Is(err, errDown) {
			t.Errorf("%+v, %v", d, err)
		}
		s.fail(nil)
		if d := mustTake(t, leases, l, 1); !d.Allowed {
			t.Errorf("%+v", d)
		}
		for name := range 100 {
			s.fail(errDown)
			leases.Take(t.Context(), ratelimit.Bucket{Space: "org", Name: strconv.Itoa(name)}, l, time.Now(), 1)
		}
		if n := leases.Stats().Buckets; n != 1 {
			t.Errorf("%d buckets are known, want that of acme", n)
		}
	})
}

// A lease ends to the nanosecond, and what is refused without the store is counted.
func TestLeasesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		leases := newLeases(t, s, nil)
		l := ratelimit.MustPerMinute(6000)
		for range 3 {
			mustTake(t, leases, l, 1)
		}
		before, n := s.asked()
		if n != 2 {
			t.Fatalf("asked for %d", n)
		}
		time.Sleep(time.Second * 10 / 12) // on the test's own clock
		mustTake(t, leases, l, 1)
		if calls, _ := s.asked(); calls != before+1 {
			t.Errorf("%d calls, want %d: a lease that has ended was used", calls, before+1)
		}
		few := ratelimit.MustPerMinute(60)
		other := newLeases(t, newShared(), nil)
		mustTake(t, other, few, 59)
		for range 5 {
			if d := mustTake(t, other, few, 1); d.Allowed {
				t.Errorf("%+v", d)
			}
		}
		if got := other.Stats(); got.Refused != 5 || got.Trips != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// The list of spaces is the caller's own.
func TestLeasesCopyTheirSpaces(t *testing.T) {
	t.Parallel()
	s := newShared()
	direct := []string{"org"}
	leases := newLeases(t, s, &ratelimit.LeasesOptions{Direct: direct})
	direct[0] = "manage"
	l := ratelimit.MustPerMinute(600)
	if mustTake(t, leases, l, 1); s.limit != l {
		t.Errorf("the store was asked under %+v", s.limit)
	}
}
