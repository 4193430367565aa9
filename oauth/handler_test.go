package oauth_test

import (
	"net/http"
	"testing"

	"github.com/claviger-auth/claviger/oauth"
)

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

// TestRegisterClientsNeedsProtection registers routes with nothing in front.
func TestRegisterClientsNeedsProtection(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	newEnv(t, nil).handler.RegisterClients(http.NewServeMux(), nil)
}

func TestMethods(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for _, path := range []string{tokenPath, revokePath, introspectPath} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
			r := post(path, formType, "")
			r.Method = method
			got := env.serve(r)
			if got.status != 405 || got.header.Get("Allow") != "POST" || got.body["error"] != "method_not_allowed" {
				t.Errorf("%s %s: %d %v %s", method, path, got.status, got.header, got.text)
			}
		}
	}
}
