package keys_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

func TestContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	p := keys.Principal{Org: "acme", ID: "session", Scopes: scopes.MustParse("a"), RateLimit: 1}
	outer := context.WithValue(t.Context(), key{}, "value")
	ctx := context.WithValue(keys.NewContext(outer, p), struct{ a int }{}, 1)
	if got, ok := keys.FromContext(ctx); !ok || got != p {
		t.Errorf("FromContext = %v, %v", got, ok)
	}
	if ctx.Value(key{}) != "value" {
		t.Error("the outer context's value is lost")
	}
	inner := p
	inner.ID = "inner"
	if got, _ := keys.FromContext(keys.NewContext(ctx, inner)); got != inner {
		t.Errorf("the inner principal does not win: %v", got)
	}
	if got, ok := keys.FromContext(outer); ok || got != (keys.Principal{}) {
		t.Errorf("a principal from nowhere: %v", got)
	}
	nobody := context.WithValue(ctx, keys.PrincipalKey, (*keys.Principal)(nil))
	if got, ok := keys.FromContext(nobody); ok || got != (keys.Principal{}) {
		t.Errorf("a principal from nil: %v", got)
	}
}

func TestPrincipalLogs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("hello", "caller", keys.Principal{Org: "acme", ID: "oauth_1", Client: "cc_1"})
	if want := "caller.org=acme caller.id=oauth_1 caller.client=cc_1"; !strings.Contains(out.String(), want) {
		t.Errorf("logged %q, want %q", out.String(), want)
	}
}

func TestFromContextAllocations(t *testing.T) {
	ctx := keys.NewContext(t.Context(), keys.Principal{Org: "acme"})
	if n := testing.AllocsPerRun(100, func() { keys.FromContext(ctx) }); n != 0 {
		t.Errorf("FromContext allocates %v times", n)
	}
}
