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

func TestLiveTokensAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &oauth.Options{MaxTokens: 20})
		id, secret := env.register()
		otherID, otherSecret := env.register()
		var ends []time.Time // of the tokens that were granted
		for range 400 {
			grant, err := env.grant(id, secret, "")
			var limit *oauth.LimitError
			switch {
			case err == nil:
				ends = append(ends, grant.Token.ExpiresAt)
			case !errors.As(err, &limit) || !errors.Is(err, oauth.ErrTooManyTokens) || limit.Decision.RetryAfter <= 0:
				t.Fatal(err)
			}
			live := 0
			for _, end := range ends {
				if time.Now().Before(end) {
					live++
				}
			}
			if live > 20 {
				t.Fatalf("%d live tokens", live)
			}
			time.Sleep(30 * time.Second) // on the test's own clock
		}
		if len(ends) < 30 {
			t.Errorf("%d tokens in 200 minutes", len(ends))
		}
		if _, err := env.grant(otherID, otherSecret, ""); err != nil {
			t.Errorf("another client: %v", err)
		}
	})
}

func TestNarrowingAndDeletingAClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	text := env.token(id, secret)
	verify := func() (keys.Principal, error) { return env.manager.Verifier().Verify(t.Context(), text) }
	if p, err := verify(); err != nil || !p.Scopes.Contains("webhooks:manage") {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Scopes: new([]string{})}); err != nil {
		t.Fatal(err)
	}
	if p, err := verify(); err != nil || p.Scopes.String() != "identity:read" {
		t.Errorf("after the client was narrowed: %+v, %v", p, err)
	}
	if _, err := env.grant(id, secret, "webhooks:manage"); err != oauth.ErrInvalidScope {
		t.Errorf("a new token with the old scope: %v", err)
	}
	for range 2 {
		if err := env.server.Delete(t.Context(), caller, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := verify(); err != keys.ErrRevoked {
		t.Errorf("after the client was deleted: %v", err)
	}
	if _, err := env.server.Client(t.Context(), "acme", id); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("a deleted client: %v", err)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for name, tt := range map[string]struct {
		by   keys.Principal
		spec oauth.ClientSpec
		want string
		err  error
	}{
		"the creator's scopes":      {caller, oauth.ClientSpec{}, "identity:read webhooks:manage", nil},
		"none":                      {caller, oauth.ClientSpec{Scopes: []string{}}, "identity:read", nil},
		"some":                      {caller, oauth.ClientSpec{Scopes: []string{"webhooks:manage"}}, "identity:read webhooks:manage", nil},
		"more than the creator's":   {caller, oauth.ClientSpec{Scopes: []string{"keys:manage"}}, "", keys.ErrBeyond},
		"reserved":                  {caller, oauth.ClientSpec{Scopes: []string{"leads:read"}}, "", scopes.ErrGrant},
		"unknown":                   {caller, oauth.ClientSpec{Scopes: []string{"nope"}}, "", scopes.ErrGrant},
		"a creator with nothing":    {keys.Principal{Org: "acme", RateLimit: 1}, oauth.ClientSpec{}, "identity:read", nil},
		"a creator without a limit": {keys.Principal{Org: "acme"}, oauth.ClientSpec{}, "", keys.ErrBeyond},
		"no organization":           {keys.Principal{RateLimit: 1}, oauth.ClientSpec{}, "", keys.ErrInvalid},
		"a long name":               {caller, oauth.ClientSpec{Name: strings.Repeat("a", 257)}, "", keys.ErrInvalid},
		"a negative lifetime":       {caller, oauth.ClientSpec{TokenLifetime: -time.Second}, "", keys.ErrInvalid},
		"half a second":             {caller, oauth.ClientSpec{TokenLifetime: time.Second / 2}, "", keys.ErrInvalid},
		"a fraction":                {caller, oauth.ClientSpec{TokenLifetime: time.Second * 3 / 2}, "", keys.ErrInvalid},
		"a lifetime of centuries":   {caller, oauth.ClientSpec{TokenLifetime: 200 * 365 * 24 * time.Hour}, "", keys.ErrInvalid},
		"a creator of unlisted scopes": {
			keys.Principal{Org: "acme", RateLimit: 9000, Scopes: scopes.MustParse("admin webhooks:manage")},
			oauth.ClientSpec{},
			"identity:read webhooks:manage", nil,
		},
	} {
		issued, err := env.server.Register(t.Context(), tt.by, tt.spec)
		if !errors.Is(err, tt.err) || issued.Record.Scopes.String() != tt.want {
			t.Errorf("%s: %q, %v; want %q, %v", name, issued.Record.Scopes, err, tt.want, tt.err)
		}
		if err == nil && (issued.Record.RateLimit > tt.by.RateLimit || issued.Record.RateLimit > 600 || issued.Record.Org != tt.by.Org) {
			t.Errorf("%s: %+v", name, issued.Record)
		}
	}
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id, first := env.register("webhooks:manage")
		good := func(secret string) bool {
			_, err := env.grant(id, secret, "")
			if err != nil && err != oauth.ErrInvalidClient {
				t.Fatal(err)
			}
			return err == nil
		}
		rotate := func(overlap time.Duration) string {
			issued, err := env.server.RotateSecret(t.Context(), caller, id, overlap)
			if err != nil || issued.Record.ID != id {
				t.Fatal(issued, err)
			}
			return issued.Text.Reveal()
		}
		token := env.token(id, first)
		second := rotate(time.Minute)
		if !good(first) || !good(second) {
			t.Error("during the overlap one of the two is refused")
		}
		time.Sleep(time.Minute - time.Millisecond) // on the test's own clock
		if !good(first) {
			t.Error("the old secret ends early")
		}
		time.Sleep(time.Millisecond) // on the test's own clock
		if good(first) || !good(second) {
			t.Error("at the stated moment the old secret is not dead, or the new one is")
		}
		third := rotate(time.Hour)
		fourth := rotate(time.Hour)
		if good(second) || !good(third) || !good(fourth) {
			t.Error("not exactly the two newest secrets are good")
		}
		fifth := rotate(0)
		if good(third) || good(fourth) || !good(fifth) {
			t.Error("without an overlap an old secret is good")
		}
		if _, err := env.manager.Verifier().Verify(t.Context(), token); err != nil {
			t.Errorf("a token suffers from the rotation: %v", err)
		}
		for name, tt := range map[string]struct {
			by   keys.Principal
			id   string
			want error
		}{
			"another organization": {keys.Principal{Org: "globex", Scopes: caller.Scopes, RateLimit: 600}, id, keys.ErrNotFound},
			"fewer scopes":         {keys.Principal{Org: "acme", RateLimit: 600}, id, keys.ErrBeyond},
			"a lower limit":        {keys.Principal{Org: "acme", Scopes: caller.Scopes, RateLimit: 599}, id, keys.ErrBeyond},
			"an unknown client":    {caller, "cc_0000000000000000", keys.ErrNotFound},
			"a token":              {caller, token[:30], keys.ErrNotFound},
		} {
			if issued, err := env.server.RotateSecret(t.Context(), tt.by, tt.id, 0); !errors.Is(err, tt.want) || issued.Text.Len() != 0 {
				t.Errorf("%s: %v, want %v", name, err, tt.want)
			}
		}
	})
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	client, err := env.server.Authenticate(t.Context(), id, keys.NewSecret(secret), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	otherID, otherSecret := env.register()
	mine, theirs := env.token(id, secret), env.token(otherID, otherSecret)
	key, err := env.manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token string
		want  error
	}{
		"none": {"", oauth.ErrNoToken}, "junk": {"junk", nil}, "its own ID": {id, nil}, "an API key": {key.Text.Reveal(), nil},
		"another client's": {theirs, oauth.ErrNotIssuedToClient}, "another client's without its secret": {theirs[:30] + mine[30:], nil},
	} {
		if err := env.server.Revoke(t.Context(), client, keys.NewSecret(tt.token)); err != tt.want {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	elsewhere := client
	elsewhere.Org = "globex"
	if err := env.server.Revoke(t.Context(), elsewhere, keys.NewSecret(mine)); err != oauth.ErrNotIssuedToClient {
		t.Errorf("another organization's: %v", err)
	}
	verifier := env.manager.Verifier()
	for name, text := range map[string]string{"my token": mine, "another client's token": theirs, "a key": key.Text.Reveal()} {
		if _, err := verifier.Verify(t.Context(), text); err != nil {
			t.Errorf("%s suffers: %v", name, err)
		}
	}
	env.faults.Fail(storetest.Update, 1, errors.New("down"))
	if err := env.server.Revoke(t.Context(), client, keys.NewSecret(mine)); err == nil {
		t.Error("a revocation that was not made is reported as made")
	}
	for range 2 {
		if err := env.server.Revoke(t.Context(), client, keys.NewSecret(mine)); err != nil {
			t.Error(err)
		}
	}
	if _, err := verifier.Verify(t.Context(), mine); err != keys.ErrRevoked {
		t.Errorf("afterwards: %v", err)
	}
}

func TestIntrospect(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	client, err := env.server.Authenticate(t.Context(), id, keys.NewSecret(secret), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	otherID, otherSecret := env.register()
	grant, err := env.grant(otherID, otherSecret, "identity:read")
	if err != nil {
		t.Fatal(err)
	}
	text := grant.AccessToken
	want := oauth.Introspection{
		Active: true, Scope: grant.Scope, ClientID: otherID, TokenID: grant.Token.ID, Org: "acme",
		ExpiresAt: grant.Token.ExpiresAt, IssuedAt: grant.Token.CreatedAt,
	}
	if got, err := env.server.Introspect(t.Context(), client, text); got != want || err != nil {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := env.server.Introspect(t.Context(), client, keys.Secret{}); err != oauth.ErrNoToken {
		t.Errorf("no token: %v", err)
	}
	stranger := client
	stranger.Org = "globex"
	key, err := env.manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	inactive := func(name string, by keys.Record, token keys.Secret) {
		t.Helper()
		if got, err := env.server.Introspect(t.Context(), by, token); got != (oauth.Introspection{}) || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	inactive("another organization", stranger, text)
	inactive("junk", client, keys.NewSecret("junk"))
	inactive("an API key", client, key.Text)
	env.faults.Fail(storetest.Get, 1, errors.New("down"))
	if _, err := env.server.Introspect(t.Context(), client, text); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("a store that fails: %v", err)
	}
	if err := env.manager.Revoke(t.Context(), "acme", "", grant.Token.ID); err != nil {
		t.Fatal(err)
	}
	inactive("a revoked token", client, text)
}

func TestClients(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	want := make(map[string]bool)
	for range 5 {
		id, _ := env.register()
		want[id] = true
	}
	for id := range want {
		if err := env.server.Delete(t.Context(), caller, id); err != nil {
			t.Fatal(err)
		}
		delete(want, id)
		break
	}
	if _, err := env.manager.Create(t.Context(), "acme", keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	for rec, err := range env.server.Clients(t.Context(), "acme", "", 0) {
		if err != nil || !want[rec.ID] {
			t.Errorf("%v, %v", rec, err)
		}
		delete(want, rec.ID)
	}
	if len(want) != 0 {
		t.Errorf("missing %v", want)
	}
	env.faults.Fail(storetest.List, storetest.Always, errors.New("down"))
	n := 0
	for _, err := range env.server.Clients(t.Context(), "acme", "", 0) {
		if n++; err == nil {
			t.Error("no error from a store that fails")
		}
	}
	if n != 1 {
		t.Errorf("%d steps", n)
	}
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
		"negative": {TokenLifetime: -time.Second}, "a fraction": {TokenLifetime: time.Second + 1}, "too long": {TokenLifetime: 1000 * 24 * time.Hour},
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
