package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
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

// mustTake takes from acme.
func mustTake(t *testing.T, s ratelimit.Store, l ratelimit.Limit, n int) ratelimit.Decision {
	t.Helper()
	d, err := s.Take(t.Context(), acme, l, time.Now(), n)
	if err != nil {
		t.Fatal(err)
	}
	if d.Limit != l || d.Remaining < 0 || d.Allowed != (d.RetryAfter == 0) {
		t.Fatalf("an odd decision: %+v", d)
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

// What is left of a lease does not live longer because there is another one, and both
// pay together.
func TestLeasesLeftovers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		wait          time.Duration // after the second lease was taken
		first, second bool          // can be spent then
	}{
		{"both", 200 * time.Millisecond, true, true},
		{"one is too old", 300 * time.Millisecond, false, true},
		{"both are too old", 900 * time.Millisecond, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShared()
				leases := newLeases(t, s, nil)
				l := ratelimit.MustPerMinute(6000)
				mustTake(t, leases, l, 50)
				mustTake(t, leases, l, 1)          // and 49 in advance
				mustTake(t, leases, l, 20)         // of them
				time.Sleep(600 * time.Millisecond) // on the test's own clock
				mustTake(t, leases, l, 40)         // more than are left
				before, asked := s.asked()
				time.Sleep(tt.wait) // on the test's own clock
				got := -1
				for calls := before; calls == before; calls, _ = s.asked() {
					mustTake(t, leases, l, 1)
					got++
				}
				want := 0
				if tt.first {
					want += 29
				}
				if tt.second {
					want += asked - 40
				}
				if got != want || asked <= 40 {
					t.Errorf("%d paid in advance, want %d; asked for %d", got, want, asked)
				}
			})
		})
	}
}

// A request that asked for others too, in vain, asks for itself.
func TestLeasesAsksForItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		leases := newLeases(t, s, nil)
		l := ratelimit.MustPerMinute(6000)
		first, second := make(chan struct{}), make(chan struct{})
		s.hold = first
		var done sync.WaitGroup
		var admitted atomic.Int64
		for range 100 {
			done.Go(func() {
				if mustTake(t, leases, l, 1).Allowed {
					admitted.Add(1)
				}
			})
		}
		synctest.Wait()
		s.mu.Lock()
		s.hold = second
		s.mu.Unlock()
		close(first)
		synctest.Wait()
		if _, n := s.asked(); n != 99 {
			t.Fatalf("asked for %d", n)
		}
		// Another process leaves five.
		if d, err := s.Store.Take(t.Context(), acme, l, time.Now(), 5894); !d.Allowed || err != nil {
			t.Fatal(d, err)
		}
		close(second)
		done.Wait()
		if calls, _ := s.asked(); calls > 4 || admitted.Load() != 6 {
			t.Errorf("%d calls, and %d admitted", calls, admitted.Load())
		}
	})
}

// A request needs three trips at most, whatever others take meanwhile.
func TestLeasesThreeTrips(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asks []int
		s := &shared{hold: make(chan struct{}), Store: storeFunc(func(_ context.Context, _ ratelimit.Bucket, l ratelimit.Limit, _ time.Time, n int) (ratelimit.Decision, error) {
			asks = append(asks, n)
			left := n - 1 // somebody is always a little faster
			if n == 1 {
				left = 50
			}
			return ratelimit.Decision{Allowed: n == 1, ResetAfter: l.Window() - time.Duration(left)*l.Interval()}, nil
		})}
		leases := newLeases(t, s, nil)
		var done sync.WaitGroup
		for range 22 {
			done.Go(func() { mustTake(t, leases, ratelimit.MustPerMinute(600), 1) })
		}
		synctest.Wait()
		close(s.hold)
		done.Wait()
		// The first asks for one. Another asks for all who wait, then for as many as
		// are left, and then for itself.
		if got := fmt.Sprint(asks[:4]); got != "[1 21 20 1]" {
			t.Errorf("asked for %v", asks)
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

// Mistakes are those of the store.
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

// Leases serve all limits a minute, and other limits whose window is not shorter.
func TestLeasesWindows(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		from, for_ ratelimit.Limit
		leased     bool
	}{
		{"the same", ratelimit.MustPerMinute(6000), ratelimit.MustPerMinute(6000), true},
		{"rounded", ratelimit.MustPerMinute(700_000), ratelimit.MustPerMinute(6000), true},
		{"the other way round", ratelimit.MustPerMinute(6000), ratelimit.MustPerMinute(700_000), true},
		{"a longer window", ratelimit.MustPer(100, time.Second, 3000), ratelimit.MustPerMinute(6000), true},
		{"a shorter window", ratelimit.MustPerMinute(6000), ratelimit.MustPer(100, time.Second, 3000), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShared()
				leases := newLeases(t, s, nil)
				mustTake(t, leases, tt.from, int(300*time.Millisecond/tt.from.Interval()))
				mustTake(t, leases, tt.from, 1) // and as much again
				mustTake(t, leases, tt.for_, int(200*time.Millisecond/tt.for_.Interval()))
				if calls, _ := s.asked(); (calls == 2) != tt.leased {
					t.Errorf("%d calls", calls)
				}
			})
		})
	}
}

// A refusal is remembered for what it says, whatever the next request costs.
func TestLeasesRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		leases := newLeases(t, s, nil)
		l := ratelimit.MustPerMinute(600)
		mustTake(t, leases, l, 500) // of 590
		step := func(limit ratelimit.Limit, n int, allowed bool, calls int) ratelimit.Decision {
			t.Helper()
			before, _ := s.asked()
			d := mustTake(t, leases, limit, n)
			after, _ := s.asked()
			if d.Allowed != allowed || after-before != calls {
				t.Fatalf("%d under %+v: %+v in %d calls, want allowed %t in %d", n, limit, d, after-before, allowed, calls)
			}
			return d
		}
		if d := step(l, 100, false, 0); d.RetryAfter != time.Second || d.Remaining != 90 {
			t.Errorf("%+v", d)
		}
		step(l, 91, false, 0)
		step(ratelimit.MustPerMinute(60), 10, false, 0)
		step(l, 20, true, 1)
		step(l, 2, true, 0) // from what was taken beside the 20
		// Another process takes the rest.
		if d, err := s.Take(t.Context(), acme, l, time.Now(), 50); !d.Allowed || err != nil {
			t.Fatal(d, err)
		}
		d := step(l, 60, false, 1)
		if d.RetryAfter < 2*time.Second {
			t.Errorf("%+v", d)
		}
		for range 5 {
			step(l, 61, false, 0)
		}
		time.Sleep(time.Second) // on the test's own clock
		step(l, 60, false, 1)   // somebody may have reset the bucket
		wait := mustTake(t, leases, l, 60).RetryAfter
		time.Sleep(wait - 1) // on the test's own clock
		step(l, 60, false, 1)
		time.Sleep(1) // on the test's own clock
		step(l, 60, true, 1)
	})
}

// When hardly anything is left, the store is asked three times a second, and no
// refusal tells to come too early.
func TestLeasesAlmostEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		leases := newLeases(t, s, nil)
		l := ratelimit.MustPerMinute(6000)
		mustTake(t, leases, l, 5850) // half a second is left
		before, _ := s.asked()
		admitted := 0
		for range 1000 {
			d := mustTake(t, leases, l, 1)
			if d.Allowed {
				admitted++
			} else if d.RetryAfter > time.Second/3 || d.NextAfter != d.RetryAfter || d.Remaining != 0 {
				t.Fatalf("%+v", d)
			}
			time.Sleep(time.Millisecond) // on the test's own clock
		}
		calls, _ := s.asked()
		if calls-before > 3 || admitted < 20 {
			t.Errorf("%d calls in a second, and %d admitted", calls-before, admitted)
		}
		d := mustTake(t, leases, l, 1)
		for d.Allowed {
			d = mustTake(t, leases, l, 1)
		}
		time.Sleep(d.RetryAfter) // on the test's own clock
		if d := mustTake(t, leases, l, 1); !d.Allowed {
			t.Errorf("refused after RetryAfter: %+v", d)
		}
	})
}

// Requests that arrive while a trip is under way are asked for together.
func TestLeasesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		s.hold = make(chan struct{})
		leases := newLeases(t, s, nil)
		l := ratelimit.MustPerMinute(6000)
		var done sync.WaitGroup
		for range 100 {
			done.Go(func() {
				if d := mustTake(t, leases, l, 1); !d.Allowed {
					t.Errorf("%+v", d)
				}
			})
		}
		synctest.Wait()
		if calls, n := s.asked(); calls != 1 || n != 1 {
			t.Fatalf("%d calls, the last for %d", calls, n)
		}
		close(s.hold)
		done.Wait()
		if calls, n := s.asked(); calls != 2 || n != 99 {
			t.Errorf("%d calls, the last for %d", calls, n)
		}
	})
}

// More requests are at hand than there is room for: those that fit are admitted.
func TestLeasesTooMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		l := ratelimit.MustPerMinute(600)
		if d, err := s.Take(t.Context(), acme, l, time.Now(), 550); !d.Allowed || err != nil {
			t.Fatal(d, err) // of 590
		}
		s.calls, s.hold = 0, make(chan struct{})
		leases := newLeases(t, s, nil)
		var done sync.WaitGroup
		var mu sync.Mutex
		admitted := 0
		for range 100 {
			done.Go(func() {
				d := mustTake(t, leases, l, 1)
				mu.Lock()
				defer mu.Unlock()
				if d.Allowed {
					admitted++
				}
			})
		}
		synctest.Wait()
		close(s.hold)
		done.Wait()
		if calls, _ := s.asked(); calls > 3 || admitted != 40 {
			t.Errorf("%d calls, and %d admitted", calls, admitted)
		}
	})
}

// A request that waits for others leaves when its context ends. What was taken for
// it is there for others.
func TestLeasesContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		s.hold = make(chan struct{})
		leases := newLeases(t, s, nil)
		l := ratelimit.MustPerMinute(6000)
		ctx, cancel := context.WithCancel(t.Context())
		take := func(ctx context.Context, want error) func() {
			return func() {
				d, err := leases.Take(ctx, acme, l, time.Now(), 1)
				if !errors.Is(err, want) || d.Allowed != (want == nil) {
					t.Errorf("%+v, %v; want %v", d, err, want)
				}
			}
		}
		var done sync.WaitGroup
		done.Go(take(ctx, context.Canceled)) // asks
		synctest.Wait()
		done.Go(take(ctx, context.Canceled)) // waits
		done.Go(take(t.Context(), nil))      // waits, and asks for itself then
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(s.hold)
		done.Wait()
		if calls, n := s.asked(); calls != 2 || n > 2 {
			t.Errorf("%d calls, the last for %d", calls, n)
		}
	})
}

// A store that fails, or panics, fails for all who wait. Nothing is remembered.
func TestLeasesFailures(t *testing.T) {
	t.Parallel()
	panics := storeFunc(func(context.Context, ratelimit.Bucket, ratelimit.Limit, time.Time, int) (ratelimit.Decision, error) {
		panic("the store is broken")
	})
	for name, tt := range map[string]struct {
		store ratelimit.Store
		want  error
	}{"error": {failing(errDown), errDown}, "panic": {panics, nil}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &shared{Store: tt.store, hold: make(chan struct{})}
				leases := newLeases(t, s, nil)
				var done sync.WaitGroup
				for range 10 {
					done.Go(func() {
						defer func() {
							if r := recover(); (r != nil) && tt.want != nil {
								t.Error(r)
							}
						}()
						d, err := leases.Take(t.Context(), acme, ratelimit.MustPerMinute(60), time.Now(), 1)
						if d != (ratelimit.Decision{}) || err == nil || tt.want != nil && !errors.Is(err, tt.want) {
							t.Errorf("%+v, %v", d, err)
						}
					})
				}
				synctest.Wait()
				close(s.hold)
				done.Wait()
				if calls, _ := s.asked(); calls != 1 {
					t.Errorf("%d calls", calls)
				}
				if n := leases.Stats().Buckets; n != 0 {
					t.Errorf("%d buckets are known", n)
				}
			})
		})
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

// An answer that is too late decides the request that asked, and leases nothing.
func TestLeasesLateAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := time.Duration(0)
		inner := newShared()
		s := storeFunc(func(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
			d, err := inner.Take(ctx, b, l, now, n)
			time.Sleep(slow) // on the test's own clock
			return d, err
		})
		leases := newLeases(t, s, nil)
		l := ratelimit.MustPerMinute(6000)
		mustTake(t, leases, l, 100)
		slow = 900 * time.Millisecond
		if d := mustTake(t, leases, l, 1); !d.Allowed {
			t.Errorf("%+v", d)
		}
		if _, n := inner.asked(); n != 100 {
			t.Fatalf("asked for %d", n)
		}
		slow = 0
		mustTake(t, leases, l, 1)
		if calls, _ := inner.asked(); calls != 3 {
			t.Errorf("%d calls: what came late was kept", calls)
		}
	})
}

// A store that does not keep to the window of the limit is found out.
func TestLeasesOverBadStore(t *testing.T) {
	t.Parallel()
	tats := map[ratelimit.Bucket]int64{}
	s := storeFunc(func(_ context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
		next, d, err := ratelimit.MustPer(1, l.Interval(), l.Burst()).Take(tats[b], now.UnixNano(), n)
		tats[b] = next
		return d, err
	})
	leases := newLeases(t, s, nil)
	l := ratelimit.MustPerMinute(600)
	if d, err := leases.Take(t.Context(), acme, l, epoch, 590); !d.Allowed || err != nil {
		t.Fatal(d, err)
	}
	other := newLeases(t, s, nil)
	if d, err := other.Take(t.Context(), acme, l, epoch, 1); d != (ratelimit.Decision{}) || err == nil {
		t.Errorf("%+v, %v; want an error", d, err)
	}
}

// Buckets are forgotten within seconds after the last trip for them, given others.
func TestLeasesForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leases := newLeases(t, newShared(), nil)
		l := ratelimit.MustPerMinute(600)
		for i := range 20_000 {
			if _, err := leases.Take(t.Context(), ratelimit.Bucket{Space: "org", Name: strconv.Itoa(i)}, l, time.Now(), 1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // on the test's own clock
		}
		if n := leases.Stats().Buckets; n < 2000 || n > 3200 {
			t.Errorf("%d buckets are known, want those of the last two or three seconds", n)
		}
		time.Sleep(2 * time.Second) // on the test's own clock
		for range 64 {
			if _, err := leases.Take(t.Context(), acme, l, time.Now(), 550); err != nil {
				t.Fatal(err)
			}
			leases.Take(t.Context(), acme, ratelimit.MustPerMinute(6000), time.Now(), 5500)
			time.Sleep(time.Second) // on the test's own clock
		}
		if n := leases.Stats().Buckets; n != 1 {
			t.Errorf("%d buckets are known, want that of acme", n)
		}
	})
}

// A sleep of the machine, in which the monotonic clock stands still, ends leases.
func TestLeasesClocks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		mono, wall time.Duration
		ends       bool
	}{
		{"nothing", 0, 0, false},
		{"in time", 833 * time.Millisecond, 833 * time.Millisecond, false},
		{"too late", 834 * time.Millisecond, 834 * time.Millisecond, true},
		{"sleep", 0, 834 * time.Millisecond, true},
		{"wall clock set back", 100 * time.Millisecond, -time.Hour, false},
		{"too late, and set back", 834 * time.Millisecond, -time.Hour, true},
		{"wall clock set forward", 100 * time.Millisecond, time.Hour, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShared()
			var mono, wall int64 = 1e18, 2e18
			leases, err := ratelimit.NewLeasesBy(s, nil, func() (int64, int64) { return mono, wall })
			if err != nil {
				t.Fatal(err)
			}
			l := ratelimit.MustPerMinute(6000)
			mustTake(t, leases, l, 50)
			mustTake(t, leases, l, 1)
			mono, wall = mono+int64(tt.mono), wall+int64(tt.wall)
			mustTake(t, leases, l, 1)
			if calls, _ := s.asked(); (calls == 3) != tt.ends {
				t.Errorf("%d calls", calls)
			}
		})
	}
}
