package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/go-chi/chi/v5"
)

func TestService(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, &keys.Options{Catalog: catalog, RateLimit: 10}, nil)
	h := service(host.Guard)
	reader := host.Key("acme", "orders:read")
	for _, tt := range []struct {
		path, key string
		status    int
		quota     string
	}{
		{"/healthz", "", 204, ""},
		{"/orders", "", 401, ""},
		{"/orders", reader, 200, `"default";r=9;t=6`},
		{"/stats", reader, 403, `"default";r=8;t=6`},
		{"/elsewhere", reader, 404, ""},
	} {
		r, w := httptest.NewRequest("GET", tt.path, nil), httptest.NewRecorder()
		if tt.key != "" {
			r.Header.Set("Authorization", "Bearer "+tt.key)
		}
		h.ServeHTTP(w, r)
		if got := w.Header().Get("RateLimit"); w.Code != tt.status || got != tt.quota {
			t.Errorf("%s: %d %s, %s, want %d, %s", tt.path, w.Code, w.Body, got, tt.status, tt.quota)
		}
	}
}

// Guards in chi do what they do in net/http.
func TestGuardsInChi(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guardtest.Test(t, func(t testing.TB, routes []guardtest.Route) guardtest.Client {
				r := chi.NewRouter()
				for _, route := range routes {
					r.With(route.Middleware()...).Get("/"+route.Name, route.Handler().ServeHTTP)
				}
				return guardtest.Serve(t, r, http2)
			}, nil)
		})
	}
}

// A handler behind a guard can take over the connection.
func TestHijack(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	r := chi.NewRouter()
	r.With(host.Guard.Authenticated()).Get("/", func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		p, _ := keys.FromContext(r.Context())
		line, _ := buf.ReadString('\n')
		_, _ = io.WriteString(conn, p.Org+" "+line)
	})
	srv := httptest.NewServer(r)
	defer srv.Close()
	guardtest.TestHijack(t, host, srv.Listener.Addr())
}
