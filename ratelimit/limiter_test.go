package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// storeFunc is a store that is no Memory, like one over a network.
type storeFunc func(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error)

func (f storeFunc) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	return f(ctx, b, l, now, n)
}

var errDown = errors.New("connection refused")

func failing(err error) ratelimit.Store {
	return storeFunc(func(context.Context, ratelimit.Bucket, ratelimit.Limit, time.Time, int) (ratelimit.Decision, error) {
		return ratelimit.Decision{}, err
	})
}

// embedding is a store as another package may make it of a Memory.
type embedding struct {
	ratelimit.Memory
	err error
}

func (e *embedding) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	if e.err != nil {
		return ratelimit.Decision{}, e.err
	}
	return e.Memory.Take(ctx, b, l, now, n)
}

func newLimiter(t *testing.T, s ratelimit.Store, opts *ratelimit.Options) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.NewLimiter(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestNew(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		store ratelimit.Store
		opts  *ratelimit.Options
		ok    bool
	}{
		{"nil options", &ratelimit.Memory{}, nil, true},
		{"zero options", &ratelimit.Memory{}, &ratelimit.Options{}, true},
		{"all options", &ratelimit.Memory{}, &ratelimit.Options{Space: "addr", OnFailure: ratelimit.InsecureFailOpen, Timeout: 1}, true},
		{"nil store", nil, nil, false},
		{"nil Memory", (*ratelimit.Memory)(nil), nil, false},
		{"negative timeout", &ratelimit.Memory{}, &ratelimit.Options{Timeout: -1}, false},
		{"unknown policy", &ratelimit.Memory{}, &ratelimit.Options{OnFailure: 3}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := ratelimit.NewLimiter(tt.store, tt.opts)
			if (err == nil) != tt.ok || (l != nil) != tt.ok {
				t.Errorf("New = %v, %v; want ok %t", l, err, tt.ok)
			}
		})
	}
}

// The outer methods read the clock: what RetryAfter says comes true.
func TestLimiterTake(t *testing.T) {
	t.Parallel()
	stores := map[string]func() ratelimit.Store{
		"Memory":    func() ratelimit.Store { return &ratelimit.Memory{} },
		"embedding": func() ratelimit.Store { return &embedding{} },
		"other":     func() ratelimit.Store { return storeFunc(new(ratelimit.Memory).Take) },
		"fallback":  func() ratelimit.Store { return failing(errDown) },
	}
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				lim := newLimiter(t, store(), nil)
				l := ratelimit.MustPerMinute(600)
				take := func(name string, want bool, remaining int) ratelimit.Decision {
					t.Helper()
					d, err := lim.Take(ctx, name, l, 1)
					if err != nil || d.Allowed != want || d.Remaining != remaining || d.Limit != l {
						t.Fatalf("%+v, %v; want allowed %t and %d remaining", d, err, want, remaining)
					}
					return d
				}
				for i := range 600 {
					take("acme", true, 599-i)
				}
				d := take("acme", false, 0)
				take("other", true, 599)
				time.Sleep(d.RetryAfter - 1) // on the test's own clock
				take("acme", false, 0)
				time.Sleep(time.Nanosecond) // on the test's own clock
				d = take("acme", true, 0)
				time.Sleep(d.ResetAfter) // on the test's own clock
				take("acme", true, 599)
			})
		})
	}
}

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

// Mistakes of the caller's are errors under every policy, and do not count.
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

// A client that hangs up is charged all the same.
func TestLimiterCanceledContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	canceled, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "caller"))
	cancel()
	shared := new(ratelimit.Memory)
	stores := map[string]ratelimit.Store{
		"Memory":    &ratelimit.Memory{},
		"embedding": &embedding{},
		"other": storeFunc(func(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
			if err := ctx.Err(); err != nil {
				return ratelimit.Decision{}, err
			}
			if _, ok := ctx.Deadline(); !ok || ctx.Value(key{}) != "caller" {
				t.Error("the store's context has no deadline, or not the caller's values")
			}
			return shared.Take(ctx, b, l, now, n)
		}),
	}
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lim := newLimiter(t, store, &ratelimit.Options{OnFailure: ratelimit.FailClosed})
			l := ratelimit.MustPerMinute(2)
			for i, want := range []bool{true, true, false} {
				if d, err := lim.TakeAt(canceled, "acme", l, epoch, 1); err != nil || d.Allowed != want {
					t.Errorf("request %d: %+v, %v; want allowed %t", i, d, err, want)
				}
			}
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

// Limiters over one store share the buckets of a space, and only those.
func TestLimiterSpaces(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(1)
	var m ratelimit.Memory
	for _, tt := range []struct {
		space string
		want  bool
	}{{"", true}, {"org", false}, {"addr", true}, {"addr", false}} {
		lim := newLimiter(t, &m, &ratelimit.Options{Space: tt.space})
		if d, err := lim.TakeAt(ctx, "acme", l, epoch, 1); err != nil || d.Allowed != tt.want {
			t.Errorf("space %q: %+v, %v; want allowed %t", tt.space, d, err, tt.want)
		}
	}
}

// In makes a Limiter of another space. All that the limiters have in common is
// the store, the options, the count of failures and the buckets of an outage.
func TestLimiterIn(t *testing.T) {
	t.Parallel()
	stores := map[string]func() ratelimit.Store{
		"Memory":    func() ratelimit.Store { return &ratelimit.Memory{} },
		"embedding": func() ratelimit.Store { return &embedding{} },
		"other":     func() ratelimit.Store { return storeFunc(new(ratelimit.Memory).Take) },
		"fallback":  func() ratelimit.Store { return failing(errDown) },
	}
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			l := ratelimit.MustPerMinute(1)
			spaces := make(map[string]int)
			org := newLimiter(t, store(), &ratelimit.Options{
				Space: "tenant",
				Hook:  func(_ context.Context, b ratelimit.Bucket, _ error) { spaces[b.Space]++ },
			})
			manage, err := org.In("manage")
			if err != nil {
				t.Fatal(err)
			}
			back, err := manage.In("tenant")
			if err != nil {
				t.Fatal(err)
			}
			for i, step := range []struct {
				limiter *ratelimit.Limiter
				want    bool
			}{{org, true}, {manage, true}, {org, false}, {manage, false}, {back, false}} {
				d, err := step.limiter.TakeAt(ctx, "acme", l, epoch, 1)
				if err != nil || d.Allowed != step.want || d.Fallback != (name == "fallback") {
					t.Errorf("step %d: %+v, %v; want allowed %t", i, d, err, step.want)
				}
			}
			want, calls := uint64(0), map[string]int{}
			if name == "fallback" {
				want, calls = 5, map[string]int{"tenant": 3, "manage": 2}
			}
			for _, lim := range []*ratelimit.Limiter{org, manage, back} {
				if lim.Failures() != want {
					t.Errorf("%d failures, want %d", lim.Failures(), want)
				}
			}
			if !maps.Equal(spaces, calls) {
				t.Errorf("the hook was called for %v, want %v", spaces, calls)
			}
		})
	}
}

func TestSameBuckets(t *testing.T) {
	t.Parallel()
	in := func(l *ratelimit.Limiter, space string) *ratelimit.Limiter {
		t.Helper()
		l, err := l.In(space)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	var m ratelimit.Memory
	org, again := newLimiter(t, &m, nil), newLimiter(t, &m, nil)
	manage := in(org, "manage")
	other := newLimiter(t, failing(errDown), nil) // of a type that == cannot compare
	tests := []struct {
		name string
		a, b *ratelimit.Limiter
		want bool
	}{
		{"itself", org, org, true},
		{"the same space", org, in(org, "org"), true},
		{"the same space by a detour", manage, in(in(manage, "org"), "manage"), true},
		{"another space", org, manage, false},
		{"another call of NewLimiter", org, again, false},
		{"another store", org, other, false},
		{"a store that is a function", other, in(other, "org"), true},
		{"nil", org, nil, false},
		{"both nil", nil, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.a.SameBuckets(tt.b) != tt.want || tt.b.SameBuckets(tt.a) != tt.want {
				t.Errorf("SameBuckets = %t, and the other way round %t; want %t", tt.a.SameBuckets(tt.b), tt.b.SameBuckets(tt.a), tt.want)
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
