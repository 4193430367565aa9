package middleware_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/google/go-cmp/cmp"
)

// fields returns the fields of an access, in their order.
func fields(a middleware.Access) (list []string) {
	for name, value := range a.Fields() {
		list = append(list, name+": "+value)
	}
	return list
}

func TestAccessFields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &middleware.Options{OmitQuota: true})
		legacy := env.another(&middleware.Options{LegacyQuota: true})
		r := request("GET", "Bearer "+env.key("acme", 2))
		reset := func(seconds int64) string { return strconv.FormatInt(time.Now().Unix()+seconds, 10) }
		for i, tt := range []struct {
			guard *middleware.Guard
			want  []string
			err   error
		}{
			{env.guard, []string{`RateLimit-Policy: "default";q=2;w=60`, `RateLimit: "default";r=1;t=30`}, nil},
			{legacy, []string{
				`RateLimit-Policy: "default";q=2;w=60`, `RateLimit: "default";r=0;t=30`,
				"X-RateLimit-Limit: 2", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: " + reset(60),
			}, nil},
			{env.guard, []string{`RateLimit-Policy: "default";q=2;w=60`, `RateLimit: "default";r=0;t=30`, "Retry-After: 30"}, middleware.ErrOverLimit},
			{legacy, []string{
				`RateLimit-Policy: "default";q=2;w=60`, `RateLimit: "default";r=0;t=30`,
				"X-RateLimit-Limit: 2", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: " + reset(60), "Retry-After: 30",
			}, middleware.ErrOverLimit},
		} {
			a, err := tt.guard.Check(r, middleware.Need{})
			if diff := cmp.Diff(tt.want, fields(a)); diff != "" || err != tt.err {
				t.Errorf("request %d: %v\n%s", i+1, err, diff)
			}
			h := http.Header{"Ratelimit": {"old", "older"}}
			a.SetHeader(h)
			var names []string
			for _, line := range tt.want {
				name, value, _ := strings.Cut(line, ": ")
				if got := h.Values(name); len(got) != 1 || got[0] != value {
					t.Errorf("request %d: %s is %q, want %q", i+1, name, got, value)
				}
				names = append(names, name)
			}
			if len(h) != len(names) {
				t.Errorf("request %d: %v", i+1, h)
			}
			for n := range tt.want { // a loop can be left anywhere
				for range a.Fields() {
					if n--; n < 0 {
						break
					}
				}
			}
		}
	})
}

// Without a decision there are no fields.
func TestAccessWithoutQuota(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	refused, err := env.guard.Check(request("GET", "Bearer x"), middleware.Need{})
	if err != keys.ErrMalformed {
		t.Fatal(err)
	}
	for name, a := range map[string]middleware.Access{"zero": {}, "refused before": refused} {
		h := make(http.Header)
		if a.SetHeader(h); len(fields(a)) > 0 || len(h) > 0 {
			t.Errorf("%s: %v %v", name, fields(a), h)
		}
	}
	// A host that decides by itself has no guard.
	own := middleware.Access{Quota: ratelimit.Decision{Allowed: true, Limit: ratelimit.MustPerMinute(2), Remaining: 1, NextAfter: 30 * time.Second}}
	h := make(http.Header)
	if own.SetHeader(h); len(fields(own)) != 2 || len(h) != 2 {
		t.Errorf("the host's own: %v %v", fields(own), h)
	}
}

func TestFromContext(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	if a, found := middleware.FromContext(t.Context()); found || a != (middleware.Access{}) {
		t.Errorf("no guard: %+v, %v", a, found)
	}
	if a, found := middleware.FromContext(keys.NewContext(t.Context(), keys.Principal{ID: "x"})); found {
		t.Errorf("a principal alone: %+v", a)
	}
	text := env.key("acme", 0)
	h := env.guard.Require("identity:read")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		a, found := middleware.FromContext(r.Context())
		p, known := keys.FromContext(r.Context())
		if !found || !known || a.Principal != p || p.ID != strings.SplitN(text, ".", 2)[0] || a.Quota.Remaining != 599 || a.Scope != "" {
			t.Errorf("%+v %v, %+v %v", a, found, p, known)
		}
		p.ID = "changed"
		if again, _ := keys.FromContext(r.Context()); again.ID == "changed" {
			t.Error("a handler can change the principal")
		}
		if r.Context().Value("nothing") != nil {
			t.Error("the context has what nobody put there")
		}
	}))
	if w := serve(h, request("GET", "Bearer "+text)); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

// A principal of the host's replaces that of a guard around it, and the other way round.
func TestTheInnermostPrincipalCounts(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	session := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), keys.Principal{ID: "session"})))
		})
	}
	guard := env.guard.Authenticated()
	if w := serve(guard(session(ok)), request("GET", "Bearer "+text)); w.Header().Get("X-Caller") != "session" {
		t.Errorf("session inside: %v", w.Header())
	}
	if w := serve(session(guard(ok)), request("GET", "Bearer "+text)); w.Header().Get("X-Caller") == "session" {
		t.Errorf("guard inside: %v", w.Header())
	}
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		text := env.key("acme", 100)
		bound := env.issue("acme", keys.Spec{Networks: networks(t, "10.0.0.0/8 2001:db8::/32"), RateLimit: 100}).Text.Reveal()
		addr := netip.MustParseAddr
		for _, tt := range []struct {
			name string
			text string
			addr netip.Addr
			need middleware.Need
			want error
		}{
			{"good", text, addr("192.0.2.1"), all("identity:read"), nil},
			{"no address", text, netip.Addr{}, middleware.Need{Cost: 3}, nil},
			{"no scope", text, netip.Addr{}, all("admin"), middleware.ErrScope},
			{"with a scheme", "Bearer " + text, netip.Addr{}, middleware.Need{}, keys.ErrMalformed},
			{"nothing", "", netip.Addr{}, middleware.Need{}, keys.ErrMalformed},
			{"bound", bound, addr("10.1.2.3"), middleware.Need{}, nil},
			{"bound, IPv4 in IPv6", bound, addr("::ffff:10.1.2.3"), middleware.Need{}, nil},
			{"bound, IPv6", bound, addr("2001:db8::1"), middleware.Need{}, nil},
			{"bound, elsewhere", bound, addr("192.0.2.1"), middleware.Need{}, middleware.ErrNetwork},
			{"bound, no address", bound, netip.Addr{}, middleware.Need{}, middleware.ErrNetwork},
		} {
			a, err := env.guard.CheckText(t.Context(), tt.text, tt.addr, tt.need)
			if err != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
			if err == nil && (a.Principal.Org != "acme" || !a.Quota.Allowed) {
				t.Errorf("%s: %+v", tt.name, a)
			}
		}
		// Requests that were let in have paid, and the one without the scope, but not
		// the one from another network: 1 + 3 + 1 + 3.
		if a, err := env.guard.CheckText(t.Context(), text, netip.Addr{}, middleware.Need{}); err != nil || a.Quota.Remaining != 100-8-1 {
			t.Errorf("%d left, %v", a.Quota.Remaining, err)
		}
	})
}

// TestNetworks checks which address of a request is compared with the networks.
func TestNetworks(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &middleware.Options{Proxies: newProxies(t, false, "10.0.0.0/8")})
	direct := env.another(nil)
	text := env.issue("acme", keys.Spec{Networks: networks(t, "198.51.100.0/24"), RateLimit: 1000}).Text.Reveal()
	for _, tt := range []struct {
		name, remote, forwarded string
		direct, behind          int
	}{
		{"inside", "198.51.100.7:1", "", 204, 204},
		{"outside", "192.0.2.1:1", "", 403, 403},
		{"it says that it is inside", "192.0.2.1:1", "198.51.100.7", 403, 403},
		{"behind a proxy", "10.0.0.1:1", "198.51.100.7", 403, 204},
		{"outside, behind a proxy", "10.0.0.1:1", "192.0.2.1", 403, 403},
		{"it says so behind a proxy", "10.0.0.1:1", "198.51.100.7, 192.0.2.1", 403, 403},
		{"the proxy says nothing", "10.0.0.1:1", "", 403, 403},
		{"not known", "@", "198.51.100.7", 403, 403},
	} {
		r := request("GET", "Bearer "+text)
		r.RemoteAddr = tt.remote
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if w := serve(direct.Authenticated()(ok), r); w.Code != tt.direct {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.direct)
		}
		w := serve(env.guard.Authenticated()(ok), r)
		if w.Code != tt.behind {
			t.Errorf("%s, with proxies: %d, want %d", tt.name, w.Code, tt.behind)
		}
		if w.Code == 403 {
			want := answer{403, "", "address_not_allowed", "The credential may not be used from this address."}
			if diff := cmp.Diff(want, answerOf(t, w)); diff != "" || w.Header().Get("RateLimit") != "" {
				t.Errorf("%s: %v %s", tt.name, w.Header(), diff)
			}
		}
	}
}

// Nothing that a host writes into the fields of one answer is in the next.
func TestAnswersShareNoMemory(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	good := request("GET", "Bearer "+env.key("acme", 0))
	small := request("GET", "Bearer "+env.key("globex", 1))
	serve(env.guard.Authenticated()(ok), small)
	for name, answer := range map[string]func() *httptest.ResponseRecorder{
		"let in":         func() *httptest.ResponseRecorder { return serve(env.guard.Authenticated()(ok), good) },
		"no credential":  func() *httptest.ResponseRecorder { return serve(env.guard.Authenticated()(ok), request("GET")) },
		"no scope":       func() *httptest.ResponseRecorder { return serve(env.guard.Require("admin")(ok), good) },
		"over the limit": func() *httptest.ResponseRecorder { return serve(env.guard.Authenticated()(ok), small) },
	} {
		for range 2 {
			h := answer().Header()
			for field, values := range h {
				if values[0] == "changed" || len(values) != 1 || cap(values) != 1 && field != "X-Caller" {
					t.Errorf("%s: %s is %q with room for %d", name, field, values, cap(values))
				}
				values[0] = "changed"
			}
		}
	}
}

// However the context of a request is printed, the credential does not appear.
func TestContextsPrintNoSecret(t *testing.T) {
	t.Parallel()
	var logs strings.Builder
	show := func(ctx context.Context) {
		fmt.Fprintf(&logs, "%v\n%+v\n%#v\n%s\n", ctx, ctx, ctx, ctx)
		slog.New(slog.NewTextHandler(&logs, nil)).Info("called", "ctx", ctx)
		slog.New(slog.NewJSONHandler(&logs, nil)).Info("called", "ctx", ctx)
	}
	e := newPlainEnv(t, &middleware.Options{Hook: func(ctx context.Context, _ keys.Event) { show(ctx) }})
	guard := e.guard.Authenticated()
	h := guard(guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		show(r.Context())
		show(context.WithoutCancel(r.Context()))
		show(middleware.NewContext(r.Context(), middleware.Access{}))
		if got, want := fmt.Sprint(r.Context()), "context.Background.WithValue(middleware.Access).WithValue(middleware.Access)"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})))
	for _, r := range []*http.Request{e.good, e.wrong} {
		logs.Reset()
		h.ServeHTTP(httptest.NewRecorder(), r)
		if _, secret, _ := strings.Cut(r.Header.Get("Authorization"), "."); secret == "" || logs.Len() == 0 || strings.Contains(logs.String(), secret) {
			t.Errorf("the secret %q is in %s", secret, logs.String())
		}
	}
}
