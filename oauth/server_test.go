package oauth_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestExchange(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	for scope, want := range map[string]string{
		"": "identity:read webhooks:manage", "webhooks:manage": "webhooks:manage",
		"webhooks:manage identity:read": "identity:read webhooks:manage", "identity:read identity:read": "identity:read",
	} {
		grant, err := env.grant(id, secret, scope)
		if err != nil {
			t.Fatal(err)
		}
		text := grant.AccessToken.Reveal()
		if !strings.HasPrefix(text, "oauth_") || len(text) != len("oauth_")+24+64 || grant.ExpiresIn != time.Hour || grant.Scope.String() != want {
			t.Errorf("scope %q: a token of %d characters for %v with %q", scope, len(text), grant.ExpiresIn, grant.Scope)
		}
		// The token has what every credential has, asked for or not.
		p, err := env.manager.Verifier().Verify(t.Context(), text)
		if err != nil || p.Org != "acme" || p.Client != id || p.Kind != keys.KindToken || p.Scopes != scopes.MustParse(want+" identity:read") || p.RateLimit != 600 {
			t.Errorf("scope %q: principal %+v, %v", scope, p, err)
		}
	}
}

func TestExchangeRefuses(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	otherID, otherSecret := env.register()
	deletedID, deletedSecret := env.register()
	if err := env.server.Delete(t.Context(), caller, deletedID); err != nil {
		t.Fatal(err)
	}
	good := oauth.Request{GrantType: "client_credentials", ClientID: id, ClientSecret: keys.NewSecret(secret)}
	with := func(change func(*oauth.Request)) oauth.Request { r := good; change(&r); return r }
	for name, tt := range map[string]struct {
		request oauth.Request
		want    error
	}{
		"no grant type":         {with(func(r *oauth.Request) { r.GrantType = "" }), oauth.ErrNoGrantType},
		"another grant type":    {with(func(r *oauth.Request) { r.GrantType = "password" }), oauth.ErrUnsupportedGrantType},
		"another case":          {with(func(r *oauth.Request) { r.GrantType = "Client_Credentials" }), oauth.ErrUnsupportedGrantType},
		"no ID":                 {with(func(r *oauth.Request) { r.ClientID = "" }), oauth.ErrNoCredentials},
		"no secret":             {with(func(r *oauth.Request) { r.ClientSecret = keys.Secret{} }), oauth.ErrNoCredentials},
		"an unknown client":     {with(func(r *oauth.Request) { r.ClientID = "cc_0000000000000000" }), oauth.ErrInvalidClient},
		"a malformed client":    {with(func(r *oauth.Request) { r.ClientID = "cc_" }), oauth.ErrInvalidClient},
		"another's secret":      {with(func(r *oauth.Request) { r.ClientSecret = keys.NewSecret(otherSecret) }), oauth.ErrInvalidClient},
		"a short secret":        {with(func(r *oauth.Request) { r.ClientSecret = keys.NewSecret(secret[1:]) }), oauth.ErrInvalidClient},
		"an upper case secret":  {with(func(r *oauth.Request) { r.ClientSecret = keys.NewSecret(strings.ToUpper(secret)) }), oauth.ErrInvalidClient},
		"another client":        {with(func(r *oauth.Request) { r.ClientID = otherID }), oauth.ErrInvalidClient},
		"a deleted client":      {oauth.Request{GrantType: "client_credentials", ClientID: deletedID, ClientSecret: keys.NewSecret(deletedSecret)}, oauth.ErrInvalidClient},
		"a scope it lacks":      {with(func(r *oauth.Request) { r.Scope = "keys:manage" }), oauth.ErrInvalidScope},
		"one it has, one not":   {with(func(r *oauth.Request) { r.Scope = "identity:read keys:manage" }), oauth.ErrInvalidScope},
		"an unknown scope":      {with(func(r *oauth.Request) { r.Scope = "nope" }), oauth.ErrInvalidScope},
		"a reserved scope":      {with(func(r *oauth.Request) { r.Scope = "leads:read" }), oauth.ErrInvalidScope},
		"a scope in capitals":   {with(func(r *oauth.Request) { r.Scope = "Identity:read" }), oauth.ErrInvalidScope},
		"a malformed scope":     {with(func(r *oauth.Request) { r.Scope = "identity:read  webhooks:manage" }), oauth.ErrInvalidScope},
		"a scope with a quote":  {with(func(r *oauth.Request) { r.Scope = `identity:read"` }), oauth.ErrInvalidScope},
		"a scope of spaces":     {with(func(r *oauth.Request) { r.Scope = " " }), oauth.ErrInvalidScope},
		"a scope with a letter": {with(func(r *oauth.Request) { r.Scope = "identity:read ü" }), oauth.ErrInvalidScope},
	} {
		inserts := env.faults.Calls(storetest.Insert)
		if grant, err := env.server.Exchange(t.Context(), tt.request); err != tt.want || grant.AccessToken.Len() != 0 {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if env.faults.Calls(storetest.Insert) != inserts {
			t.Errorf("%s: a token was stored", name)
		}
	}
}

// TestSameWork counts what refusals of different causes cost the store.
func TestSameWork(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	deletedID, deletedSecret := env.register()
	if err := env.server.Delete(t.Context(), caller, deletedID); err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"unknown": {"cc_0000000000000000", secret}, "wrong": {id, deletedSecret}, "deleted": {deletedID, deletedSecret},
	} {
		before := env.faults.Calls(storetest.Get)
		if _, err := env.grant(pair[0], pair[1], ""); err != oauth.ErrInvalidClient {
			t.Errorf("%s: %v", name, err)
		}
		if n := env.faults.Calls(storetest.Get) - before; n != 1 {
			t.Errorf("%s: %d reads", name, n)
		}
	}
}

func TestTokensEndWithTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &oauth.Options{TokenLifetime: 10 * time.Minute})
		id, secret := env.register()
		own, err := env.server.Register(t.Context(), caller, oauth.ClientSpec{TokenLifetime: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for want, text := range map[time.Duration]string{
			10 * time.Minute: env.token(id, secret),
			time.Minute:      env.token(own.Record.ID, own.Text.Reveal()),
		} {
			now := time.Now()
			if _, err := env.manager.Verifier().VerifyAt(t.Context(), text, now.Add(want-1)); err != nil {
				t.Errorf("%v: a nanosecond before the end: %v", want, err)
			}
			if _, err := env.manager.Verifier().VerifyAt(t.Context(), text, now.Add(want)); err != keys.ErrExpired {
				t.Errorf("%v: at the end: %v", want, err)
			}
		}
		if grant, err := env.grant(own.Record.ID, own.Text.Reveal(), ""); err != nil || grant.ExpiresIn != time.Minute {
			t.Errorf("expires in %v, %v", grant.ExpiresIn, err)
		}
		// The client itself ends in a minute, and a part of that has passed.
		if _, err := env.manager.Change(t.Context(), "acme", keys.KindClient, id, keys.Change{Lifetime: new(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // on the test's own clock
		if grant, err := env.grant(id, secret, ""); err != nil || grant.ExpiresIn != 59*time.Second {
			t.Errorf("of a client that ends: expires in %v, %v", grant.ExpiresIn, err)
		}
	})
}

func TestStoreFailures(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	cause := errors.New("down")
	for _, method := range []storetest.Method{storetest.Get, storetest.Insert} {
		env.faults.Fail(method, 1, cause)
		if _, err := env.grant(id, secret, ""); !errors.Is(err, cause) || errors.Is(err, oauth.ErrInvalidClient) {
			t.Errorf("%v: %v", method, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := env.server.Authenticate(ctx, id, keys.NewSecret(secret), netip.Addr{}); !errors.Is(err, context.Canceled) || err == oauth.ErrInvalidClient {
		t.Errorf("an ended context: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := oauth.NewServer(nil, nil); err == nil {
		t.Error("no manager: no error")
	}
	manager := newEnv(t, nil).manager
	for name, opts := range map[string]oauth.Options{
		"negative": {TokenLifetime: -time.Second}, "a fraction": {TokenLifetime: time.Second + 1}, "less than a second": {TokenLifetime: time.Millisecond}, "too long": {TokenLifetime: 366 * 24 * time.Hour},
		"one token": {MaxTokens: 1}, "minus one": {MaxTokens: -1},
	} {
		if _, err := oauth.NewServer(manager, &opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The scope of a request may be a part of a body with a secret in it. The token's
// record is kept, and must not keep that.
func TestTokensShareNoMemoryWithRequests(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register("webhooks:manage")
	scope := strings.Clone("identity:read webhooks:manage")
	grant, err := e.grant(id, secret, scope)
	if err != nil {
		t.Fatal(err)
	}
	if got := grant.Token.Scopes.String(); got != scope || unsafe.StringData(got) == unsafe.StringData(scope) {
		t.Errorf("scopes %q, which are a part of the request", got)
	}
}
