package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

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
		"none": {"", oauth.ErrNoToken}, "junk": {"junk", nil}, "its own ID": {id, nil}, "an API key": {key.Text.Reveal(), oauth.ErrNotAToken}, "an API key without its secret": {key.Record.ID, nil},
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
	wide, err := env.grant(id, secret, "webhooks:manage")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.manager.Change(t.Context(), "acme", keys.KindClient, id, keys.Change{Scopes: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	if got, err := env.server.Introspect(t.Context(), client, wide.AccessToken); err != nil || !got.Active || got.Scope.String() != "identity:read" {
		t.Errorf("a token whose client was narrowed: %+v, %v", got, err)
	}
}

func TestRevokeEndpoint(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	otherID, otherSecret := env.register()
	mine, theirs := env.token(id, secret), env.token(otherID, otherSecret)
	auth := "&client_id=" + id + "&client_secret=" + secret
	key, err := env.manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	live := func(text string) bool { _, err := env.manager.Verifier().Verify(t.Context(), text); return err == nil }
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
		code   any
	}{
		"no client":        {post(revokePath, formType, "token="+mine), 400, "invalid_request"},
		"a wrong client":   {post(revokePath, formType, "token="+mine+"&client_id="+id+"&client_secret="+otherSecret), 401, "invalid_client"},
		"no token":         {post(revokePath, formType, auth[1:]), 400, "invalid_request"},
		"the token twice":  {post(revokePath, formType, "token="+mine+"&token="+mine+auth), 400, "invalid_request"},
		"an unknown token": {post(revokePath, formType, "token=oauth_"+strings.Repeat("0", 88)+auth), 200, nil},
		"junk":             {post(revokePath, formType, "token=junk&token_type_hint=refresh_token"+auth), 200, nil},
		"another client's": {post(revokePath, formType, "token="+theirs+auth), 400, "invalid_grant"},
		"an API key":       {post(revokePath, formType, "token="+key.Text.Reveal()+auth), 400, "unsupported_token_type"},
		"in the query":     {post(revokePath+"?token="+mine, formType, auth[1:]), 400, "invalid_request"},
	} {
		got := env.serve(tt.r)
		if got.status != tt.status || got.body["error"] != tt.code {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
		if tt.status == 200 && got.text != "{}\n" {
			t.Errorf("%s: body %q", name, got.text)
		}
		if tt.status != 200 {
			checkError(t, got)
		}
		if !live(mine) || !live(theirs) || !live(key.Text.Reveal()) {
			t.Fatalf("%s: a credential died", name)
		}
	}
	for _, r := range []*http.Request{
		withBasic(revokePath, "token="+mine+"&token_type_hint=access_token", basic(id, secret)),
		post(revokePath, formType, "token="+mine+auth),
	} {
		if got := env.serve(r); got.status != 200 || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v %s", got.status, got.header, got.text)
		}
		if live(mine) || !live(theirs) {
			t.Error("the token is alive, or another is not")
		}
	}
}

func TestIntrospectEndpoint(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	grant, err := env.grant(id, secret, "")
	if err != nil {
		t.Fatal(err)
	}
	text := grant.AccessToken.Reveal()
	stranger, err := env.server.Register(t.Context(), keys.Principal{Org: "globex", RateLimit: 600}, oauth.ClientSpec{})
	if err != nil {
		t.Fatal(err)
	}
	got := env.serve(withBasic(introspectPath, "token="+text, basic(id, secret)))
	want := map[string]any{
		"active": true, "scope": "identity:read webhooks:manage", "client_id": id, "token_type": "bearer",
		"exp": float64(grant.Token.ExpiresAt.Unix()), "iat": float64(grant.Token.CreatedAt.Unix()), "sub": "acme", "iss": "https://auth.example.com",
	}
	if diff := cmp.Diff(want, got.body); got.status != 200 || diff != "" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v\n%s", got.status, got.header, diff)
	}
	inactive := func(name, body string, auth ...string) {
		t.Helper()
		if got := env.serve(withBasic(introspectPath, body, auth...)); got.status != 200 || got.text != `{"active":false}`+"\n" {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	inactive("unknown", "token=oauth_"+strings.Repeat("0", 88), basic(id, secret))
	inactive("junk", "token=junk", basic(id, secret))
	inactive("another organization", "token="+text, basic(stranger.Record.ID, stranger.Text.Reveal()))
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
	}{
		"nobody": {withBasic(introspectPath, "token="+text), 400}, "a bearer": {withBasic(introspectPath, "token="+text, "Bearer "+text), 401},
		"no token": {withBasic(introspectPath, "", basic(id, secret)), 400}, "a wrong secret": {withBasic(introspectPath, "token="+text, basic(id, wrongSecret)), 401},
	} {
		got := env.serve(tt.r)
		if got.status != tt.status || got.body["active"] != nil {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
		checkError(t, got)
	}
	if err := env.server.Delete(t.Context(), caller, id); err != nil {
		t.Fatal(err)
	}
	third, thirdSecret := env.register()
	inactive("a deleted client's", "token="+text, basic(third, thirdSecret))
}

// TestRevokedWhileInspected revokes a token after it was looked at, and before its
// record is read for the answer.
func TestRevokedWhileInspected(t *testing.T) {
	t.Parallel()
	var e *env
	e = newEnv(t, &oauth.Options{MayInspect: func(ctx context.Context, _ keys.Record, about keys.Principal) bool {
		return e.manager.Revoke(ctx, about.Org, about.Kind, about.ID) == nil
	}})
	id, secret := e.register()
	client, err := e.server.Authenticate(t.Context(), id, keys.NewSecret(secret), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.server.Introspect(t.Context(), client, keys.NewSecret(e.token(id, secret))); got.Active || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestMayInspect has the host decide who may ask about what.
// TestIntrospectBeforeTheClientEnds asks about a token that cannot be used until its own
// end. Whoever keeps the answer until exp (RFC 7662 §4) must not keep it longer.
func TestIntrospectBeforeTheClientEnds(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	token := e.token(id, secret)
	soon := time.Minute
	client, err := e.manager.Change(t.Context(), caller.Org, keys.KindClient, id, keys.Change{Lifetime: &soon})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.server.Introspect(t.Context(), client, keys.NewSecret(token)); err != nil || !got.Active || !got.ExpiresAt.Equal(client.ExpiresAt) {
		t.Errorf("%+v, %v, want the end %v", got, err, client.ExpiresAt)
	}
}

func TestMayInspect(t *testing.T) {
	t.Parallel()
	uses := &noUses{}
	noted, err := keys.NewUses(uses, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := newEnvWith(t, &keys.Options{Uses: noted}, &oauth.Options{
		MayInspect: func(_ context.Context, client keys.Record, about keys.Principal) bool {
			return client.Label == "gateway" && about.Org != "secret"
		},
	})
	gateway, err := e.server.Register(t.Context(), keys.Principal{Org: "infra", ID: "x", RateLimit: 1}, oauth.ClientSpec{Name: "gateway"})
	if err != nil {
		t.Fatal(err)
	}
	id, secret := e.register()
	token := e.token(id, secret)
	key, err1 := e.manager.Create(t.Context(), "acme", keys.Spec{Lifetime: time.Hour})
	forever, err2 := e.manager.Create(t.Context(), "acme", keys.Spec{})
	hidden, err3 := e.manager.Create(t.Context(), "secret", keys.Spec{})
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	inspect := func(id, secret, token string) map[string]any {
		t.Helper()
		got := e.form(introspectPath, "token="+token+"&client_id="+id+"&client_secret="+secret)
		if got.status != 200 {
			t.Fatalf("%d %s", got.status, got.text)
		}
		return got.body
	}
	g, gs := gateway.Record.ID, gateway.Text.Reveal()
	if err := noted.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token   string
		members []string
	}{
		"a token":             {token, []string{"active", "client_id", "exp", "iat", "iss", "scope", "sub", "token_type"}},
		"a key":               {key.Text.Reveal(), []string{"active", "exp", "iat", "iss", "scope", "sub", "token_type"}},
		"a key without end":   {forever.Text.Reveal(), []string{"active", "iat", "iss", "scope", "sub", "token_type"}},
		"what it may not see": {hidden.Text.Reveal(), []string{"active"}},
		"junk":                {"junk", []string{"active"}},
	} {
		got := inspect(g, gs, tt.token)
		var members []string
		for name := range got {
			members = append(members, name)
		}
		slices.Sort(members)
		if !slices.Equal(members, tt.members) || got["active"] != (len(members) > 1) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := inspect(id, secret, token); got["active"] != false {
		t.Errorf("another client: %v", got)
	}
	if err := noted.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, used := range []string{key.Record.ID, forever.Record.ID, token[:30]} {
		if slices.Contains(uses.ids, used) {
			t.Errorf("to be asked about is a use of %s", used)
		}
	}
	if !slices.Contains(uses.ids, g) {
		t.Error("the gateway's own use was not noted")
	}
}

// noUses is a UseStore that remembers IDs.
type noUses struct{ ids []string }

func (u *noUses) NoteUses(_ context.Context, uses map[string]time.Time) error {
	for id := range uses {
		u.ids = append(u.ids, id)
	}
	return nil
}

func (u *noUses) LastUses(context.Context, []string) (map[string]time.Time, error) { return nil, nil }
