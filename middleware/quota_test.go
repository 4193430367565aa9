package middleware

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// TestPolicies asks for more limits than the cache has places, in turns.
func TestPolicies(t *testing.T) {
	t.Parallel()
	q := new(quotaFields)
	for range 2 {
		for n := 1; n <= 1000; n++ {
			slow, err := ratelimit.NewLimit(0.5, n)
			if err != nil {
				t.Fatal(err)
			}
			for l, want := range map[ratelimit.Limit]string{
				ratelimit.MustPerMinute(n): fmt.Sprintf(`"default";q=%d;w=60`, n),
				slow:                       fmt.Sprintf(`"default";q=%d;w=%d`, n, 2*n),
			} {
				if got := q.policyOf(l); got != want {
					t.Fatalf("%s, want %s", got, want)
				}
			}
		}
	}
}

// Values that are longer than the memory for them are written all the same.
func TestLongQuota(t *testing.T) {
	t.Parallel()
	l, err := ratelimit.NewLimit(70, math.MaxInt32) // 355 days
	if err != nil {
		t.Fatal(err)
	}
	d := ratelimit.Decision{Limit: l, Allowed: true, Remaining: math.MaxInt32 - 1, ResetAfter: 355 * 24 * time.Hour}
	h := make(map[string][]string)
	new(quotaFields).set(h, new(quotaText), &d)
	if got, want := h["Ratelimit"][0], `"default";r=2147483646;t=30672000`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
