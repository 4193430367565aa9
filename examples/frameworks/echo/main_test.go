package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"
)

func TestService(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, &keys.Options{Catalog: catalog}, nil)
	management, err := keyshttp.NewHandler(host.Manager, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := service(host.Guard, management)
	reader, admin, manager := host.Key("acme", "orders:read"), host.Key("acme", "admin"), host.Key("globex", "keys:manage")
	for _, tt := range []struct {
		path, key string
		status    int
		body      string
	}{
		{"/healthz", "", 204, ""},
		{"/orders", reader, 200, "orders of acme\n"},
		{"/orders", admin, 403, `{"error":"insufficient_scope","error_description":"The credential does not hold the scope that this request needs."}` + "\n"},
		{"/admin/stats", admin, 200, "no stats\n"},
		{"/v1/keys", reader, 403, `{"error":"insufficient_scope","error_description":"The credential does not hold the scope that this request needs."}` + "\n"},
		{"/v1/keys?limit=0", manager, 422, `{"error":"invalid_value","error_description":"limit is not a number from 1 to 200"}` + "\n"},
		{"/v1/keys/unknown", manager, 404, `{"error":"not_found","error_description":"there is no such resource"}` + "\n"},
		{"/admin/stats", reader, 403, `{"error":"insufficient_scope","error_description":"The credential does not hold the scope that this request needs."}` + "\n"},
	} {
		r, w := httptest.NewRequest("GET", tt.path, nil), httptest.NewRecorder()
		if tt.key != "" {
			r.Header.Set("Authorization", "Bearer "+tt.key)
		}
		e.ServeHTTP(w, r)
		if w.Code != tt.status || w.Body.String() != tt.body {
			t.Errorf("%s: %d %s, want %d", tt.path, w.Code, w.Body, tt.status)
		}
	}
}

// handler is the handler of a route, as one writes it for echo.
func handler(route guardtest.Route) echo.HandlerFunc {
	return func(c *echo.Context) error {
		return route.Handle(c.Request().Context(), func(text string) error {
			if _, err := io.WriteString(c.Response(), text); err != nil || !route.Stream {
				return err
			}
			c.Response().(*echo.Response).Flush()
			return nil
		})
	}
}

// Guards in echo do what they do in net/http.
func TestGuardsInEcho(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guardtest.Test(t, func(t testing.TB, routes []guardtest.Route) guardtest.Client {
				e := echo.New()
				e.Logger = slog.New(slog.DiscardHandler)
				e.Use(echomiddleware.Recover())
				for _, r := range routes {
					var guards []echo.MiddlewareFunc
					for _, m := range r.Middleware() {
						guards = append(guards, echo.WrapMiddleware(m))
					}
					e.GET("/"+r.Name, handler(r), guards...)
				}
				return guardtest.Serve(t, e, http2)
			}, nil)
		})
	}
}

// A handler behind a guard can take over the connection.
func TestHijack(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	e := echo.New()
	e.GET("/", func(c *echo.Context) error {
		conn, buf, err := http.NewResponseController(c.Response()).Hijack()
		if err != nil {
			t.Error(err)
			return err
		}
		defer conn.Close()
		p, _ := keys.FromContext(c.Request().Context())
		line, _ := buf.ReadString('\n')
		_, err = io.WriteString(conn, p.Org+" "+line)
		return err
	}, echo.WrapMiddleware(host.Guard.Authenticated()))
	srv := httptest.NewServer(e)
	defer srv.Close()
	guardtest.TestHijack(t, host, srv.Listener.Addr())
}
