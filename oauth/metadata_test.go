package oauth_test

import (
	"net/http"
	"net/http/httptest"
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

// TestMetadataMembers adds members to the metadata of the server.
func TestMetadataMembers(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	h, err := oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{
		Metadata: map[string]any{"authorization_endpoint": "https://auth.example.com/none", "issuer": "https://evil.example", "code_challenge_methods_supported": []string{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.mux = http.NewServeMux()
	h.Register(e.mux)
	got := e.serve(httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
	if got.body["issuer"] != "https://auth.example.com" || got.body["authorization_endpoint"] != "https://auth.example.com/none" || len(got.body) != 12 {
		t.Errorf("%s", got.text)
	}
	own := map[string]any{"issuer": "https://evil.example"}
	if h, err = oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{Metadata: own}); err != nil {
		t.Fatal(err)
	}
	e.mux = http.NewServeMux()
	h.Register(e.mux)
	if got := e.serve(httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil)); got.body["issuer"] != "https://auth.example.com" || len(own) != 1 {
		t.Errorf("a member that the server has alone: %s, and the host's own members %v", got.text, own)
	}
	if _, err := oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{Metadata: map[string]any{"x": func() {}}}); err == nil {
		t.Error("a member that is no JSON: no error")
	}
}
