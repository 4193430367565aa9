package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestEvents has a request for each outcome. The hook is told of each request once,
// with the right reason and all that is known.
func TestEvents(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id := func(text string) string { id, _, _ := strings.Cut(text, "."); return id }
	good := env.key("acme", 0)
	small := env.key("globex", 1)
	revoked, paused, old := env.key("acme", 0), env.key("acme", 0), env.key("acme", 0)
	bound := env.issue("acme", keys.Spec{Networks: networks(t, "10.0.0.0/8")}).Text.Reveal()
	unknown, err := keys.MustFormat("key_", keys.Dotted, nil).New("")
	if err != nil {
		t.Fatal(err)
	}
	unknownText := keys.MustFormat("key_", keys.Dotted, nil).Text(unknown).Reveal()
	yes := true
	_, err1 := env.manager.Change(t.Context(), "acme", keys.KindKey, id(paused), keys.Change{Disabled: &yes})
	next, err2 := env.manager.Rotate(t.Context(), "acme", id(old), keys.Rotation{Overlap: keys.Forever})
	err3 := env.manager.Revoke(t.Context(), "acme", keys.KindKey, id(revoked))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithTimeout(t.Context(), 0)
	defer cancelLate()
	key := func(text string) keys.Event {
		return keys.Event{Type: keys.Refused, Org: "acme", ID: id(text), Kind: keys.KindKey}
	}
	because := func(e keys.Event, reason string) keys.Event { e.Reason = reason; return e }
	let := func(text string, types ...keys.EventType) (events []keys.Event) {
		for _, et := range types {
			e := key(text)
			e.Type = et
			events = append(events, e)
		}
		return events
	}
	tests := []struct {
		name   string
		r      *http.Request
		fails  storetest.Method
		want   []keys.Event
		status int
	}{
		{"let in", request("GET", "Bearer "+good), 0, let(good, keys.Accepted), 204},
		{"replaced", request("GET", "Bearer "+old), 0, []keys.Event{let(old, keys.Accepted)[0], {Type: keys.UsedReplaced, Org: "acme", ID: id(old), Kind: keys.KindKey, ReplacedBy: next.Record.ID}}, 204},
		{"nothing", request("GET"), 0, []keys.Event{{Type: keys.Refused, Reason: keys.ReasonNoCredential}}, 401},
		{"two", request("GET", "Bearer "+good, "Bearer "+good), 0, []keys.Event{{Type: keys.Refused, Reason: keys.ReasonSeveral}}, 400},
		{"malformed", request("GET", "Bearer x"), 0, []keys.Event{{Type: keys.Refused, Reason: keys.ReasonMalformed}}, 401},
		{"unknown", request("GET", "Bearer "+unknownText), 0, []keys.Event{{Type: keys.Refused, Reason: keys.ReasonUnknown, ID: id(unknownText)}}, 401},
		{"wrong", request("GET", "Bearer "+wrongSecret(t, id(good))), 0, []keys.Event{because(key(good), keys.ReasonMismatch)}, 401},
		{"revoked", request("GET", "Bearer "+revoked), 0, []keys.Event{because(key(revoked), keys.ReasonRevoked)}, 401},
		{"paused", request("GET", "Bearer "+paused), 0, []keys.Event{because(key(paused), keys.ReasonPaused)}, 401},
		{"another network", request("GET", "Bearer "+bound), 0, []keys.Event{because(key(bound), keys.ReasonNetwork)}, 403},
		{"no scope", request("DELETE", "Bearer "+good), 0, []keys.Event{because(key(good), keys.ReasonScope)}, 403},
		{"records are down", request("GET", "Bearer "+good), storetest.Get, []keys.Event{{Type: keys.Refused, Reason: keys.ReasonUnavailable, ID: id(good), Err: down}}, 503},
		{"limits are down", request("GET", "Bearer "+good), storetest.Take, []keys.Event{{Type: keys.Refused, Reason: keys.ReasonUnavailable, Org: "acme", ID: id(good), Kind: keys.KindKey, Err: down}}, 503},
		{"down, and the client gone", request("GET", "Bearer "+good).WithContext(gone), storetest.Get, []keys.Event{{Type: keys.Refused, Reason: keys.ReasonCanceled, ID: id(good)}}, 499},
		{"the client gone, and malformed", request("GET", "Bearer x").WithContext(gone), 0, []keys.Event{{Type: keys.Refused, Reason: keys.ReasonMalformed}}, 401},
		{"too late", request("GET", "Bearer "+good).WithContext(late), storetest.Get, []keys.Event{{Type: keys.Refused, Reason: keys.ReasonUnavailable, ID: id(good), Err: down}}, 503},
	}
	get, del := env.guard.Require("identity:read")(ok), env.guard.Require("admin")(ok)
	for _, tt := range tests {
		if tt.fails != 0 {
			env.faults.Fail(tt.fails, storetest.Always, down)
		}
		env.told()
		h := get
		if tt.r.Method == "DELETE" {
			h = del
		}
		began := time.Now()
		w := serve(h, tt.r)
		env.faults.Heal()
		events := env.told()
		if len(events) != len(tt.want) || w.Code != tt.status {
			t.Errorf("%s: %d, events %+v", tt.name, w.Code, events)
			continue
		}
		for i, e := range events {
			if e.Time.Before(began) || e.Time.After(time.Now()) {
				t.Errorf("%s: at %v", tt.name, e.Time)
			}
			want := tt.want[i]
			if (want.Err == nil) != (e.Err == nil) || !errors.Is(e.Err, want.Err) {
				t.Errorf("%s: error %v, want %v", tt.name, e.Err, want.Err)
			}
			e.Time, e.Err, want.Err = time.Time{}, nil, nil
			if e != want {
				t.Errorf("%s: event %+v, want %+v", tt.name, e, want)
			}
		}
	}
	// Over the limit, which takes two.
	r := request("GET", "Bearer "+small)
	serve(get, r)
	env.told()
	serve(get, r)
	if events := env.told(); len(events) != 1 || events[0].Reason != keys.ReasonLimit || events[0].Org != "globex" || events[0].Type != keys.Refused {
		t.Errorf("over the limit: %+v", events)
	}
}

// A guard tells the hook once that it lets a request in, even if it is around the
// handler twice. Each guard tells of its refusals.
func TestEventsOfGuardsInsideGuards(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	r := request("GET", "Bearer "+env.key("acme", 0))
	types := func(h http.Handler) (s string) {
		env.told()
		serve(h, r)
		for _, e := range env.told() {
			s += e.Type.String() + " "
		}
		return s
	}
	g, twin := env.guard, env.another(nil)
	if got := types(g.Authenticated()(g.Authenticated()(ok))); got != "accepted " {
		t.Errorf("the same guard: %s", got)
	}
	if got := types(g.Authenticated()(twin.Authenticated()(g.Authenticated()(ok)))); got != "accepted accepted " {
		t.Errorf("two guards: %s", got)
	}
	other := request("GET", "Bearer "+env.key("acme", 0))
	if got := types(g.Authenticated()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.Authenticated()(ok).ServeHTTP(w, other.WithContext(r.Context()))
	}))); got != "accepted accepted " {
		t.Errorf("another credential inside: %s", got)
	}
	if got := types(g.Authenticated()(g.Require("admin")(ok))); got != "accepted refused " {
		t.Errorf("refused inside: %s", got)
	}
}

// A hook that keeps the ID of an unknown credential does not keep the header that
// it was read from.
func TestEventIDIsACopy(t *testing.T) {
	t.Parallel()
	field := "Bearer " + strings.Repeat("x", 1000)
	for _, tt := range []struct {
		name string
		p    keys.Principal
		copy bool
	}{
		{"unknown", keys.Principal{ID: field[7:20]}, true},
		{"known", keys.Principal{ID: field[7:20], Org: "acme"}, false}, // its ID is the store's
	} {
		var got string
		g, err := middleware.NewGuard(says(func() (keys.Principal, error) { return tt.p, keys.ErrUnknown }), nil,
			&middleware.Options{Hook: func(_ context.Context, e keys.Event) { got = e.ID }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Check(request("GET", field), middleware.Need{}); err != keys.ErrUnknown {
			t.Fatal(err)
		}
		if shared := unsafe.StringData(got) == unsafe.StringData(tt.p.ID); got != tt.p.ID || shared == tt.copy {
			t.Errorf("%s: %q, the same memory: %v", tt.name, got, shared)
		}
	}
}

// The context of an event is that of the request.
func TestHookSeesTheContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	var got any
	env := newEnv(t, nil)
	g, err := middleware.NewGuard(env.manager.Verifier(), nil, &middleware.Options{Hook: func(ctx context.Context, _ keys.Event) { got = ctx.Value(key{}) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*http.Request{request("GET", "Bearer "+env.key("acme", 0)), request("GET")} {
		got = nil
		serve(g.Authenticated()(ok), r.WithContext(context.WithValue(t.Context(), key{}, "mine")))
		if got != "mine" {
			t.Errorf("%v", got)
		}
	}
}

// ErrClientGone wraps the error behind it, and so does the refusal. What the hook is
// told is that the client has gone.
func TestClientGone(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for name, verified := range map[string]error{"the verifier fails": fmt.Errorf("%w: %w", keys.ErrUnavailable, down), "the limiter fails": nil} {
		env := newEnv(t, nil)
		env.faults.Fail(storetest.Take, storetest.Always, down)
		ctx, cancel := context.WithCancel(t.Context())
		var reason string
		g, err := middleware.NewGuard(says(func() (keys.Principal, error) {
			cancel()
			return keys.Principal{Org: "acme", RateLimit: 10}, verified
		}), env.limiter, &middleware.Options{Hook: func(_ context.Context, e keys.Event) { reason = e.Reason }})
		if err != nil {
			t.Fatal(err)
		}
		r := request("GET", "Bearer x").WithContext(ctx)
		a, err := g.Check(r, middleware.Need{})
		if !errors.Is(err, middleware.ErrClientGone) || !errors.Is(err, down) || reason != keys.ReasonCanceled {
			t.Errorf("%s: %v, reason %q", name, err, reason)
		}
		w := httptest.NewRecorder()
		g.Refuse(w, r, a, err)
		if got := answerOf(t, w); got.Status != 499 || got.Error != "client_gone" || w.Header().Get("Retry-After") != "" {
			t.Errorf("%s: %+v %v", name, got, w.Header())
		}
	}
}

// A limiter that fails closed says why, and a good credential never gets a 401.
func TestLimiterErrorIsWrapped(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	down := errors.New("down")
	env.faults.Fail(storetest.Take, storetest.Always, down)
	_, err := env.guard.Check(request("GET", "Bearer "+env.key("acme", 0)), middleware.Need{})
	if !errors.Is(err, middleware.ErrUnavailable) || !errors.Is(err, ratelimit.ErrUnavailable) || !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
}
