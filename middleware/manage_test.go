package middleware_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
)

// from returns a request from an address.
func from(addr, text string) *http.Request {
	r := request("POST", "Bearer "+text)
	r.RemoteAddr = addr + ":1234"
	if strings.Contains(addr, ":") {
		r.RemoteAddr = "[" + addr + "]:1234"
	}
	return r
}

func TestManageBuckets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &middleware.Options{
			Limit:  func(keys.Principal) (ratelimit.Limit, error) { return ratelimit.PerMinute(1000) },
			Bucket: func(keys.Principal) string { return "all" },
		})
		h := env.guard.Manage()(ok)
		a, b := env.key("acme", 60), env.key("acme", 30)
		for i, tt := range []struct {
			r           *http.Request
			policy, now string
		}{
			{from("192.0.2.1", a), `"management";q=60;w=60`, `"management";r=59;t=1`},
			{from("192.0.2.1", a), `"management";q=60;w=60`, `"management";r=58;t=1`},
			{from("192.0.2.2", a), `"management";q=60;w=60`, `"management";r=59;t=1`},
			{from("192.0.2.1", b), `"management";q=30;w=60`, `"management";r=29;t=2`},
			{from("2001:db8::1", b), `"management";q=30;w=60`, `"management";r=29;t=2`},
			{from("2001:db8::2", b), `"management";q=30;w=60`, `"management";r=28;t=2`},
		} {
			w := serve(h, tt.r)
			if w.Code != 204 || w.Header().Get("RateLimit-Policy") != tt.policy || w.Header().Get("RateLimit") != tt.now {
				t.Errorf("request %d: %d %v, want %s", i+1, w.Code, w.Header(), tt.now)
			}
		}
		// The space is promised: hosts that look after their store find it there.
		space, err := env.limiter.In("manage")
		if err != nil {
			t.Fatal(err)
		}
		id, _, _ := strings.Cut(a, ".")
		if d, err := space.Take(t.Context(), "192.0.2.1 "+id, ratelimit.MustPerMinute(60), 1); err != nil || d.Remaining != 57 {
			t.Errorf("the space for management: %+v, %v", d, err)
		}
		if d, err := env.limiter.Take(t.Context(), "all", ratelimit.MustPerMinute(1000), 1); err != nil || d.Remaining != 999 {
			t.Errorf("the other bucket was touched: %+v, %v", d, err)
		}
	})
}

// Whoever floods the API with a leaked key cannot keep its owner from revoking it, be
// it with another key of the organization or with the same one.
func TestFloodLeavesManagementAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		leaked, admin := env.key("acme", 600, "admin"), env.key("acme", 60, "admin")
		use, manage := env.guard.Require("identity:read")(ok), env.guard.Manage("admin")(ok)
		flood := func() {
			for range 700 {
				serve(use, from("198.51.100.1", leaked))
				serve(manage, from("198.51.100.1", leaked))
			}
		}
		rounds := 60
		if testing.Short() {
			rounds = 5
		}
		for range rounds {
			flood()
			for name, r := range map[string]*http.Request{"the admin's key": from("192.0.2.1", admin), "the leaked key": from("192.0.2.1", leaked)} {
				if w := serve(manage, r); w.Code != 204 {
					t.Fatalf("%s: %d", name, w.Code)
				}
			}
			time.Sleep(time.Second) // on the test's own clock
		}
		w := serve(manage, from("198.51.100.1", leaked))
		for range 600 {
			w = serve(manage, from("198.51.100.1", leaked))
		}
		if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.HasPrefix(w.Header().Get("RateLimit"), `"management";r=0`) {
			t.Errorf("the flood itself: %d %v", w.Code, w.Header())
		}
	})
}

// All tokens of a client count as the client does.
func TestManageCountsTheLastingCredential(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		principal := keys.Principal{Org: "acme", ID: "oauth_1", Kind: keys.KindToken, Client: "cc_1", RateLimit: 60}
		env := newEnv(t, nil)
		guard, err := middleware.NewGuard(says(func() (keys.Principal, error) { return principal, nil }), env.limiter, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := guard.Manage()(ok)
		for i, tt := range []struct {
			change func()
			want   string
		}{
			{func() {}, "59"},
			{func() { principal.ID = "oauth_2" }, "58"},
			{func() { principal.Client = "cc_2" }, "59"},
			{func() { principal.Client, principal.ID = "", "key_1" }, "59"},
			{func() { principal.Org = "globex" }, "58"}, // IDs are unique
			{func() { principal.ID = "" }, "59"},        // a session of the host's
			{func() { principal.Org = "acme" }, "59"},
			{func() {}, "58"},
			{func() { principal.Org = "cc_1" }, "59"}, // which has the name of a client
		} {
			tt.change()
			w := serve(h, from("192.0.2.1", "x"))
			if got := w.Header().Get("RateLimit"); got != `"management";r=`+tt.want+`;t=1` {
				t.Errorf("request %d: %d %s, want %s left", i+1, w.Code, got, tt.want)
			}
		}
	})
}

func TestManageWithoutLimiter(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	w := serve(with(t, env, nil, nil).Manage("admin")(ok), from("192.0.2.1", env.key("acme", 1, "admin")))
	if w.Code != 204 || w.Header().Get("RateLimit") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// A narrow store holds names that are as long as the contract says, and no longer ones.
type narrow struct{ ratelimit.Memory }

func (s *narrow) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	if len(b.Name) > 300 {
		return ratelimit.Decision{}, ratelimit.ErrBucket
	}
	return s.Memory.Take(ctx, b, l, now, n)
}

// The names of buckets fit into every store, however long an organization, an ID and an
// address are.
func TestManageNamesFit(t *testing.T) {
	t.Parallel()
	limiter, err := ratelimit.NewLimiter(new(narrow), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]keys.Principal{
		"a session": {Org: strings.Repeat("o", keys.MaxOrg), RateLimit: 60},
		"a key":     {Org: strings.Repeat("o", keys.MaxOrg), Kind: keys.KindKey, ID: strings.Repeat("i", keys.MaxID), RateLimit: 60},
	} {
		guard, err := middleware.NewGuard(says(func() (keys.Principal, error) { return p, nil }), limiter, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, middle := range []func(http.Handler) http.Handler{guard.Manage(), guard.Authenticated()} {
			if w := serve(middle(ok), from("ffff:ffff:ffff:ffff::1", "x")); w.Code != 204 {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
	}
}
