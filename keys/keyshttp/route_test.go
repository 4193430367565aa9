package keyshttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// deny protects by refusing everything, and so shows what comes before it.
func deny(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		keyshttp.WriteError(w, &keyshttp.Error{Status: 401, Code: "unauthorized", Description: "denied"})
	})
}

func TestMount(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.mux = http.NewServeMux()
	keyshttp.Mount(h.mux, deny, h.handler.Routes("/v1/keys")...)
	h.mux.Handle("/", keyshttp.NotFound())

	tests := []struct{ name, method, path, allow string }{
		{"create", "POST", "/v1/keys", ""},
		{"list", "GET", "/v1/keys", ""},
		{"head of a list", "HEAD", "/v1/keys", ""},
		{"get", "GET", "/v1/keys/x", ""},
		{"head of a key", "HEAD", "/v1/keys/x", ""},
		{"change", "PATCH", "/v1/keys/x", ""},
		{"revoke", "DELETE", "/v1/keys/x", ""},
		{"rotate", "POST", "/v1/keys/x/rotate", ""},
		{"put on the list", "PUT", "/v1/keys", "GET, HEAD, POST"},
		{"options", "OPTIONS", "/v1/keys", "GET, HEAD, POST"},
		{"delete the list", "DELETE", "/v1/keys", "GET, HEAD, POST"},
		{"post to a key", "POST", "/v1/keys/x", "DELETE, GET, HEAD, PATCH"},
		{"unknown method", "BREW", "/v1/keys/x", "DELETE, GET, HEAD, PATCH"},
		{"get a rotation", "GET", "/v1/keys/x/rotate", "POST"},
		{"unknown path", "GET", "/v1/keys/x/other", "-"},
		{"slash at the end", "GET", "/v1/keys/", "-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := h.send(httptest.NewRequest(tt.method, tt.path, nil))
			switch tt.allow {
			case "":
				a.wantError(t, http.StatusUnauthorized, "unauthorized")
			case "-":
				a.wantError(t, http.StatusNotFound, "not_found")
			default:
				a.wantError(t, http.StatusMethodNotAllowed, "method_not_allowed")
				a.wantHeader(t, "Allow", tt.allow)
			}
		})
	}
}

func TestMountPanics(t *testing.T) {
	t.Parallel()
	route := keyshttp.Route{Method: "GET", Path: "/x", Handler: keyshttp.NotFound()}
	h := newHost(t)
	tests := []struct {
		name string
		call func()
	}{
		{"no protection", func() { keyshttp.Mount(http.NewServeMux(), nil, route) }},
		{"no protection, no routes", func() { keyshttp.Mount(http.NewServeMux(), nil) }},
		{"route twice", func() { keyshttp.Mount(http.NewServeMux(), keyshttp.Public, route, route) }},
		{"empty path", func() { h.handler.Routes("") }},
		{"relative path", func() { h.handler.Routes("v1/keys") }},
		{"slash at the end", func() { h.handler.Routes("/v1/keys/") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			tt.call()
		})
	}
}

func TestNotFoundIsTheAnswerToUnknownKeys(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	path, key := h.do(admin, "GET", "/nowhere", ""), h.do(admin, "GET", "/v1/keys/nobody", "")
	wantSame(t, path, key)
}
