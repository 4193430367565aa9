package keys_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// pair makes a client and one of its tokens straight in the store.
func pair(t *testing.T, env *env) (clientRec, tokenRec keys.Record, clientSecret, text string) {
	t.Helper()
	c, err := client.New("")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := token.New("")
	if err != nil {
		t.Fatal(err)
	}
	clientRec = keys.Record{
		ID: c.ID, Kind: keys.KindClient, Org: "acme", Scopes: scopes.MustParse("identity:read webhooks:manage"), RateLimit: 100,
		Digest: digestOf(t, keys.KindClient, c.Secret), CreatedAt: now(), Version: 1,
	}
	tokenRec = keys.Record{
		ID: tok.ID, Kind: keys.KindToken, Org: "acme", Parent: c.ID, Scopes: clientRec.Scopes, RateLimit: 100,
		Digest: digestOf(t, keys.KindToken, tok.Secret), CreatedAt: now(), ExpiresAt: now().Add(time.Hour), Version: 1,
	}
	env.insert(clientRec)
	env.insert(tokenRec)
	return clientRec, tokenRec, c.Secret.Reveal(), token.Text(tok).Reveal()
}

// TestTokensNeedTheirOwnClient changes what a store answers about a token's
// client, and counts the reads.
func TestTokensNeedTheirOwnClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	clientRec, tokenRec, secret, text := pair(t, env)
	reads := env.faults.Calls(storetest.Get)
	for range 3 {
		if p, err := env.verify(text); err != nil || p.Client != clientRec.ID || p.Scopes != tokenRec.Scopes {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if _, err := env.verifier.VerifyClient(t.Context(), clientRec.ID, secret, now()); err != nil {
		t.Fatal(err)
	}
	if n := env.faults.Calls(storetest.Get) - reads; n != 4 {
		t.Errorf("%d reads for four checks", n)
	}
	client := func(change func(*keys.Record)) func(*keys.Record) {
		return func(r *keys.Record) {
			if r.Kind == keys.KindClient {
				change(r)
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(rec *keys.Record)
		want   error
	}{
		"a parent of another organization": {client(func(r *keys.Record) { r.Org = "globex" }), keys.ErrUnavailable},
		"another client":                   {client(func(r *keys.Record) { r.ID = "cc_0000000000000000" }), keys.ErrUnavailable},
		"a revoked client":                 {client(func(r *keys.Record) { r.RevokedAt = now() }), keys.ErrRevoked},
		"an expired client":                {client(func(r *keys.Record) { r.ExpiresAt = now().Add(-time.Second) }), keys.ErrRevoked},
		"a paused client":                  {client(func(r *keys.Record) { r.DisabledAt = now() }), keys.ErrPaused},
	} {
		env.faults.Corrupt(storetest.Get, storetest.Always, tt.change)
		if _, err := env.verify(text); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		env.faults.Heal()
	}
	orphan := tokenRec
	orphan.ID, orphan.Parent = "oauth_"+strings.Repeat("0", 24), "cc_0000000000000000"
	env.insert(orphan)
	if _, err := env.verify(orphan.ID + text[30:]); err != keys.ErrRevoked {
		t.Errorf("a token whose client is not there: %v", err)
	}
}

func TestTokensFollowTheirClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	clientRec, tokenRec, _, text := pair(t, env)
	p, err := env.verify(text)
	want := keys.Principal{
		Org: "acme", ID: tokenRec.ID, Kind: keys.KindToken, Client: clientRec.ID,
		Scopes: tokenRec.Scopes, RateLimit: 100, ExpiresAt: tokenRec.ExpiresAt,
	}
	if err != nil || p != want {
		t.Fatalf("principal %+v, %v; want %+v", p, err, want)
	}
	ten := 10
	if _, err := env.manager.Change(t.Context(), "acme", "", clientRec.ID, keys.Change{Scopes: new([]string{}), RateLimit: &ten}); err != nil {
		t.Fatal(err)
	}
	if p, err := env.verify(text); err != nil || p.Scopes.String() != "identity:read" || p.RateLimit != 10 {
		t.Errorf("after the client was narrowed: %+v, %v", p, err)
	}
	soon := time.Minute
	brought, err := env.manager.Change(t.Context(), "acme", "", clientRec.ID, keys.Change{Lifetime: &soon})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := env.verify(text); err != nil || !p.ExpiresAt.Equal(brought.ExpiresAt) {
		t.Errorf("the end of the client was brought forward to %v: %+v, %v", brought.ExpiresAt, p, err)
	}
	wide := []string{"webhooks:manage", "keys:manage"}
	if _, err := env.manager.Change(t.Context(), "acme", "", clientRec.ID, keys.Change{Scopes: &wide}); err != nil {
		t.Fatal(err)
	}
	if p, err := env.verify(text); err != nil || p.Scopes != tokenRec.Scopes {
		t.Errorf("after the client was widened: %q, %v", p.Scopes, err)
	}
	if err := env.manager.Revoke(t.Context(), "acme", "", clientRec.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := env.verify(text); err != keys.ErrRevoked {
		t.Errorf("after the client was revoked: %v", err)
	}
}

func TestTokensNeedTheirClient(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*keys.Record)
		want   error
	}{
		"an expired client":              {func(r *keys.Record) { r.ExpiresAt = r.CreatedAt }, keys.ErrRevoked},
		"a client of somebody else":      {func(r *keys.Record) { r.Org = "globex" }, keys.ErrUnavailable},
		"a parent that is no client":     {func(r *keys.Record) { r.Kind = keys.KindKey }, keys.ErrUnavailable},
		"a client that is not there":     {func(r *keys.Record) { r.ID = "cc_0000000000000000" }, keys.ErrRevoked},
		"a client with the lowest limit": {func(r *keys.Record) { r.RateLimit = 1 }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t, nil)
			clientRec, tokenRec, _, text := pair(t, env)
			// A second environment gets the changed client with the same token.
			other := newEnv(t, nil)
			tt.change(&clientRec)
			other.insert(clientRec)
			other.insert(tokenRec)
			if _, err := other.verify(text); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestKindsDoNotMix(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	clientRec, _, secret, _ := pair(t, env)
	if _, err := env.verify(clientRec.ID + secret); err != keys.ErrMalformed {
		t.Errorf("a client's credentials as a token: %v", err)
	}
	p, err := env.verifier.VerifyClient(t.Context(), clientRec.ID, secret, now())
	if diff := cmp.Diff(clientRec, p, cmpRecords); err != nil || diff != "" {
		t.Errorf("a client: %v\n%s", err, diff)
	}
	// The same secret under another kind has another digest.
	rec := clientRec
	rec.ID = "cc_00000000000000aa"
	rec.Digest = digestOf(t, keys.KindToken, keys.NewSecret(secret))
	env.insert(rec)
	if _, err := env.verifier.VerifyClient(t.Context(), rec.ID, secret, now()); err != keys.ErrMismatch {
		t.Errorf("a token's digest as a client's: %v", err)
	}
	for _, pair := range [][2]string{{"", ""}, {clientRec.ID, ""}, {"", secret}, {secret, clientRec.ID}} {
		if _, err := env.verifier.VerifyClient(t.Context(), pair[0], pair[1], now()); err != keys.ErrMalformed {
			t.Errorf("%q: %v", pair, err)
		}
	}
}
