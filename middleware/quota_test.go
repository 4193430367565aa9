package middleware

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

func TestQuotaText(t *testing.T) {
	t.Parallel()
	slow, err := ratelimit.NewLimit(0.5, 7)
	if err != nil {
		t.Fatal(err)
	}
	huge, err := ratelimit.NewLimit(70, math.MaxInt32) // 355 days
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		access Access
		want   [2]string
	}{
		{
			"a minute",
			Access{Quota: ratelimit.Decision{Limit: ratelimit.MustPerMinute(7), Remaining: 3, NextAfter: 1, ResetAfter: time.Minute}},
			[2]string{`"default";q=7;w=60`, `"default";r=3;t=1`},
		},
		{
			"another window",
			Access{policy: management, Quota: ratelimit.Decision{Limit: slow, NextAfter: 2 * time.Second}},
			[2]string{`"management";q=7;w=14`, `"management";r=0;t=2`},
		},
		{
			"a full bucket",
			Access{policy: failures, Quota: ratelimit.Decision{Limit: slow, Remaining: 7}},
			[2]string{`"failures";q=7;w=14`, `"failures";r=7;t=0`},
		},
		{
			"longer than its memory",
			Access{policy: management, Quota: ratelimit.Decision{Limit: huge, Remaining: math.MaxInt32 - 1, NextAfter: 355 * 24 * time.Hour}},
			[2]string{`"management";q=2147483647;w=30678338`, `"management";r=2147483646;t=30672000`},
		},
	} {
		text := new(quotaText)
		text.write(&tt.access)
		if text.values != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, text.values, tt.want)
		}
	}
}

// All per-minute limits have a window of a minute, whatever was rounded.
func TestWindows(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 7, 600, 700, 999_999_999, 1_000_000_000} {
		if got := windowSeconds(ratelimit.MustPerMinute(n)); got != 60 {
			t.Errorf("%d a minute: %d s", n, got)
		}
	}
	if got := windowSeconds(ratelimit.Limit{}); got != 0 {
		t.Errorf("no limit: %d s", got)
	}
}

// The two fields share no memory that a handler could write to.
func TestQuotaFieldsAreApart(t *testing.T) {
	t.Parallel()
	a := Access{Quota: ratelimit.Decision{Limit: ratelimit.MustPerMinute(600), Remaining: 599, NextAfter: 1}}
	h := make(http.Header)
	new(quotaText).set(h, &a)
	h.Add("RateLimit-Policy", `"daily";q=1;w=86400`)
	if got, want := fmt.Sprint(h), `map[Ratelimit:["default";r=599;t=1] Ratelimit-Policy:["default";q=600;w=60 "daily";q=1;w=86400]]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
