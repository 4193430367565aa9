package middleware_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
)

// writer is a minimal response writer. It keeps its header map between requests.
type writer struct{ h http.Header }

func (w *writer) Header() http.Header         { return w.h }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(int)             {}

// plainEnv is a guard over a Memory without hooks and faults, as hosts have it,
// with a request for each outcome.
type plainEnv struct {
	guard                                                   *middleware.Guard
	good, malformed, unknown, wrong, elsewhere, over, other *http.Request
}

func newPlainEnv(tb testing.TB, opts *middleware.Options) *plainEnv {
	tb.Helper()
	var s store.Memory
	manager, err := keys.NewManager(&s, &keys.Options{Catalog: catalog})
	if err != nil {
		tb.Fatal(err)
	}
	limiter, err := ratelimit.NewLimiter(&s.Memory, nil)
	if err != nil {
		tb.Fatal(err)
	}
	e := new(plainEnv)
	if e.guard, err = middleware.NewGuard(manager.Verifier(), limiter, opts); err != nil {
		tb.Fatal(err)
	}
	create := func(org string, limit int) string {
		issued, err := manager.Create(context.Background(), org, keys.Spec{RateLimit: limit})
		if err != nil {
			tb.Fatal(err)
		}
		return issued.Text.Reveal()
	}
	const plenty = 1_000_000_000 // a minute; more than a benchmark uses
	text := create("acme", plenty)
	id, _, _ := strings.Cut(text, ".")
	format := keys.MustFormat("key_", keys.Dotted, nil)
	unknown, err := format.New("")
	if err != nil {
		tb.Fatal(err)
	}
	unknownText := format.Text(unknown).Reveal()
	e.good = request("GET", "Bearer "+text)
	e.malformed = request("GET", "Bearer "+text[:len(text)-1]+"~")
	e.unknown = request("GET", "Bearer "+unknownText)
	e.wrong = request("GET", "Bearer "+wrongSecret(tb, id))
	e.over = request("GET", "Bearer "+create("globex", 1))
	e.other = request("GET", "Basic YTpi")
	bound, err := manager.Create(context.Background(), "acme", keys.Spec{Networks: networks(tb, "2001:db8::/32 10.0.0.0/8"), RateLimit: plenty})
	if err != nil {
		tb.Fatal(err)
	}
	e.elsewhere = request("GET", "Bearer "+bound.Text.Reveal()) // from 192.0.2.1
	if _, err := e.guard.Check(e.over, all("identity:read")); err != nil {
		tb.Fatal(err)
	}
	return e
}

// wrongSecret returns a key with the given ID and a well-formed secret of another key.
// It gets the checksum from a format that has the ID as its prefix.
func wrongSecret(tb testing.TB, id string) string {
	tb.Helper()
	format := keys.MustFormat("key_", keys.Dotted, nil)
	tok, err := format.New("")
	if err != nil {
		tb.Fatal(err)
	}
	random := tok.Secret.Reveal()[:43]
	return id + "." + random + checksumOf(id+"."+random)
}

func BenchmarkGuard(b *testing.B) {
	with, without := newPlainEnv(b, nil), newPlainEnv(b, &middleware.Options{OmitQuota: true})
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	require := with.guard.Require("identity:read")
	for _, bb := range []struct {
		name string
		h    http.Handler
		r    *http.Request
	}{
		{"form=context", require(nothing), with.good},
		{"form=context/quota=off", without.guard.Require("identity:read")(nothing), without.good},
		{"form=nested", require(with.guard.Require("identity:read")(nothing)), with.good},
		{"refused=malformed", require(nothing), with.malformed},
		{"refused=unknown", require(nothing), with.unknown},
		{"refused=wrong_secret", require(nothing), with.wrong},
		{"refused=network", require(nothing), with.elsewhere},
		{"refused=limit", require(nothing), with.over},
		{"refused=scheme", require(nothing), with.other},
		{"refused=scope", with.guard.Require("webhooks:manage")(nothing), with.good},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := &writer{make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				bb.h.ServeHTTP(w, bb.r)
			}
		})
	}
	b.Run("form=context/parallel", func(b *testing.B) {
		h := require(nothing)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			w := &writer{make(http.Header)}
			for pb.Next() {
				h.ServeHTTP(w, with.good)
			}
		})
	})
}

func BenchmarkCheck(b *testing.B) {
	env, need := newPlainEnv(b, nil), all("identity:read")
	for _, bb := range []struct {
		name string
		r    *http.Request
		want error
	}{
		{"accepted", env.good, nil},
		{"refused=malformed", env.malformed, keys.ErrMalformed},
		{"refused=unknown", env.unknown, keys.ErrUnknown},
		{"refused=wrong_secret", env.wrong, keys.ErrMismatch},
		{"refused=network", env.elsewhere, middleware.ErrNetwork},
		{"refused=limit", env.over, middleware.ErrOverLimit},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := env.guard.Check(bb.r, need); err != bb.want {
					b.Fatal(err)
				}
			}
		})
	}
}
