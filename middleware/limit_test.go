package middleware_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		h := env.guard.Require("identity:read")(ok)
		r := request("GET", "Bearer "+env.key("acme", 0))
		for i := range 600 {
			if w := serve(h, r); w.Code != 204 {
				t.Fatalf("request %d of the burst: %d", i+1, w.Code)
			}
		}
		w := serve(h, r)
		const description = "Too many requests. Retry after the time in the Retry-After header."
		if diff := cmp.Diff(answer{429, "", "rate_limit_exceeded", description}, answerOf(t, w)); diff != "" {
			t.Error(diff)
		}
		for name, want := range map[string]string{
			"Retry-After": "1", "RateLimit": `"default";r=0;t=1`, "RateLimit-Policy": `"default";q=600;w=60`,
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if e := env.last(); e.Type != keys.Refused || e.Reason != keys.ReasonLimit || e.Org != "acme" {
			t.Errorf("event %+v", e)
		}
		time.Sleep(time.Second) // the time in Retry-After, on the test's own clock
		for i := range 10 {
			if w := serve(h, r); w.Code != 204 {
				t.Fatalf("request %d after the time in Retry-After: %d", i+1, w.Code)
			}
		}
		if w := serve(h, r); w.Code != 429 {
			t.Errorf("request 11 after it: %d", w.Code)
		}
	})
}

// TestRetryAfterIsTrue checks Retry-After of slow limits to the second: one second
// earlier the request is still refused, and at the time it is not.
func TestRetryAfterIsTrue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		h := env.guard.Require("identity:read")(ok)
		for _, limit := range []int{1, 2, 3, 7} {
			r := request("GET", "Bearer "+env.key("org"+strconv.Itoa(limit), limit))
			for range limit {
				serve(h, r)
			}
			seconds, err := strconv.Atoi(serve(h, r).Header().Get("Retry-After"))
			if err != nil || seconds != (60+limit-1)/limit {
				t.Fatalf("limit %d: retry after %d s, %v", limit, seconds, err)
			}
			time.Sleep(time.Duration(seconds-1) * time.Second) // on the test's own clock
			if w := serve(h, r); w.Code != 429 {
				t.Errorf("limit %d: a second early, %d", limit, w.Code)
			}
			time.Sleep(time.Second) // on the test's own clock
			if w := serve(h, r); w.Code != 204 {
				t.Errorf("limit %d: in time, %d", limit, w.Code)
			}
		}
	})
}

func TestOneBucketForAnOrganization(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		h := env.guard.Require("identity:read")(ok)
		a, b, small := request("GET", "Bearer "+env.key("acme", 0)), request("GET", "Bearer "+env.key("acme", 0)), request("GET", "Bearer "+env.key("acme", 60))
		other := request("GET", "Bearer "+env.key("globex", 0))
		for range 270 {
			serve(h, a)
			serve(h, b)
		}
		// 540 of 600 parts of the minute are gone: a tenth is left, which is 6
		// requests of a key that may do 60.
		if got := serve(h, small).Header().Get("RateLimit"); got != `"default";r=5;t=1` {
			t.Errorf("the small key sees %s", got)
		}
		for range 5 {
			serve(h, small)
		}
		for name, r := range map[string]*http.Request{"first": a, "second": b, "small": small} {
			if w := serve(h, r); w.Code != 429 {
				t.Errorf("the %s key: %d", name, w.Code)
			}
		}
		if w := serve(h, other); w.Code != 204 {
			t.Errorf("another organization: %d", w.Code)
		}
	})
}

func TestUnverifiedCallersTouchNoBucket(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	good, other := env.key("acme", 0), env.key("acme", 0)
	id, _, _ := strings.Cut(good, ".")
	for _, text := range []string{"junk", id, id + "." + strings.SplitN(other, ".", 2)[1]} {
		serve(env.guard.Require("identity:read")(ok), request("GET", "Bearer "+text))
	}
	if n := env.faults.Calls(storetest.Take); n != 0 {
		t.Errorf("%d buckets were touched", n)
	}
	// Over its limit, a credential without the scope learns of the limit first.
	small := request("GET", "Bearer "+env.key("globex", 1))
	h := env.guard.Require("webhooks:manage")(ok)
	if first, second := serve(h, small).Code, serve(h, small).Code; first != 403 || second != 429 {
		t.Errorf("without the scope: %d and then %d", first, second)
	}
}

// TestConcurrentRequestsShareTheBurst sends more than the burst at once.
func TestConcurrentRequestsShareTheBurst(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &middleware.Options{Limit: func(keys.Principal) (ratelimit.Limit, error) {
		return ratelimit.NewLimit(1.0/3600, 100)
	}})
	h := env.guard.Require("identity:read")(ok)
	text := env.key("acme", 0)
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if serve(h, request("GET", "Bearer "+text)).Code == 204 {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != 100 {
		t.Errorf("admitted %d requests, want 100", n)
	}
}

// An unlimited verifier accepts everybody, as a session of the host without a limit.
type unlimited struct{}

func (unlimited) VerifyAt(context.Context, string, time.Time) (keys.Principal, error) {
	return keys.Principal{Org: "acme", ID: "anna"}, nil
}

// TestLimitOfTheHost has a limit of the host's own for principals without one.
func TestLimitOfTheHost(t *testing.T) {
	t.Parallel()
	limiter, err := ratelimit.NewLimiter(new(ratelimit.Memory), nil)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.NewGuard(unlimited{}, limiter, &middleware.Options{
		Limit: func(keys.Principal) (ratelimit.Limit, error) { return ratelimit.PerMinute(2) },
	})
	if err != nil {
		t.Fatal(err)
	}
	h := guard.Authenticated()(ok)
	for i, want := range []int{204, 204, 429} {
		if w := serve(h, request("GET", "Bearer x")); w.Code != want {
			t.Errorf("request %d: %d, want %d", i+1, w.Code, want)
		}
	}
}

func TestBadLimitIsOurFault(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &middleware.Options{Limit: func(keys.Principal) (ratelimit.Limit, error) { return ratelimit.Limit{}, nil }})
	r := request("GET", "Bearer "+env.key("acme", 0))
	if w := serve(env.guard.Require("identity:read")(ok), r); w.Code != 503 {
		t.Errorf("a limit of nothing: %d", w.Code)
	}
	// Whatever the error wraps, it says nothing about the credential.
	expired := env.another(&middleware.Options{Limit: func(keys.Principal) (ratelimit.Limit, error) { return ratelimit.Limit{}, keys.ErrExpired }})
	if w := serve(expired.Authenticated()(ok), r); w.Code != 503 {
		t.Errorf("a limit that has expired: %d", w.Code)
	}
}

func TestWithoutLimiter(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	verifier, err := keys.NewVerifier(env.faults, nil)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.NewGuard(verifier, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := serve(guard.Require("identity:read")(ok), request("GET", "Bearer "+env.key("acme", 0)))
	if w.Code != 204 || w.Header().Get("RateLimit") != "" || env.faults.Calls(storetest.Take) != 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
