package middleware_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &middleware.Options{Failures: 3})
		good := env.key("acme", 0)
		h := env.guard.Authenticated()(ok)
		step := func(name, addr, text string, want int) {
			t.Helper()
			if w := serve(h, from(addr, text)); w.Code != want {
				t.Errorf("%s: %d, want %d", name, w.Code, want)
			}
		}
		const here, there = "192.0.2.1", "192.0.2.2"
		step("good", here, good, 204)
		step("malformed", here, "x", 401)
		step("wrong", here, wrongSecret(t, good[:len("key_")+22]), 401)
		for range 5 {
			step("good ones do not count", here, good, 204)
		}
		if w := serve(h, request("GET")); w.Code != 401 {
			t.Errorf("nothing: %d", w.Code)
		}
		for range 5 { // from an address of its own, and not counted
			if w := serve(h, request("GET", "Basic YTpi")); w.Code != 401 {
				t.Errorf("another scheme: %d", w.Code)
			}
		}
		step("the third failure", here, "x", 401)
		gets := env.faults.Calls(storetest.Get)
		w := serve(h, from(here, good))
		if got := answerOf(t, w); got.Status != 429 || got.Error != "rate_limit_exceeded" || got.Challenge != "" ||
			w.Header().Get("Retry-After") != "20" || w.Header().Get("RateLimit") != `"failures";r=0;t=20` || w.Header().Get("RateLimit-Policy") != `"failures";q=3;w=60` {
			t.Errorf("over the budget: %+v %v", got, w.Header())
		}
		if e := env.last(); e.Reason != keys.ReasonLimit || e.ID != "" || e.Org != "" {
			t.Errorf("event %+v", e)
		}
		if env.faults.Calls(storetest.Get) != gets {
			t.Error("the store was asked all the same")
		}
		step("another address", there, good, 204)
		time.Sleep(19 * time.Second) // on the test's own clock
		step("too early", here, good, 429)
		time.Sleep(time.Second) // on the test's own clock
		step("in time", here, good, 204)
		step("one more failure", here, "x", 401)
		step("and it is over again", here, good, 429)
		for range 3 {
			step("a network of IPv6", "2001:db8::1", "x", 401)
		}
		step("another address in it", "2001:db8::2", good, 429)
		step("beside it", "2001:db8:0:1::2", good, 204)
	})
}

// Refusals that have nothing to do with guessing do not count.
func TestWhatIsNoFailure(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"expired": keys.ErrExpired, "revoked": keys.ErrRevoked, "paused": keys.ErrPaused, "down": keys.ErrUnavailable, "good": nil,
	} {
		p := keys.Principal{Org: "acme", RateLimit: 60}
		g, newErr := middleware.NewGuard(says(func() (keys.Principal, error) { return p, err }), nil, &middleware.Options{Failures: 1})
		if newErr != nil {
			t.Fatal(newErr)
		}
		for range 3 {
			if _, got := g.Check(from("192.0.2.1", "x"), middleware.Need{}); got != err {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}

// Failures count for the address behind the proxies.
func TestFailuresBehindProxies(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &middleware.Options{Failures: 1, Proxies: newProxies(t, false, "10.0.0.0/8")})
	h := env.guard.Authenticated()(ok)
	for i, tt := range []struct {
		client string
		want   int
	}{{"192.0.2.1", 401}, {"192.0.2.1", 429}, {"192.0.2.2", 401}} {
		r := from("10.0.0.1", "x")
		r.Header.Set("X-Forwarded-For", tt.client)
		if w := serve(h, r); w.Code != tt.want {
			t.Errorf("request %d: %d, want %d", i+1, w.Code, tt.want)
		}
	}
}
