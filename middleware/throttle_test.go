package middleware_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

func newThrottle(t *testing.T, s ratelimit.Store, perMinute int, opts *middleware.ThrottleOptions) *middleware.Throttle {
	t.Helper()
	limiter, err := ratelimit.NewLimiter(s, &ratelimit.Options{Space: "addr", OnFailure: ratelimit.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	throttle, err := middleware.NewThrottle(limiter, ratelimit.MustPerMinute(perMinute), opts)
	if err != nil {
		t.Fatal(err)
	}
	return throttle
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newThrottle(t, new(ratelimit.Memory), 2, nil).Limit(ok)
		from := func(addr string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("POST", "/", nil)
			r.RemoteAddr = addr
			return serve(h, r)
		}
		for i, want := range []int{204, 204, 429} {
			if w := from("192.0.2.1:1000"); w.Code != want {
				t.Errorf("request %d: %d", i+1, w.Code)
			}
		}
		w := from("192.0.2.1:2000")
		if got := answerOf(t, w); got.Status != 429 || got.Error != "rate_limit_exceeded" || w.Header().Get("Retry-After") != "30" {
			t.Errorf("another port of the same address: %+v %v", got, w.Header())
		}
		if w := from("192.0.2.2:1000"); w.Code != 204 {
			t.Errorf("another address: %d", w.Code)
		}
		time.Sleep(30 * time.Second) // on the test's own clock
		if w := from("192.0.2.1:1000"); w.Code != 204 {
			t.Errorf("after Retry-After: %d", w.Code)
		}
	})
}

// TestThrottleAddress checks which requests share a bucket.
func TestThrottleAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		proxies *middleware.Proxies
		a, b    *http.Request
		shared  bool
	}{
		{"two ports", nil, hop("192.0.2.1:1"), hop("192.0.2.1:2"), true},
		{"two addresses", nil, hop("192.0.2.1:1"), hop("192.0.2.2:1"), false},
		{"IPv4 in IPv6", nil, hop("192.0.2.1:1"), hop("[::ffff:192.0.2.1]:2"), true},
		{"a network of IPv6", nil, hop("[2001:db8::1]:1"), hop("[2001:db8::ffff:1]:1"), true},
		{"two networks of IPv6", nil, hop("[2001:db8::1]:1"), hop("[2001:db8:0:1::1]:1"), false},
		{"not known", nil, hop("@"), hop(""), true},
		{"a field from anybody", nil, hop("192.0.2.1:1", "198.51.100.1"), hop("192.0.2.1:1", "198.51.100.2"), true},
		{"behind a proxy", newProxies(t, false, "192.0.2.1/32"), hop("192.0.2.1:1", "198.51.100.1"), hop("192.0.2.1:1", "198.51.100.2"), false},
		{"behind two", newProxies(t, false, "192.0.2.0/24"), hop("192.0.2.1:1", "198.51.100.1"), hop("192.0.2.2:1", "198.51.100.1"), true},
	} {
		h := newThrottle(t, new(ratelimit.Memory), 1, &middleware.ThrottleOptions{Proxies: tt.proxies}).Limit(ok)
		serve(h, tt.a)
		if w := serve(h, tt.b); (w.Code == 429) != tt.shared {
			t.Errorf("%s: %d", tt.name, w.Code)
		}
	}
}

func TestThrottleWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	faults := storetest.NewFaults(new(store.Memory))
	down := errors.New("down")
	faults.Fail(storetest.Take, storetest.Always, down)
	var refused httpjson.Refusal
	w := serve(newThrottle(t, faults, 1, &middleware.ThrottleOptions{
		WriteError: func(w http.ResponseWriter, r *http.Request, refusal httpjson.Refusal) {
			refused = refusal
			httpjson.WriteJSON(w, r, refusal)
		},
	}).Limit(ok), request("GET"))
	if !errors.Is(refused.Err, down) {
		t.Errorf("refused for %v", refused.Err)
	}
	if got := answerOf(t, w); got.Status != 503 || got.Error != "temporarily_unavailable" || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%+v %v", got, w.Header())
	}
}

func TestThrottleWritesErrorsItsOwnWay(t *testing.T) {
	t.Parallel()
	var got httpjson.Refusal
	throttle := newThrottle(t, new(ratelimit.Memory), 1, &middleware.ThrottleOptions{
		WriteError: func(w http.ResponseWriter, _ *http.Request, refusal httpjson.Refusal) {
			got = refusal
			w.WriteHeader(refusal.Status)
		},
	})
	serve(throttle.Limit(ok), request("GET"))
	serve(throttle.Limit(ok), request("GET"))
	if got.Status != 429 || got.RetryAfter != 60 || got.Err != middleware.ErrOverLimit {
		t.Errorf("%+v", got)
	}
}

func TestNewThrottleRefuses(t *testing.T) {
	t.Parallel()
	limiter, err := ratelimit.NewLimiter(new(ratelimit.Memory), nil)
	if err != nil {
		t.Fatal(err)
	}
	limit := ratelimit.MustPerMinute(1)
	if _, err := middleware.NewThrottle(nil, limit, nil); err == nil {
		t.Error("no limiter: no error")
	}
	if _, err := middleware.NewThrottle(limiter, ratelimit.Limit{}, nil); err == nil {
		t.Error("no limit: no error")
	}
}
