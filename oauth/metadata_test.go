package oauth_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/oauth"
	"github.com/google/go-cmp/cmp"
)

func TestMetadata(t *testing.T) {
	t.Parallel()
	methods := []any{"client_secret_basic", "client_secret_post"}
	for _, tt := range []struct {
		name, issuer, resource   string
		serverPath, resourcePath string
	}{
		{"plain", "https://auth.example.com", "", "", ""},
		{"a port", "http://127.0.0.1:8080", "", "", ""},
		{"a path", "https://example.com/tenant/one", "", "/tenant/one", "/tenant/one"},
		{"a path with an escape", "https://example.com/%C3%A9", "", "/%C3%A9", "/%C3%A9"},
		{"a resource of its own", "https://auth.example.com", "https://api.example.com/v1", "", "/v1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t, nil)
			h, err := oauth.NewHandler(env.server, tt.issuer, &oauth.HandlerOptions{Resource: tt.resource})
			if err != nil {
				t.Fatal(err)
			}
			env.mux = http.NewServeMux()
			h.Register(env.mux)
			get := func(path string) answer {
				r := post(path, "", "")
				r.Method = "GET"
				return env.serve(r)
			}
			base := tt.issuer + "/oauth"
			scopes := []any{"identity:read", "keys:manage", "webhooks:manage"}
			want := map[string]any{
				"issuer": tt.issuer, "token_endpoint": base + "/token", "revocation_endpoint": base + "/revoke", "introspection_endpoint": base + "/introspect",
				"token_endpoint_auth_methods_supported": methods, "revocation_endpoint_auth_methods_supported": methods,
				"introspection_endpoint_auth_methods_supported": methods, "grant_types_supported": []any{"client_credentials"},
				"response_types_supported": []any{}, "scopes_supported": scopes,
			}
			if got := get("/.well-known/oauth-authorization-server" + tt.serverPath); got.status != 200 || cmp.Diff(want, got.body) != "" || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%d %v\n%s", got.status, got.header, cmp.Diff(want, got.body))
			}
			resource := tt.resource
			if resource == "" {
				resource = tt.issuer
			}
			want = map[string]any{
				"resource": resource, "authorization_servers": []any{tt.issuer}, "scopes_supported": scopes, "bearer_methods_supported": []any{"header"},
			}
			if got := get("/.well-known/oauth-protected-resource" + tt.resourcePath); got.status != 200 || cmp.Diff(want, got.body) != "" {
				t.Errorf("%d\n%s", got.status, cmp.Diff(want, got.body))
			}
			// The endpoints are where the metadata says.
			if got := env.form(base[len(tt.issuer)-len(tt.serverPath):]+"/token", ""); got.status != 400 {
				t.Errorf("token endpoint: %d", got.status)
			}
			if got, want := h.ResourceMetadataURL(), resource[:len(resource)-len(tt.resourcePath)]+"/.well-known/oauth-protected-resource"+tt.resourcePath; got != want {
				t.Errorf("metadata at %s, want %s", got, want)
			}
		})
	}
}

// TestDiscoveryURLs asks the URLs at which clients look for metadata, in their
// order: the SDKs of the Model Context Protocol for example, which take an API at
// /v1/mcp for a resource of its own, then the root, and fall back to OpenID
// Connect after RFC 8414. There is nothing at the URLs of OpenID Connect, which
// this server does not speak.
func TestDiscoveryURLs(t *testing.T) {
	t.Parallel()
	const root = "https://example.com"
	for _, tt := range []struct {
		name, issuer, resource string
		urls                   string // with the status of each answer
	}{
		{"plain", root, "", `
			/.well-known/oauth-protected-resource/v1/mcp 404
			/.well-known/oauth-protected-resource 200
			/.well-known/oauth-authorization-server 200
			/.well-known/openid-configuration 404`},
		{"an issuer with a path, an API at the root", root + "/tenant/one", root, `
			/.well-known/oauth-protected-resource/v1/mcp 404
			/.well-known/oauth-protected-resource 200
			/.well-known/oauth-authorization-server/tenant/one 200
			/.well-known/openid-configuration/tenant/one 404
			/tenant/one/.well-known/openid-configuration 404`},
		{"an API with a path", root + "/tenant/one", root + "/v1/mcp", `
			/.well-known/oauth-protected-resource/v1/mcp 200
			/.well-known/oauth-protected-resource 404
			/.well-known/oauth-authorization-server/tenant/one 200`},
		{"both with one path", root + "/tenant/one", "", `
			/.well-known/oauth-protected-resource/tenant/one 200
			/.well-known/oauth-authorization-server/tenant/one 200`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t, nil)
			h, err := oauth.NewHandler(env.server, tt.issuer, &oauth.HandlerOptions{
				Resource: tt.resource, Metadata: map[string]any{"authorization_endpoint": tt.issuer + "/none"},
			})
			if err != nil {
				t.Fatal(err)
			}
			env.mux = http.NewServeMux()
			h.Register(env.mux)
			fields := strings.Fields(tt.urls)
			for i := 0; i < len(fields); i += 2 {
				r := post(fields[i], "", "")
				r.Method = "GET"
				if got := env.serve(r); strconv.Itoa(got.status) != fields[i+1] {
					t.Errorf("%s: %d, want %s", fields[i], got.status, fields[i+1])
				} else if servers := got.body["authorization_servers"]; servers != nil && cmp.Diff([]any{tt.issuer}, servers) != "" {
					t.Errorf("%s: %v", fields[i], got.body)
				} else if issuer := got.body["issuer"]; issuer != nil && (issuer != tt.issuer || got.body["authorization_endpoint"] != tt.issuer+"/none") {
					t.Errorf("%s: %v", fields[i], got.body)
				}
			}
		})
	}
}

func TestNewHandlerRefuses(t *testing.T) {
	t.Parallel()
	server := newEnv(t, nil).server
	const good = "https://auth.example.com"
	for name, tt := range map[string]struct {
		issuer string
		opts   oauth.HandlerOptions
	}{
		"no issuer": {"", oauth.HandlerOptions{}}, "a path alone": {"/auth", oauth.HandlerOptions{}}, "another scheme": {"ftp://example.com", oauth.HandlerOptions{}},
		"a query": {good + "?a", oauth.HandlerOptions{}}, "a fragment": {good + "#", oauth.HandlerOptions{}}, "a slash": {good + "/", oauth.HandlerOptions{}},
		"a user": {"https://me@example.com", oauth.HandlerOptions{}}, "no host": {"https://", oauth.HandlerOptions{}}, "braces": {good + "/{id}", oauth.HandlerOptions{}},
		"a relative path": {good, oauth.HandlerOptions{Path: "oauth"}}, "a path with a slash": {good, oauth.HandlerOptions{Path: "/oauth/"}},
		"a path with braces": {good, oauth.HandlerOptions{Path: "/{x}"}}, "a realm with quotes": {good, oauth.HandlerOptions{Realm: `a"`}},
		"a realm with a backslash": {good, oauth.HandlerOptions{Realm: `a\b`}}, "an empty query": {good, oauth.HandlerOptions{Resource: good + "?"}},
		"a resource with a slash": {good, oauth.HandlerOptions{Resource: good + "/"}},
		"no host but a port":      {"https://:443", oauth.HandlerOptions{}}, "two slashes": {good + "/a//b", oauth.HandlerOptions{}}, "two dots": {good + "/a/../b", oauth.HandlerOptions{}},
		"one dot": {good + "/.", oauth.HandlerOptions{}}, "a letter to escape": {good + "/é", oauth.HandlerOptions{}}, "a space": {good + "/a b", oauth.HandlerOptions{}},
		"a quote": {good + `/"`, oauth.HandlerOptions{}}, "a path with two slashes": {good, oauth.HandlerOptions{Path: "/a//b"}}, "a path with dots": {good, oauth.HandlerOptions{Path: "/../b"}},
		"a path with a tab": {good, oauth.HandlerOptions{Path: "/a\tb"}}, "a path with half an escape": {good, oauth.HandlerOptions{Path: "/a%z"}},
		"a path with a query": {good, oauth.HandlerOptions{Path: "/a?"}}, "a path with a letter to escape": {good, oauth.HandlerOptions{Path: "/é"}},
		"a resource that is not clean": {good, oauth.HandlerOptions{Resource: good + "//v1"}},
		"a bad resource":               {good, oauth.HandlerOptions{Resource: "x"}}, "negative failures": {good, oauth.HandlerOptions{Failures: -1}},
	} {
		if _, err := oauth.NewHandler(server, tt.issuer, &tt.opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := oauth.NewHandler(nil, good, nil); err == nil {
		t.Error("no server: no error")
	}
	if _, err := oauth.NewHandler(server, good, nil); err != nil {
		t.Errorf("no options: %v", err)
	}
}
