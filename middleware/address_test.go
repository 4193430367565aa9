package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
)

// The context of a request that was let in has the address of the request, as the
// guard's proxies say. So has the context in which the hook is told of a refusal.
func TestAddressInContext(t *testing.T) {
	t.Parallel()
	var refused netip.Addr
	e := newPlainEnv(t, &middleware.Options{Hook: func(ctx context.Context, event keys.Event) {
		if event.Type == keys.Refused {
			refused = keys.AddressFromContext(ctx)
			if v := ctx.Value(unknownKey{}); v != "value" {
				t.Errorf("the context of a refusal lacks what that of the request has: %v", v)
			}
		}
	}})
	request := func(from *http.Request) *http.Request {
		r := from.Clone(context.WithValue(t.Context(), unknownKey{}, "value"))
		r.RemoteAddr = "[::ffff:192.0.2.7]:1234"
		return r
	}
	want := netip.MustParseAddr("192.0.2.7")
	var handled netip.Addr
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handled = keys.AddressFromContext(r.Context())
	})
	e.guard.Authenticated()(handler).ServeHTTP(httptest.NewRecorder(), request(e.good))
	if handled != want {
		t.Errorf("the handler found %v, want %v", handled, want)
	}
	e.guard.Authenticated()(handler).ServeHTTP(httptest.NewRecorder(), request(e.wrong))
	if refused != want {
		t.Errorf("the hook found %v, want %v", refused, want)
	}
	text, _ := middleware.Bearer(e.wrong.Header["Authorization"])
	refused = netip.Addr{}
	ctx := context.WithValue(t.Context(), unknownKey{}, "value")
	if _, err := e.guard.CheckText(ctx, text, want, middleware.Need{}); err == nil || refused != want {
		t.Errorf("the hook of CheckText found %v, %v", refused, err)
	}
	r := request(e.good)
	if got := e.guard.Addr(r); got != want {
		t.Errorf("the guard says %v, want %v", got, want)
	}
	// A context with an Access still has the address of the outer context.
	outer := keys.NewAddressContext(t.Context(), want)
	if got := keys.AddressFromContext(middleware.NewContext(outer, middleware.Access{})); got != want {
		t.Errorf("with the zero Access the context has %v", got)
	}
}

// The address is there too when the hook is told that a key with a successor was used. It
// says who must change to the new key, or who has found one that was given up.
func TestAddressOfReplacedUses(t *testing.T) {
	t.Parallel()
	found := make(map[keys.EventType]netip.Addr)
	e := newEnv(t, nil)
	guard, err := middleware.NewGuard(e.manager.Verifier(), nil, &middleware.Options{Hook: func(ctx context.Context, event keys.Event) {
		found[event.Type] = keys.AddressFromContext(ctx)
	}})
	if err != nil {
		t.Fatal(err)
	}
	old := e.issue("acme", keys.Spec{})
	if _, err := e.manager.Rotate(t.Context(), "acme", old.Record.ID, keys.Rotation{Overlap: keys.Forever}); err != nil {
		t.Fatal(err)
	}
	want := netip.MustParseAddr("192.0.2.7")
	check := func() { _, _ = guard.CheckText(t.Context(), old.Text.Reveal(), want, middleware.Need{}) }
	check()
	if err := e.manager.Revoke(t.Context(), "acme", keys.KindKey, old.Record.ID); err != nil {
		t.Fatal(err)
	}
	check()
	if found[keys.UsedReplaced] != want || found[keys.UsedEnded] != want {
		t.Errorf("the hook found %v", found)
	}
}

type unknownKey struct{}
