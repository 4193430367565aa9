package middleware_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

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

func TestThrottleAddress(t *testing.T) {
	t.Parallel()
	proxies := &middleware.ThrottleOptions{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("2001:db8:f::/48"), netip.MustParsePrefix("::ffff:172.16.0.0/108")}}
	plain, behind := newThrottle(t, new(ratelimit.Memory), 1, nil), newThrottle(t, new(ratelimit.Memory), 1, proxies)
	for _, tt := range []struct {
		name, remote string
		forwarded    []string
		plain        string
		behind       string
	}{
		{"IPv4", "192.0.2.1:80", nil, "192.0.2.1", "192.0.2.1"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:80", nil, "192.0.2.1", "192.0.2.1"},
		{"IPv6", "[2001:db8::1:2:3:4]:80", nil, "2001:db8::/64", "2001:db8::/64"},
		{"IPv6 with a zone", "[fe80::1%eth0]:80", nil, "fe80::/64", "fe80::/64"},
		{"no port", "192.0.2.1", nil, "192.0.2.1", "192.0.2.1"},
		{"a Unix socket", "@", nil, "unknown", "unknown"},
		{"nothing", "", nil, "unknown", "unknown"},
		{"a field from anybody", "192.0.2.1:80", []string{"198.51.100.1"}, "192.0.2.1", "192.0.2.1"},
		{"a proxy", "10.0.0.1:80", []string{"198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"a proxy trusted in IPv6's clothes", "172.17.0.1:80", []string{"198.51.100.1"}, "172.17.0.1", "198.51.100.1"},
		{"a chain of proxies", "10.0.0.1:80", []string{"198.51.100.1, 10.0.0.3", "10.0.0.2"}, "10.0.0.1", "198.51.100.1"},
		{"a made-up beginning", "10.0.0.1:80", []string{"1.1.1.1, 198.51.100.1, 10.0.0.3"}, "10.0.0.1", "198.51.100.1"},
		{"only proxies", "10.0.0.1:80", []string{"10.0.0.2"}, "10.0.0.1", "10.0.0.2"},
		{"junk in the field", "10.0.0.1:80", []string{"198.51.100.1, junk"}, "10.0.0.1", "10.0.0.1"},
		{"an empty field", "10.0.0.1:80", []string{""}, "10.0.0.1", "10.0.0.1"},
		{"no field", "10.0.0.1:80", nil, "10.0.0.1", "10.0.0.1"},
		{"a port in the field", "10.0.0.1:80", []string{"198.51.100.1:1234"}, "10.0.0.1", "198.51.100.1"},
		{"IPv6 in the field", "[2001:db8:f::1]:80", []string{"[2001:db8:1:2:3::4]:443"}, "2001:db8:f::/64", "2001:db8:1:2::/64"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.remote
		for _, line := range tt.forwarded {
			r.Header.Add("X-Forwarded-For", line)
		}
		if got := plain.Address(r); got != tt.plain {
			t.Errorf("%s: %q without proxies, want %q", tt.name, got, tt.plain)
		}
		if got := behind.Address(r); got != tt.behind {
			t.Errorf("%s: %q behind proxies, want %q", tt.name, got, tt.behind)
		}
	}
}

func TestThrottleWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	faults := storetest.NewFaults(new(store.Memory))
	faults.Fail(storetest.Take, storetest.Always, errors.New("down"))
	w := serve(newThrottle(t, faults, 1, nil).Limit(ok), request("GET"))
	if got := answerOf(t, w); got.Status != 503 || got.Error != "temporarily_unavailable" || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%+v %v", got, w.Header())
	}
}

func TestThrottleWritesErrorsItsOwnWay(t *testing.T) {
	t.Parallel()
	var got middleware.Refusal
	throttle := newThrottle(t, new(ratelimit.Memory), 1, &middleware.ThrottleOptions{
		WriteError: func(w http.ResponseWriter, _ *http.Request, refusal middleware.Refusal) {
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
	if _, err := middleware.NewThrottle(limiter, limit, &middleware.ThrottleOptions{TrustedProxies: make([]netip.Prefix, 1)}); err == nil {
		t.Error("no network: no error")
	}
}
