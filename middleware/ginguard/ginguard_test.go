package ginguard_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/ginguard"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/gin-gonic/gin"
)

func init() { gin.SetMode(gin.TestMode) }

func engine() *gin.Engine {
	r := gin.New()
	r.Use(gin.RecoveryWithWriter(io.Discard))
	return r
}

// handler is the handler of a route, as one writes it for gin.
func handler(route guardtest.Route) gin.HandlerFunc {
	return func(c *gin.Context) {
		err := route.Handle(c.Request.Context(), func(text string) error {
			if _, err := c.Writer.WriteString(text); err != nil {
				return err
			}
			if route.Stream {
				c.Writer.Flush()
			}
			return nil
		})
		if err != nil {
			_ = c.Error(err)
		}
	}
}

func start(http2 bool, wrap func(route *guardtest.Route) []gin.HandlerFunc) guardtest.Start {
	return func(t testing.TB, routes []guardtest.Route) guardtest.Client {
		r := engine()
		for _, route := range routes {
			r.GET("/"+route.Name, append(wrap(&route), handler(route))...)
		}
		return guardtest.Serve(t, r, http2)
	}
}

func wrapped(route *guardtest.Route) (all []gin.HandlerFunc) {
	for _, m := range route.Middleware() {
		all = append(all, ginguard.Wrap(m))
	}
	return all
}

func TestGin(t *testing.T) {
	t.Parallel()
	t.Run("HTTP/1.1", func(t *testing.T) {
		t.Parallel()
		guardtest.Test(t, start(false, wrapped), nil)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		guardtest.Test(t, start(true, wrapped), nil)
	})
}

// The wrapper that one writes first runs the handler after a 401: gin goes on unless
// it is told to stop.
func TestTheUsualWrapperIsFound(t *testing.T) {
	t.Parallel()
	broken := guardtest.Check(t, start(false, func(route *guardtest.Route) (all []gin.HandlerFunc) {
		for _, m := range route.Middleware() {
			all = append(all, func(c *gin.Context) {
				m(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					c.Request = r
					c.Next()
				})).ServeHTTP(c.Writer, c.Request)
			})
		}
		return all
	}), nil)
	for _, name := range []string{"refuses-credentials", "refuses-over-the-limit", "refuses-without-scope", "checks-again-inside"} {
		if !slices.Contains(broken, name) {
			t.Errorf("%s is not found among %q", name, broken)
		}
	}
}

func get(h http.Handler, key string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	h.ServeHTTP(w, r)
	return w
}

// Middleware in front sees who the caller was, and no middleware behind a refusal
// runs, nor anything that it writes after that.
func TestChain(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	var steps []string
	r := engine()
	r.Use(func(c *gin.Context) {
		c.Next()
		p, found := keys.FromContext(c.Request.Context())
		if found != (p.Org == "acme") || found == c.IsAborted() {
			t.Errorf("%v, %+v", found, p)
		}
		steps = append(steps, "outer")
	})
	r.Use(ginguard.Wrap(host.Guard.Authenticated()))
	r.Use(func(c *gin.Context) {
		steps = append(steps, "before")
		c.Next()
		steps = append(steps, "after")
	})
	r.GET("/", func(c *gin.Context) {
		steps = append(steps, "handler")
		c.String(200, "hello")
	})
	for _, tt := range []struct {
		key    string
		status int
		steps  string
		body   string
	}{
		{host.Key("acme"), 200, "before handler after outer", "hello"},
		{"", 401, "outer", `{"error":"unauthorized","error_description":"Send an API key or an access token as a Bearer credential in the Authorization header."}` + "\n"},
	} {
		steps = nil
		w := get(r, tt.key)
		if got := strings.Join(steps, " "); w.Code != tt.status || got != tt.steps || w.Body.String() != tt.body {
			t.Errorf("%d %q, %s, want %+v", w.Code, w.Body, got, tt)
		}
	}
}

// The options of a guard hold in gin as well.
func TestOptions(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, &middleware.Options{RemoveCredential: true, AllowPreflight: true, OmitQuota: true})
	r := engine()
	r.ContextWithFallback = true
	r.Use(ginguard.Wrap(host.Guard.Authenticated()))
	seen := func(c *gin.Context) {
		p, _ := keys.FromContext(c) // with the fallback
		c.String(200, "%s %q", p.Org, c.GetHeader("Authorization"))
	}
	r.GET("/", seen)
	r.OPTIONS("/", seen)
	w := get(r, host.Key("acme"))
	if got := w.Header().Get("RateLimit"); w.Body.String() != `acme ""` || got != "" {
		t.Errorf("%d %s, RateLimit %q", w.Code, w.Body, got)
	}
	preflight := httptest.NewRequest("OPTIONS", "/", nil)
	preflight.Header.Set("Origin", "https://example.com")
	preflight.Header.Set("Access-Control-Request-Method", "GET")
	w = httptest.NewRecorder()
	r.ServeHTTP(w, preflight)
	if w.Code != 200 || w.Body.String() != ` ""` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A handler behind a guard can take over the connection.
func TestHijack(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	r := engine()
	r.GET("/", ginguard.Wrap(host.Guard.Authenticated()), func(c *gin.Context) {
		conn, buf, err := c.Writer.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		p, _ := keys.FromContext(c.Request.Context())
		line, _ := buf.ReadString('\n')
		_, _ = io.WriteString(conn, p.Org+" "+line)
	})
	srv := httptest.NewServer(r)
	defer srv.Close()
	guardtest.TestHijack(t, host, srv.Listener.Addr())
}
