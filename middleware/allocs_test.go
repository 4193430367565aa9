//go:build !race

package middleware_test

import (
	"net/http"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
)

// The race detector keeps calls from being inlined that then allocate, and pools
// from keeping what they are given, so that the counts are only exact without
// it.
func TestAllocations(t *testing.T) {
	with, without := newPlainEnv(t, nil), newPlainEnv(t, &middleware.Options{OmitQuota: true})
	w := &writer{make(http.Header)}
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	typed := func(http.ResponseWriter, *http.Request, middleware.Access) {}
	check := func(e *plainEnv, r *http.Request, want error) func() {
		return func() {
			if _, err := e.guard.Check(r, "identity:read"); err != want {
				t.Fatal(err)
			}
		}
	}
	handle := func(h http.Handler, r *http.Request) func() { return func() { h.ServeHTTP(w, r) } }
	for _, tt := range []struct {
		name string
		max  float64
		run  func()
	}{
		{"Check", 0, check(with, with.good, nil)},
		{"Check, malformed", 0, check(with, with.malformed, keys.ErrMalformed)},
		{"Check, unknown", 0, check(with, with.unknown, keys.ErrUnknown)},
		{"Check, wrong secret", 0, check(with, with.wrong, keys.ErrMismatch)},
		{"Check, over the limit", 0, check(with, with.over, middleware.ErrOverLimit)},
		{"Check, another scheme", 0, check(with, with.other, middleware.ErrNoCredential)},
		{"Require", 1, handle(with.guard.Require("identity:read")(nothing), with.good)},
		{"Require, no quota", 1, handle(without.guard.Require("identity:read")(nothing), without.good)},
		{"RequireFunc", 1, handle(with.guard.RequireFunc("identity:read", typed), with.good)},
		{"RequireFunc, no quota", 0, handle(without.guard.RequireFunc("identity:read", typed), without.good)},
		{"Require, malformed", 2, handle(with.guard.Require("identity:read")(nothing), with.malformed)},
		{"Require, unknown", 2, handle(with.guard.Require("identity:read")(nothing), with.unknown)},
		{"Require, wrong secret", 2, handle(with.guard.Require("identity:read")(nothing), with.wrong)},
		{"Require, over the limit", 2, handle(with.guard.Require("identity:read")(nothing), with.over)},
		{"Require, another scheme", 2, handle(with.guard.Require("identity:read")(nothing), with.other)},
		{"Require, no scope", 2, handle(with.guard.Require("webhooks:manage")(nothing), with.good)},
	} {
		if n := testing.AllocsPerRun(200, tt.run); n != tt.max {
			t.Errorf("%s allocates %v times, want %v", tt.name, n, tt.max)
		}
	}
}
