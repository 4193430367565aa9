package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// An operation is one of the OpenAPI document.
type operation struct {
	ID        string                     `json:"operationId"`
	Security  []map[string][]string      `json:"security"`
	Responses map[string]json.RawMessage `json:"responses"`

	method, path string
}

// bearer reports whether the operation takes a key or a token.
func (o *operation) bearer() bool {
	return slices.ContainsFunc(o.Security, func(s map[string][]string) bool { return s["bearer"] != nil })
}

// operations returns those of the document that the API serves.
func (e *env) operations() (all []operation) {
	e.t.Helper()
	got := e.do("GET", "/openapi.json", "", "")
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(got.text), &document); got.status != 200 || err != nil {
		e.t.Fatal(got.status, err)
	}
	for path, methods := range document.Paths {
		for method, text := range methods {
			if method == "parameters" {
				continue
			}
			o := operation{method: strings.ToUpper(method), path: path}
			if err := json.Unmarshal(text, &o); err != nil {
				e.t.Fatal(err)
			}
			all = append(all, o)
		}
	}
	return all
}

// TestOpenAPIRoutes compares the document with what the API serves, and with which
// scope.
func TestOpenAPIRoutes(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var want, got []string
	for _, r := range e.routes() {
		want = append(want, r.Method+" "+r.Path)
	}
	ids := make(map[string]bool)
	for _, o := range e.operations() {
		got = append(got, o.method+" "+o.path)
		if o.ID == "" || ids[o.ID] {
			t.Errorf("%s %s: the operationId %q is empty, or another's", o.method, o.path, o.ID)
		}
		ids[o.ID] = true
		base, _, _ := strings.Cut(o.path, "/{id}")
		if o.bearer() == (scopeOf[base] == public) {
			t.Errorf("%s %s: security %v", o.method, o.path, o.Security)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestOpenAPIForGenerators holds what generators of clients need besides a document that
// is valid.
func TestOpenAPIForGenerators(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var document map[string]any
	if err := json.Unmarshal([]byte(e.do("GET", "/openapi.json", "", "").text), &document); err != nil {
		t.Fatal(err)
	}
	// What oapi-codegen writes around the schemas has names too, and with a schema of
	// such a name its code does not compile.
	taken := []string{
		"Client", "NewClient", "ClientOption", "ClientInterface", "ClientWithResponses", "ClientWithResponsesInterface",
		"NewClientWithResponses", "HttpRequestDoer", "RequestEditorFn", "ServerInterface",
	}
	schemas := document["components"].(map[string]any)["schemas"].(map[string]any)
	for _, name := range taken {
		if schemas[name] != nil {
			t.Errorf("the schema %s has the name of something else in generated code", name)
		}
	}
	// For openapi-typescript an object without members has none, unless it says that
	// it may have any.
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["type"] == "object" && v["properties"] == nil && v["additionalProperties"] == nil {
				t.Errorf("%s: an object whose members are not named", at)
			}
			for name, value := range v {
				walk(at+"/"+name, value)
			}
		case []any:
			for _, value := range v {
				walk(at, value)
			}
		}
	}
	walk("", document)
}

// TestOpenAPIStatuses has the API answer each operation with each status that the
// document names.
func TestOpenAPIStatuses(t *testing.T) {
	t.Parallel()
	for _, o := range newEnv(t).operations() {
		for text := range o.Responses {
			t.Run(o.ID+" "+text, func(t *testing.T) {
				t.Parallel()
				want, err := strconv.Atoi(text)
				if err != nil {
					t.Fatal(err)
				}
				c := newCase(t, o)
				if got := c.provoke(want); got.status != want {
					t.Errorf("%d %s, want %d", got.status, got.text, want)
				}
			})
		}
	}
}

// TestOpenAPIMembers has the API answer with all members that answers can have, and
// without them.
func TestOpenAPIMembers(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	made := e.do("POST", "/v1/keys", e.admin, `{"label":"a","environment":"test","expires_in":3600,"networks":["127.0.0.0/8","::1"],"metadata":{"a":{"b":[1,null]}}}`)
	first := made.body["key_id"].(string)
	second := e.do("POST", "/v1/keys/"+first+"/rotate", e.admin, `{"expires_in":1800}`)
	id := second.body["key_id"].(string)
	third := e.do("POST", "/v1/keys/"+id+"/rotate", e.admin, `{"overlap":600}`)
	for _, r := range []response{made, second, third, second} {
		if got := e.do("GET", "/api/v1/partner/me", r.body["key"].(string), ""); got.status != 200 {
			t.Fatal(got.status, got.text)
		}
	}
	e.do("PATCH", "/v1/keys/"+id, e.admin, `{"disabled":true,"label":"b"}`)
	e.do("DELETE", "/v1/keys/"+id+"?descendants=true", e.admin, "")
	got := e.do("GET", "/v1/keys/"+id, e.admin, "")
	for _, name := range []string{"revoked_at", "last_used_at", "replaces", "replaced_by", "disabled_at", "networks", "metadata", "replaces_last_used_at", "replaced_by_last_used_at"} {
		if got.body[name] == nil {
			t.Errorf("a key without %s: %s", name, got.text)
		}
	}
	list := e.do("GET", "/v1/keys?include=revoked&limit=2", e.admin, "")
	if next, _ := list.body["next_cursor"].(string); e.do("GET", "/v1/keys?limit=1&cursor="+next, e.admin, "").status != 200 {
		t.Errorf("%s", list.text)
	}

	client, err := e.api.manager.Create(t.Context(), "acme", keys.Spec{
		Kind: keys.KindClient, Label: "a", Environment: "test", Lifetime: time.Hour, CreatedBy: "host:test",
	})
	if err != nil {
		t.Fatal(err)
	}
	token := e.token(client.Record.ID, client.Text.Reveal())
	asker, secret := e.client(e.admin, `{"name":"b","scopes":["webhooks:manage"]}`)
	for about, active := range map[string]bool{token: true, "junk": false} {
		got := e.form("/v1/oauth/introspect", url.Values{"client_id": {asker}, "client_secret": {secret}, "token": {about}})
		if got.status != 200 || got.body["active"] != active {
			t.Errorf("%d %s", got.status, got.text)
		}
	}
	if got := e.form("/v1/oauth/revoke", url.Values{"client_id": {asker}, "client_secret": {secret}, "token": {token}}); got.body["error"] != "invalid_grant" {
		t.Errorf("%d %s", got.status, got.text)
	}
	yes := true
	if _, err := e.api.manager.Change(t.Context(), "acme", keys.KindClient, client.Record.ID, keys.Change{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	got = e.do("GET", "/v1/oauth/clients/"+client.Record.ID, e.admin, "")
	for _, name := range []string{"name", "scopes", "createdBy", "environment", "expiresAt", "disabledAt"} {
		if got.body[name] == nil {
			t.Errorf("a client without %s: %s", name, got.text)
		}
	}
	list = e.do("GET", "/v1/oauth/clients?limit=1", e.admin, "")
	if next, _ := list.body["next_cursor"].(string); e.do("GET", "/v1/oauth/clients?limit=1&cursor="+next, e.admin, "").status != 200 {
		t.Errorf("%s", list.text)
	}
}

// A statusCase is a request that an operation answers with success, until one thing
// about it is changed.
type statusCase struct {
	*env
	faults *storetest.Faults
	operation
	id         string // of the resource
	query      string
	body, kind string
	header     http.Header
}

func newCase(t *testing.T, o operation) *statusCase {
	t.Helper()
	faults := storetest.NewFaults(new(store.Memory))
	c := &statusCase{
		env: newEnvOver(t, &stores{records: faults, limits: faults, uses: faults, close: func() error { return nil }}), faults: faults,
		operation: o, kind: "application/json", header: make(http.Header),
	}
	c.id = c.resource(o.path)
	switch {
	case o.ID == "createWebhook":
		c.body = `{"url":"https://example.com/"}`
	case slices.Contains([]string{"issueToken", "revokeToken", "introspect"}, o.ID):
		id, secret := c.client(c.admin, "")
		c.kind = "application/x-www-form-urlencoded"
		form := url.Values{"client_id": {id}, "client_secret": {secret}}
		if o.ID == "issueToken" {
			form.Set("grant_type", "client_credentials")
		} else {
			form.Set("token", c.token(id, secret))
		}
		c.body = form.Encode()
	}
	if o.bearer() {
		c.header.Set("Authorization", "Bearer "+c.admin)
	}
	return c
}

// request sends the request.
func (c *statusCase) request() response {
	c.t.Helper()
	path := strings.ReplaceAll(c.path, "{id}", c.id) + c.query
	req, err := http.NewRequestWithContext(c.t.Context(), c.method, c.server.URL+path, strings.NewReader(c.body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.header.Clone()
	if c.body != "" {
		req.Header.Set("Content-Type", c.kind)
	}
	return c.send(req)
}

// as makes the request that of a key with every scope and more.
func (c *statusCase) as(spec keys.Spec) {
	c.t.Helper()
	spec.Scopes = catalog.Grantable().Names()
	issued, err := c.api.manager.Create(c.t.Context(), "acme", spec)
	if err != nil {
		c.t.Fatal(err)
	}
	c.header.Set("Authorization", "Bearer "+issued.Text.Reveal())
}

// invalidValues are bodies and queries that have a value out of its bounds.
var invalidValues = map[string]struct{ query, body string }{
	"listKeys": {"?limit=0", ""}, "createKey": {"", `{"expires_in":0}`}, "changeKey": {"", `{"rate_limit_per_minute":0}`},
	"rotateKey": {"", `{"overlap":-1}`}, "revokeKey": {"?descendants=x", ""},
	"listClients": {"?cursor=x", ""}, "createClient": {"", `{"scopes":["leads:read","nobody:knows"]}`},
	"rotateClientSecret": {"", `{"overlap":-1}`}, "deleteClient": {"?descendants=x", ""}, "createWebhook": {"", `{"url":"http://example.com"}`},
}

// provoke changes the request so that it is answered with a status, and sends it.
func (c *statusCase) provoke(status int) response {
	c.t.Helper()
	switch status {
	case 400:
		if c.body = "grant_type="; c.bearer() {
			c.body = ""
			c.header.Add("Authorization", "Bearer x") // one too many
		}
	case 401:
		c.header.Del("Authorization")
		c.body = strings.ReplaceAll(c.body, "client_secret=", "client_secret=0")
	case 403:
		networks, err := keys.ParseNetworks("10.0.0.0/8")
		if err != nil {
			c.t.Fatal(err)
		}
		c.as(keys.Spec{Networks: networks})
	case 404:
		c.id = "unknown"
	case 409:
		c.conflict()
	case 413:
		c.body = strings.Repeat(" ", 70_000) + c.body
	case 415:
		c.body += " "
		c.header.Set("Content-Encoding", "gzip")
	case 422:
		v := invalidValues[c.ID]
		c.query, c.body = v.query, v.body
	case 429:
		if c.bearer() {
			c.as(keys.Spec{RateLimit: 1})
			c.request()
			break
		}
		c.body = strings.ReplaceAll(c.body, "client_secret=", "client_secret=0")
		for range 10 {
			c.request()
		}
	case 503:
		c.faults.Fail(storetest.Get, storetest.Always, errors.New("down"))
	}
	return c.request()
}

// conflict makes the operation one that cannot be done as things are.
func (c *statusCase) conflict() {
	c.t.Helper()
	ctx, m := c.t.Context(), c.api.manager
	kind, most := keys.KindKey, keys.DefaultMaxKeys
	if strings.HasPrefix(c.path, "/v1/oauth/clients") {
		kind, most = keys.KindClient, keys.DefaultMaxClients
	}
	switch {
	case c.method == "DELETE":
		c.faults.Fail(storetest.Update, storetest.Always, keys.ErrConflict)
	case c.id != "" && kind == keys.KindClient: // a deleted one is not found
		yes := true
		if _, err := m.Change(ctx, "acme", kind, c.id, keys.Change{Disabled: &yes}); err != nil {
			c.t.Fatal(err)
		}
	case c.id != "":
		if err := m.Revoke(ctx, "acme", kind, c.id); err != nil {
			c.t.Fatal(err)
		}
	default: // as many as there may be
		for i := range most {
			if _, err := m.Create(ctx, "acme", keys.Spec{Kind: kind, Label: fmt.Sprint(i)}); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}
