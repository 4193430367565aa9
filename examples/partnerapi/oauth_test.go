package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// client makes an OAuth client with a key, and returns its ID and its secret.
func (e *env) client(key, body string) (id, secret string) {
	e.t.Helper()
	got := e.do("POST", "/v1/oauth/clients", key, body)
	id, _ = got.body["clientId"].(string)
	secret, _ = got.body["clientSecret"].(string)
	if got.status != 201 || id == "" || secret == "" {
		e.t.Fatalf("%d %s", got.status, got.text)
	}
	return id, secret
}

// token gets a token for a client.
func (e *env) token(id, secret string) string {
	e.t.Helper()
	got := e.form("/v1/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}})
	text, _ := got.body["access_token"].(string)
	if got.status != 200 || text == "" {
		e.t.Fatalf("%d %s", got.status, got.text)
	}
	return text
}

// form posts a form.
func (e *env) form(path string, values url.Values) response {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), "POST", e.server.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return e.send(req)
}

// TestTokensAreGoodWhereKeysAre walks through the documentation of the OAuth
// half: a client made with a key, a token, the token in place of a key, and a
// client made with the token.
func TestTokensAreGoodWhereKeysAre(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	id, secret := e.client(e.admin, "")
	token := e.token(id, secret)
	if got := e.do("GET", "/v1/chain", token, ""); got.status != 200 || got.text != `{"companyId":"acme"}`+"\n" {
		t.Errorf("%d %s", got.status, got.text)
	}
	got := e.do("GET", "/api/v1/partner/me", token, "")
	want := map[string]any{
		"partner_org": "acme", "key_id": token[:30], "scopes": []any{"identity:read", "keys:manage", "webhooks:manage"},
		"rate_limit_per_minute": 600.0, "rate_limit_remaining": got.body["rate_limit_remaining"],
		"expires_at": got.body["expires_at"],
	}
	if diff := cmp.Diff(want, got.body); got.status != 200 || diff != "" {
		t.Errorf("%d\n%s", got.status, diff)
	}
	if got := e.do("POST", "/v1/keys", token, `{"scopes":["webhooks:manage"]}`); got.status != 201 {
		t.Errorf("a key by a token: %d %s", got.status, got.text)
	}
	second, secondSecret := e.client(token, `{"name":"by a token","scopes":["webhooks:manage"]}`)
	if got := e.do("POST", "/v1/keys", e.token(second, secondSecret), ""); got.status != 403 {
		t.Errorf("without keys:manage: %d %s", got.status, got.text)
	}
	// The client is no credential for the API itself.
	for _, credential := range []string{id, secret, id + "." + secret, id + secret} {
		if got := e.do("GET", "/v1/chain", credential, ""); got.status != 401 {
			t.Errorf("a client's own credentials: %d", got.status)
		}
	}
	// Deleting the client ends its tokens, and only those.
	if got := e.do("DELETE", "/v1/oauth/clients/"+id, e.admin, ""); got.status != 204 {
		t.Errorf("%d %s", got.status, got.text)
	}
	if got := e.do("GET", "/v1/chain", token, ""); got.status != 401 || got.body["error"] != "invalid_token" {
		t.Errorf("after its client: %d %s", got.status, got.text)
	}
	if got := e.do("GET", "/v1/chain", e.token(second, secondSecret), ""); got.status != 200 {
		t.Errorf("another client: %d %s", got.status, got.text)
	}
}

// TestRouteMatrix calls every route as every kind of caller: without a
// credential, with a key and with a token, each without the scope, with another
// one and with the right one, of the organization that owns the resource and of
// another.
func TestRouteMatrix(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	globex := e.bootstrap("globex")
	admins := map[string]string{"acme": e.admin, "globex": globex}
	tokenFor := func(org string, scopes []string) string {
		quoted := make([]string, len(scopes))
		for i, s := range scopes {
			quoted[i] = fmt.Sprintf("%q", s)
		}
		return e.token(e.client(admins[org], `{"scopes":[`+strings.Join(quoted, ",")+`]}`))
	}
	keyFor := func(org string, scopes []string) string {
		issued, err := e.api.manager.Create(t.Context(), org, keys.Spec{Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		return issued.Text.Reveal()
	}
	calls := 0
	for _, r := range e.routes() {
		t.Run(r.Method+" "+r.Path, func(t *testing.T) {
			var other []string // a scope that is not the route's
			for _, s := range []string{webhooksManage, keysManage} {
				if s != r.scope {
					other = []string{s}
				}
			}
			right := other
			if r.scope != public && r.scope != anybody {
				right = []string{r.scope}
			}
			for _, org := range []string{"acme", "globex"} {
				for family, credential := range map[string]func(string, []string) string{"key": keyFor, "token": tokenFor} {
					for holding, scopes := range map[string][]string{"absent": nil, "wrong": other, "right": right} {
						// A resource of acme's for each call: it may be deleted.
						path := strings.ReplaceAll(r.Path, "{id}", e.resource(r.Path))
						got := e.do(r.Method, path, credential(org, scopes), "")
						calls++
						name := fmt.Sprintf("%s of %s, scope %s: %d %s", family, org, holding, got.status, got.text)
						open := slices.Contains([]string{public, anybody, identityRead}, r.scope)
						foreign := org == "globex" && strings.Contains(r.Path, "{id}")
						rotates := strings.HasSuffix(r.Path, "/rotate") // needs all that the resource has
						switch {
						case holding != "right" && !open:
							if got.status != 403 || !strings.Contains(got.header.Get("WWW-Authenticate"), `scope="`+r.scope+`"`) {
								t.Errorf("%s; want 403 with the scope", name)
							}
						case foreign:
							if got.status != 404 || got.body["error"] != "not_found" {
								t.Errorf("%s; want 404", name)
							}
						case rotates && holding == "absent":
							if got.status != 403 && got.status/100 != 2 {
								t.Errorf("%s; want 2xx, or 403 for a resource with more", name)
							}
						case got.status == 401 && r.scope != public, got.status == 403, got.status == 404, got.status >= 500:
							t.Errorf("%s; want the request to be let through", name)
						}
					}
				}
			}
			path := strings.ReplaceAll(r.Path, "{id}", e.resource(r.Path))
			if got := e.do(r.Method, path, "", ""); r.scope != public && (got.status != 401 || got.body["error"] != "unauthorized" ||
				!strings.Contains(got.header.Get("WWW-Authenticate"), `resource_metadata="`+e.server.URL+`/.well-known/oauth-protected-resource"`)) {
				t.Errorf("no credential: %d %v %s", got.status, got.header, got.text)
			}
		})
	}
	if want := 12 * len(e.routes()); calls != want {
		t.Errorf("%d calls, want %d", calls, want)
	}
}

// resource makes a resource of acme's for a path with an {id} and returns its
// ID. It has the least scopes, so that any caller may rotate it.
func (e *env) resource(path string) string {
	e.t.Helper()
	switch {
	case !strings.Contains(path, "{id}"):
		return ""
	case strings.HasPrefix(path, "/v1/keys/"):
		return e.key(0).Record.ID
	case strings.HasPrefix(path, "/v1/oauth/clients/"):
		id, _ := e.client(e.admin, `{"scopes":[]}`)
		return id
	case strings.HasPrefix(path, "/api/v1/partner/webhooks/"):
		id := fmt.Sprintf("wh_%d", e.webhooks.Add(1))
		e.api.webhooks.add("acme", webhook{ID: id, Active: true})
		return id
	}
	e.t.Fatalf("no resource for %s", path)
	return ""
}

// TestOAuth2Package runs golang.org/x/oauth2, a client that nobody here wrote,
// in each of its styles, through the http.Client that it makes.
func TestOAuth2Package(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	id, secret := e.client(e.admin, `{"scopes":["webhooks:manage"]}`)
	for name, style := range map[string]oauth2.AuthStyle{
		"in the header": oauth2.AuthStyleInHeader, "in the body": oauth2.AuthStyleInParams, "detected": oauth2.AuthStyleAutoDetect,
	} {
		t.Run(name, func(t *testing.T) {
			config := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: e.server.URL + "/v1/oauth/token", AuthStyle: style}
			resp, err := config.Client(context.Background()).Get(e.server.URL + "/v1/chain")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 200 || string(body) != `{"companyId":"acme"}`+"\n" {
				t.Errorf("%d %s, %v", resp.StatusCode, body, err)
			}
			config.Scopes = []string{"identity:read"}
			token, err := config.Token(context.Background())
			if err != nil || token.Extra("scope") != "identity:read" || token.Type() != "Bearer" || token.Extra("expires_in") != 3600.0 || token.Expiry.IsZero() {
				t.Errorf("%+v, %v", token, err)
			}
			for code, change := range map[string]func(*clientcredentials.Config){
				"invalid_scope":  func(c *clientcredentials.Config) { c.Scopes = []string{"keys:manage"} },
				"invalid_client": func(c *clientcredentials.Config) { c.ClientSecret = strings.Repeat("0", 64) },
			} {
				bad := config
				change(&bad)
				_, err := bad.Token(context.Background())
				refused, ok := err.(*oauth2.RetrieveError)
				if !ok || refused.ErrorCode != code || refused.ErrorDescription == "" {
					t.Errorf("%s: %v", code, err)
				}
			}
		})
	}
}

// TestDiscovery follows the documents from a challenge to the token endpoint.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	challenge := e.do("GET", "/v1/chain", "", "").header.Get("WWW-Authenticate")
	_, rest, _ := strings.Cut(challenge, `resource_metadata="`)
	resourceURL, _, ok := strings.Cut(rest, `"`)
	path, ours := strings.CutPrefix(resourceURL, e.server.URL)
	if !ok || !ours {
		t.Fatalf("challenge %s", challenge)
	}
	resource := e.do("GET", path, "", "")
	issuer := resource.body["authorization_servers"].([]any)[0].(string)
	if resource.body["resource"] != e.server.URL || issuer != e.server.URL {
		t.Errorf("%s", resource.text)
	}
	server := e.do("GET", "/.well-known/oauth-authorization-server", "", "")
	if server.body["issuer"] != issuer || server.body["token_endpoint"] != e.server.URL+"/v1/oauth/token" {
		t.Errorf("%s", server.text)
	}
	// Some clients do not read metadata without it.
	if server.body["authorization_endpoint"] != e.server.URL+"/v1/oauth/authorize" {
		t.Errorf("%s", server.text)
	}
}

// TestDiscoveryWithPath has an issuer with a path, while the API stays at the root:
// its metadata is there, and names the issuer.
func TestDiscoveryWithPath(t *testing.T) {
	t.Parallel()
	const issuer = "https://example.com/tenant/one"
	a, err := newAPI(memory(t), issuer, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]map[string]any{
		"/.well-known/oauth-protected-resource": {
			"resource": "https://example.com", "authorization_servers": []any{issuer},
		},
		"/.well-known/oauth-authorization-server/tenant/one": {
			"issuer": issuer, "token_endpoint": issuer + "/v1/oauth/token", "authorization_endpoint": issuer + "/v1/oauth/authorize",
		},
	} {
		w := httptest.NewRecorder()
		a.handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%s: %d %v", path, w.Code, err)
		}
		for name, value := range want {
			if diff := cmp.Diff(value, got[name]); diff != "" {
				t.Errorf("%s: %s: %s", path, name, diff)
			}
		}
	}
}
