package ratelimit_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A new lease does not prolong the one before it. Both pay together.
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
				_, asked := s.asked()
				mustTake(t, leases, l, 500) // so many that none are taken in advance
				before, n := s.asked()
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
				if got != want || asked <= 40 || n != 500 {
					t.Errorf("%d paid in advance, want %d; asked for %d and %d", got, want, asked, n)
				}
			})
		})
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
		{"sixty-one seconds", ratelimit.MustPer(100, time.Second, 6100), ratelimit.MustPerMinute(6000), true},
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

// A refusal that is remembered decides requests of every cost.
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
		time.Sleep(time.Nanosecond) // on the test's own clock
		step(l, 60, true, 1)
	})
}

// When hardly anything is left, the store is asked three times a second, and no
// refusal tells a client to come back too early.
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

// A request that read the clock just before the last answer is decided as of the answer.
func TestLeasesClockBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	s := newShared()
	var at int64 = 1e18
	leases, err := ratelimit.NewLeasesBy(s, nil, func() (int64, int64) { return at, at })
	if err != nil {
		t.Fatal(err)
	}
	l := ratelimit.MustPerMinute(6000)
	mustTake(t, leases, l, 5800)
	at--
	d := mustTake(t, leases, l, 100) // all that is left under the window of 59 seconds
	if calls, _ := s.asked(); !d.Allowed || calls != 2 {
		t.Errorf("%+v after %d calls", d, calls)
	}
}
