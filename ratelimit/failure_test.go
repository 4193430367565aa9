package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

func TestLimiterOnFailure(t *testing.T) {
	t.Parallel()
	l := ratelimit.MustPerMinute(2)
	admit := func(remaining int, reset time.Duration) ratelimit.Decision {
		return ratelimit.Decision{Allowed: true, Limit: l, Remaining: remaining, NextAfter: 30 * time.Second, ResetAfter: reset, Fallback: true}
	}
	tests := []struct {
		name   string
		policy ratelimit.FailurePolicy
		want   [3]ratelimit.Decision // zero: ErrUnavailable
	}{
		{"local", ratelimit.FallbackLocal, [3]ratelimit.Decision{
			admit(1, 30*time.Second), admit(0, time.Minute),
			{Limit: l, RetryAfter: 30 * time.Second, NextAfter: 30 * time.Second, ResetAfter: time.Minute, Fallback: true},
		}},
		{"closed", ratelimit.FailClosed, [3]ratelimit.Decision{}},
		{"open", ratelimit.InsecureFailOpen, [3]ratelimit.Decision{
			admit(1, 30*time.Second), admit(1, 30*time.Second), admit(1, 30*time.Second),
		}},
	}
	stores := map[string]ratelimit.Store{"other": failing(errDown), "embedding": &embedding{err: errDown}}
	for _, tt := range tests {
		for kind, store := range stores {
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				type key struct{}
				ctx := context.WithValue(context.Background(), key{}, "caller")
				hooked := 0
				lim := newLimiter(t, store, &ratelimit.Options{
					Space:     "client",
					OnFailure: tt.policy,
					Hook: func(ctx context.Context, b ratelimit.Bucket, err error) {
						hooked++
						if ctx.Value(key{}) != "caller" || b != (ratelimit.Bucket{Space: "client", Name: "acme"}) || !errors.Is(err, errDown) {
							t.Errorf("hook got %v, %q, %v", ctx, b, err)
						}
					},
				})
				for i, want := range tt.want {
					d, err := lim.TakeAt(ctx, "acme", l, epoch, 1)
					if d != want {
						t.Errorf("decision %d: %+v, want %+v", i, d, want)
					}
					if want != (ratelimit.Decision{}) {
						if err != nil {
							t.Errorf("decision %d: %v", i, err)
						}
					} else if !errors.Is(err, ratelimit.ErrUnavailable) || !errors.Is(err, errDown) {
						t.Errorf("decision %d: %v, want ErrUnavailable around the store's error", i, err)
					}
				}
				if hooked != 3 || lim.Failures() != 3 {
					t.Errorf("hook called %d times, %d failures counted, want 3", hooked, lim.Failures())
				}
			})
		}
	}
}

// Mistakes of the caller are errors under every policy, and do not count as failures.
func TestLimiterConfigurationErrors(t *testing.T) {
	t.Parallel()
	good := ratelimit.MustPerMinute(10)
	tests := []struct {
		name   string
		store  ratelimit.Store
		bucket string
		limit  ratelimit.Limit
		n      int
		want   error
	}{
		{"zero limit", nil, "acme", ratelimit.Limit{}, 1, ratelimit.ErrInvalidLimit},
		{"cost of zero", nil, "acme", good, 0, ratelimit.ErrCost},
		{"negative cost", nil, "acme", good, -5, ratelimit.ErrCost},
		{"cost above the burst", nil, "acme", good, 11, ratelimit.ErrCost},
		{"largest cost", nil, "acme", good, math.MaxInt, ratelimit.ErrCost},
		{"empty name", nil, "", good, 1, ratelimit.ErrBucket},
		{"the store says limit", failing(fmt.Errorf("too wide: %w", ratelimit.ErrInvalidLimit)), "acme", good, 1, ratelimit.ErrInvalidLimit},
		{"the store says cost", failing(ratelimit.ErrCost), "acme", good, 1, ratelimit.ErrCost},
		{"the store says bucket", failing(fmt.Errorf("too long: %w", ratelimit.ErrBucket)), "acme", good, 1, ratelimit.ErrBucket},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stores := []ratelimit.Store{tt.store}
			if tt.store == nil {
				stores = []ratelimit.Store{&ratelimit.Memory{}, &embedding{}, failing(errDown)}
			}
			for _, store := range stores {
				for _, policy := range []ratelimit.FailurePolicy{ratelimit.FallbackLocal, ratelimit.FailClosed, ratelimit.InsecureFailOpen} {
					lim := newLimiter(t, store, &ratelimit.Options{
						OnFailure: policy,
						Hook:      func(context.Context, ratelimit.Bucket, error) { t.Error("hook called") },
					})
					d, err := lim.TakeAt(context.Background(), tt.bucket, tt.limit, epoch, tt.n)
					if d != (ratelimit.Decision{}) || !errors.Is(err, tt.want) || errors.Is(err, ratelimit.ErrUnavailable) {
						t.Errorf("%T under policy %d: %+v, %v; want %v", store, policy, d, err, tt.want)
					}
					if lim.Failures() != 0 {
						t.Errorf("%T under policy %d: counted as a failure", store, policy)
					}
				}
			}
		})
	}
}

// A store that hangs costs the timeout and no more, and then the limiter decides.
func TestLimiterTimeout(t *testing.T) {
	t.Parallel()
	hanging := storeFunc(func(ctx context.Context, _ ratelimit.Bucket, _ ratelimit.Limit, _ time.Time, _ int) (ratelimit.Decision, error) {
		<-ctx.Done()
		return ratelimit.Decision{}, ctx.Err()
	})
	tests := []struct {
		name      string
		set, want time.Duration
	}{
		{"default", 0, 250 * time.Millisecond},
		{"three seconds", 3 * time.Second, 3 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lim := newLimiter(t, hanging, &ratelimit.Options{
					Timeout: tt.set,
					Hook: func(_ context.Context, _ ratelimit.Bucket, err error) {
						if !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("hook got %v", err)
						}
					},
				})
				begin := time.Now()
				d, err := lim.Take(context.Background(), "acme", ratelimit.MustPerMinute(1), 1)
				if err != nil || !d.Allowed || !d.Fallback {
					t.Errorf("%+v, %v; want the local bucket's answer", d, err)
				}
				if took := time.Since(begin); took != tt.want {
					t.Errorf("took %v, want %v", took, tt.want)
				}
			})
		})
	}
}

// Answers that no bucket could give are put right.
func TestLimiterNonsense(t *testing.T) {
	t.Parallel()
	l := ratelimit.MustPerMinute(60)
	tests := []struct {
		name string
		got  ratelimit.Decision
		want ratelimit.Decision
	}{
		{
			"good, admitted",
			ratelimit.Decision{Allowed: true, Limit: l, Remaining: 7, NextAfter: 1, ResetAfter: 52*time.Second + 1},
			ratelimit.Decision{Allowed: true, Remaining: 7, NextAfter: 1, ResetAfter: 52*time.Second + 1},
		},
		{
			"good, refused",
			ratelimit.Decision{Limit: l, Remaining: 1, RetryAfter: 1, NextAfter: 1, ResetAfter: time.Minute},
			ratelimit.Decision{Remaining: 1, RetryAfter: 1, NextAfter: 1, ResetAfter: time.Minute},
		},
		{
			"good, a debt beyond the window",
			ratelimit.Decision{Limit: l, RetryAfter: 2500 * time.Millisecond, NextAfter: 1500 * time.Millisecond, ResetAfter: 60500 * time.Millisecond},
			ratelimit.Decision{RetryAfter: 2500 * time.Millisecond, NextAfter: 1500 * time.Millisecond, ResetAfter: 60500 * time.Millisecond},
		},
		{
			"zero",
			ratelimit.Decision{},
			ratelimit.Decision{RetryAfter: time.Second, NextAfter: time.Second, ResetAfter: time.Second},
		},
		{
			"negative",
			ratelimit.Decision{Allowed: true, Remaining: -1, RetryAfter: -1, NextAfter: -1, ResetAfter: -1},
			ratelimit.Decision{Allowed: true, NextAfter: time.Second, ResetAfter: time.Second},
		},
		{
			"above the burst",
			ratelimit.Decision{Allowed: true, Remaining: math.MaxInt, NextAfter: 5, ResetAfter: 5},
			ratelimit.Decision{Allowed: true, Remaining: 58, NextAfter: 5, ResetAfter: 5},
		},
		{
			"refused with plenty",
			ratelimit.Decision{Remaining: 60, RetryAfter: time.Second, NextAfter: 5, ResetAfter: 5},
			ratelimit.Decision{Remaining: 1, RetryAfter: time.Second, NextAfter: 5, ResetAfter: 5},
		},
		{
			"endless",
			ratelimit.Decision{RetryAfter: math.MaxInt64, NextAfter: math.MaxInt64, ResetAfter: math.MaxInt64},
			ratelimit.Decision{RetryAfter: 61 * time.Second, NextAfter: 61 * time.Second, ResetAfter: 61 * time.Second},
		},
		{
			"endless, admitted",
			ratelimit.Decision{Allowed: true, NextAfter: math.MaxInt64, ResetAfter: math.MaxInt64},
			ratelimit.Decision{Allowed: true, NextAfter: 61 * time.Second, ResetAfter: 61 * time.Second},
		},
		{
			"next after more than a request costs",
			ratelimit.Decision{Allowed: true, Remaining: 7, NextAfter: 2 * time.Second, ResetAfter: 53 * time.Second},
			ratelimit.Decision{Allowed: true, Remaining: 7, NextAfter: time.Second, ResetAfter: 53 * time.Second},
		},
		{
			"next after retry",
			ratelimit.Decision{RetryAfter: 300 * time.Millisecond, NextAfter: time.Second, ResetAfter: time.Minute},
			ratelimit.Decision{RetryAfter: 300 * time.Millisecond, NextAfter: 300 * time.Millisecond, ResetAfter: time.Minute},
		},
		{
			"next is left out, refused",
			ratelimit.Decision{RetryAfter: 300 * time.Millisecond, ResetAfter: time.Minute},
			ratelimit.Decision{RetryAfter: 300 * time.Millisecond, NextAfter: 300 * time.Millisecond, ResetAfter: time.Minute},
		},
		{
			"full before there is more",
			ratelimit.Decision{Allowed: true, NextAfter: 700 * time.Millisecond, ResetAfter: 1},
			ratelimit.Decision{Allowed: true, NextAfter: 700 * time.Millisecond, ResetAfter: 700 * time.Millisecond},
		},
		{
			"admitted, but later",
			ratelimit.Decision{Allowed: true, RetryAfter: time.Second, NextAfter: 1, ResetAfter: 1},
			ratelimit.Decision{Allowed: true, NextAfter: 1, ResetAfter: 1},
		},
		{
			"another limit, and a fallback",
			ratelimit.Decision{Allowed: true, Limit: ratelimit.MustPerMinute(1), NextAfter: 1, ResetAfter: 1, Fallback: true},
			ratelimit.Decision{Allowed: true, NextAfter: 1, ResetAfter: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lim := newLimiter(t, storeFunc(func(context.Context, ratelimit.Bucket, ratelimit.Limit, time.Time, int) (ratelimit.Decision, error) {
				return tt.got, nil
			}), nil)
			tt.want.Limit = l
			if d, err := lim.TakeAt(context.Background(), "acme", l, epoch, 2); err != nil || d != tt.want {
				t.Errorf("%+v, %v; want %+v", d, err, tt.want)
			}
		})
	}
}

// Local buckets are as exact as any when many requests fall back at once.
func TestLimiterConcurrentFallback(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(50)
	lim := newLimiter(t, failing(errDown), nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	admitted := 0
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if d, err := lim.TakeAt(ctx, "acme", l, epoch, 1); err != nil {
					t.Error(err)
				} else if d.Allowed {
					mu.Lock()
					admitted++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if admitted != 50 || lim.Failures() != 800 {
		t.Errorf("%d admitted and %d failures, want 50 and 800", admitted, lim.Failures())
	}
}
