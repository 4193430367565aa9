package ratelimit_test

import (
	"context"
	"errors"
	"maps"
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
