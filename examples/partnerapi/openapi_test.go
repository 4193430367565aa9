package main

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
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
