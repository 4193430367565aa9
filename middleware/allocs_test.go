//go:build !race

package middleware_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
)

// TestAdmittedSize keeps the one object of an admitted request in the size class that
// it fits in, of 768 bytes, of which the runtime takes 8. The next one has 896.
func TestAdmittedSize(t *testing.T) {
	if middleware.AdmittedSize > 760 {
		t.Errorf("an admitted request takes %d bytes, want at most 760", middleware.AdmittedSize)
	}
}

// With the race detector fewer calls are inlined, and those that are not allocate. So
// the counts are only exact without it.
func TestAllocations(t *testing.T) {
	with, without := newPlainEnv(t, nil), newPlainEnv(t, &middleware.Options{OmitQuota: true})
	hooked := newPlainEnv(t, &middleware.Options{Hook: hookNothing})
	apiKey := newPlainEnv(t, &middleware.Options{Sources: []middleware.Source{{Header: "X-API-Key"}, {Header: "Authorization", Scheme: "Bearer"}}})
	w := &writer{make(http.Header)}
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	addr := netip.MustParseAddr("192.0.2.1")
	identity, both := all("identity:read"), middleware.Need{All: []string{"identity:read"}, Any: []string{"nope", "identity:read"}, Cost: 3}
	check := func(e *plainEnv, r *http.Request, n middleware.Need, want error) func() {
		return func() {
			if _, err := e.guard.Check(r, n); err != want {
				t.Fatal(err)
			}
		}
	}
	checkText := func(r *http.Request, n middleware.Need, want error) func() {
		text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		return func() {
			if _, err := with.guard.CheckText(t.Context(), text, addr, n); err != want {
				t.Fatal(err)
			}
		}
	}
	handle := func(h http.Handler, r *http.Request) func() { return func() { h.ServeHTTP(w, r) } }
	outer := with.guard.Require("identity:read")
	for _, tt := range []struct {
		name string
		want float64
		run  func()
	}{
		{"Check", 0, check(with, with.good, identity, nil)},
		{"Check, a need of each kind", 0, check(with, with.good, both, nil)},
		{"Check, other sources", 0, check(apiKey, apiKey.good, identity, nil)},
		{"Check, a hook", 0, check(hooked, hooked.good, identity, nil)},
		{"Check, malformed", 0, check(with, with.malformed, identity, keys.ErrMalformed)},
		{"Check, unknown", 0, check(with, with.unknown, identity, keys.ErrUnknown)},
		{"Check, wrong secret", 0, check(with, with.wrong, identity, keys.ErrMismatch)},
		{"Check, another network", 0, check(with, with.elsewhere, identity, middleware.ErrNetwork)},
		{"Check, over the limit", 0, check(with, with.over, identity, middleware.ErrOverLimit)},
		{"Check, no scope", 0, check(with, with.good, all("webhooks:manage"), middleware.ErrScope)},
		{"Check, another scheme", 0, check(with, with.other, identity, middleware.ErrNoCredential)},
		{"CheckText", 0, checkText(with.good, identity, nil)},
		{"CheckText, malformed", 0, checkText(with.malformed, identity, keys.ErrMalformed)},
		{"CheckText, unknown", 0, checkText(with.unknown, identity, keys.ErrUnknown)},
		{"CheckText, wrong secret", 0, checkText(with.wrong, identity, keys.ErrMismatch)},
		{"CheckText, over the limit", 0, checkText(with.over, identity, middleware.ErrOverLimit)},
		{"Check and SetHeader", 1, func() {
			a, _ := with.guard.Check(with.good, identity)
			a.SetHeader(w.Header())
		}},
		{"Require", 1, handle(outer(nothing), with.good)},
		{"Require, no quota", 1, handle(without.guard.Require("identity:read")(nothing), without.good)},
		{"Require, a guard inside", 2, handle(outer(outer(nothing)), with.good)},
		{"RequireAny", 1, handle(with.guard.RequireAny("nope", "identity:read")(nothing), with.good)},
		{"Need", 1, handle(with.guard.Need(both)(nothing), with.good)},
		{"Authenticated", 1, handle(with.guard.Authenticated()(nothing), with.good)},
		{"Require, malformed", 2, handle(outer(nothing), with.malformed)},
		{"Require, unknown", 2, handle(outer(nothing), with.unknown)},
		{"Require, wrong secret", 2, handle(outer(nothing), with.wrong)},
		{"Require, another network", 2, handle(outer(nothing), with.elsewhere)},
		{"Require, over the limit", 2, handle(outer(nothing), with.over)},
		{"Require, another scheme", 2, handle(outer(nothing), with.other)},
		{"Require, no scope", 3, handle(with.guard.Require("webhooks:manage")(nothing), with.good)},
	} {
		if n := testing.AllocsPerRun(200, tt.run); n != tt.want {
			t.Errorf("%s allocates %v times, want %v", tt.name, n, tt.want)
		}
	}
}
