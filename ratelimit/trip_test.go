package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A request whose trip asked for more than the request alone, and was refused, asks
// for itself alone.
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

// More requests wait than the bucket has room for: those that fit are admitted.
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
		for range 5 {
			done.Go(take(t.Context(), nil)) // waits; one asks for all then
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(s.hold)
		done.Wait()
		if calls, n := s.asked(); calls != 2 || n < 5 || n > 6 {
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

// An answer that comes late decides the request that asked, and leaves no lease.
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

// A store that gives out requests without counting them is found out too.
func TestLeasesOverStoreThatForgets(t *testing.T) {
	t.Parallel()
	s := storeFunc(func(_ context.Context, _ ratelimit.Bucket, l ratelimit.Limit, _ time.Time, n int) (ratelimit.Decision, error) {
		return ratelimit.Decision{Allowed: true, Limit: l, Remaining: l.Burst() - n}, nil
	})
	if d, err := newLeases(t, s, nil).Take(t.Context(), acme, ratelimit.MustPerMinute(600), epoch, 1); d != (ratelimit.Decision{}) || err == nil {
		t.Errorf("%+v, %v; want an error", d, err)
	}
}

// A mistake of one caller is not the fault of those who wait for the same bucket.
func TestLeasesMistakesOfOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := newShared()
		gate := make(chan struct{})
		leases := newLeases(t, storeFunc(func(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
			<-gate
			if n == 7 {
				return ratelimit.Decision{}, ratelimit.ErrCost
			}
			return inner.Take(ctx, b, l, now, n)
		}), nil)
		var calls sync.WaitGroup
		var errs [2]error
		for i, n := range []int{7, 1} {
			calls.Go(func() { _, errs[i] = leases.Take(t.Context(), acme, ratelimit.MustPerMinute(600), time.Now(), n) })
			synctest.Wait() // so that the second one waits
		}
		close(gate)
		calls.Wait()
		if want := [2]error{ratelimit.ErrCost, nil}; errs != want {
			t.Errorf("%v, want %v", errs, want)
		}
	})
}
