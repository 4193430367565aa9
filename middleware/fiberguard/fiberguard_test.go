package fiberguard_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/fiberguard"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	recovery "github.com/gofiber/fiber/v3/middleware/recover"
)

// handler is the handler of a route, as one writes it for fiber.
func handler(route guardtest.Route) fiber.Handler {
	return func(c fiber.Ctx) error {
		ctx := c.Context()
		if !route.Stream {
			return route.Handle(ctx, func(text string) error {
				_, err := c.WriteString(text)
				return err
			})
		}
		return c.SendStreamWriter(func(w *bufio.Writer) {
			_ = route.Handle(ctx, func(text string) error {
				if _, err := w.WriteString(text); err != nil {
					return err
				}
				return w.Flush()
			})
		})
	}
}

// listen serves an app, and returns the address.
func listen(t testing.TB, app *fiber.App, network, address string) net.Addr {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() {
		// Without Shutdown, which races with contexts that are made of fasthttp's own.
		_ = l.Close()
		<-ended
	})
	return l.Addr()
}

func start(wrap func(func(http.Handler) http.Handler) fiber.Handler) guardtest.Start {
	return func(t testing.TB, routes []guardtest.Route) guardtest.Client {
		app := fiber.New()
		app.Use(recovery.New())
		for _, route := range routes {
			var chain []any
			for _, m := range route.Middleware() {
				chain = append(chain, wrap(m))
			}
			chain = append(chain, handler(route))
			app.Get("/"+route.Name, chain[0], chain[1:]...)
		}
		addr := listen(t, app, "tcp", "127.0.0.1:0")
		client := &http.Client{Transport: new(http.Transport)}
		t.Cleanup(client.CloseIdleConnections) // before the server ends
		return guardtest.HTTP(client, "http://"+addr.String())
	}
}

func TestFiber(t *testing.T) {
	t.Parallel()
	guardtest.Test(t, start(fiberguard.Wrap), &guardtest.Options{Deaf: true})
}

// The adaptor of fiber loses the principal, and with it what was charged.
func TestTheAdaptorIsFound(t *testing.T) {
	t.Parallel()
	broken := guardtest.Check(t, start(adaptor.HTTPMiddleware), &guardtest.Options{Deaf: true})
	for _, name := range []string{"admits", "charges-once"} {
		if !slices.Contains(broken, name) {
			t.Errorf("%s is not found among %q", name, broken)
		}
	}
}

func do(t *testing.T, app *fiber.App, r *http.Request, key string) (*http.Response, string) {
	t.Helper()
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := app.Test(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// Middleware in front sees who the caller was, and an error of the handler comes
// through.
func TestChain(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	app := fiber.New()
	var steps []string
	app.Use(func(c fiber.Ctx) error {
		err := c.Next()
		p, found := keys.FromContext(c.Context())
		also, _ := keys.FromContext(c)
		if found != (p.Org == "acme") || also != p {
			t.Errorf("%v, %+v, %+v", found, p, also)
		}
		steps = append(steps, "outer")
		return err
	})
	app.Use(fiberguard.Wrap(host.Guard.Authenticated()))
	app.Get("/", func(fiber.Ctx) error {
		steps = append(steps, "handler")
		return fiber.NewError(http.StatusTeapot, "short and stout")
	})
	for _, tt := range []struct {
		key    string
		status int
		steps  string
		body   string
	}{
		{host.Key("acme"), 418, "handler outer", "short and stout"},
		{"", 401, "outer", `{"error":"unauthorized","error_description":"Send an API key or an access token as a Bearer credential in the Authorization header."}` + "\n"},
	} {
		steps = nil
		resp, body := do(t, app, httptest.NewRequest("GET", "/", nil), tt.key)
		if got := strings.Join(steps, " "); resp.StatusCode != tt.status || got != tt.steps || body != tt.body {
			t.Errorf("%d %q, %s, want %+v", resp.StatusCode, body, got, tt)
		}
	}
}

// The options of a guard hold in fiber as well.
func TestOptions(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, &middleware.Options{
		Sources:          []middleware.Source{{Header: "X-API-Key"}, {Header: "Authorization", Scheme: "Bearer"}},
		RemoveCredential: true, AllowPreflight: true, LegacyQuota: true,
		WriteError: func(w http.ResponseWriter, r *http.Request, refusal httpjson.Refusal) {
			w.Header().Set("X-Asked", r.Host+" "+r.RequestURI+" "+r.URL.RawQuery)
			httpjson.WriteJSON(w, r, refusal)
		},
	})
	app := fiber.New()
	app.Use(fiberguard.Wrap(host.Guard.Authenticated()))
	app.All("/", func(c fiber.Ctx) error {
		p, _ := keys.FromContext(c.Context())
		return c.SendString(p.Org + c.Get("Authorization") + c.Get("X-API-Key") + c.Get("X-Other"))
	})
	key := host.Key("acme")
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", key)
	r.Header.Set("X-Other", "+")
	if resp, body := do(t, app, r, ""); body != "acme+" || resp.Header.Get("X-RateLimit-Limit") != "600" {
		t.Errorf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
	if resp, body := do(t, app, r, key); resp.StatusCode != 400 {
		t.Errorf("in two fields: %d %s", resp.StatusCode, body)
	}
	if resp, body := do(t, app, httptest.NewRequest("GET", "/?a=b", nil), ""); resp.StatusCode != 401 || resp.Header.Get("X-Asked") != "example.com /?a=b a=b" {
		t.Errorf("what the writer of errors sees: %d %s %v", resp.StatusCode, body, resp.Header)
	}
	preflight := httptest.NewRequest("OPTIONS", "/", nil)
	preflight.Header.Set("Origin", "https://example.com")
	preflight.Header.Set("Access-Control-Request-Method", "GET")
	if resp, body := do(t, app, preflight, key); resp.StatusCode != 200 || body != "" {
		t.Errorf("a preflight: %d %s", resp.StatusCode, body)
	}
}

// An app can be set up to leave the names of fields as they came. That is no way around a
// guard, and RemoveCredential still removes the credential.
func TestNamesAsTheyCome(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, &middleware.Options{RemoveCredential: true})
	app := fiber.New(fiber.Config{DisableHeaderNormalizing: true})
	app.Get("/", fiberguard.Wrap(host.Guard.Authenticated()), func(c fiber.Ctx) error {
		return c.SendString(c.Get("authorization") + c.Get("Authorization") + "hello")
	})
	addr := listen(t, app, "tcp", "127.0.0.1:0")
	line := "authorization: Bearer " + host.Key("acme") + "\r\n"
	for fields, want := range map[string]string{
		line: "hello", line + "Authorization: Bearer x\r\n": `{"error":"invalid_request","error_description":"The request has more than one credential."}` + "\n",
	} {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"+fields+"\r\n")
		answer, err := io.ReadAll(conn)
		if _, body, _ := strings.Cut(string(answer), "\r\n\r\n"); body != want {
			t.Errorf("%q, %v, want %q", answer, err, want)
		}
		_ = conn.Close()
	}
}

// A guard asks where a request comes from: the proxies that it trusts, one on a Unix
// socket among them.
func TestProxies(t *testing.T) {
	t.Parallel()
	proxies, err := middleware.NewProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, true)
	if err != nil {
		t.Fatal(err)
	}
	host := guardtest.New(t, nil, &middleware.Options{Proxies: proxies})
	networks, err := keys.ParseNetworks("198.51.100.0/24")
	if err != nil {
		t.Fatal(err)
	}
	key := host.Issue("acme", keys.Spec{Networks: networks}).Text.Reveal()
	for _, network := range []string{"tcp", "unix"} {
		app := fiber.New()
		app.Get("/", fiberguard.Wrap(host.Guard.Authenticated()), func(c fiber.Ctx) error { return c.SendString("hello") })
		address := "127.0.0.1:0"
		if network == "unix" {
			address = t.TempDir() + "/socket"
		}
		addr := listen(t, app, network, address)
		for from, want := range map[string]string{
			"198.51.100.7": "HTTP/1.1 200 OK\r\n", "203.0.113.7": "HTTP/1.1 403 Forbidden\r\n", "": "HTTP/1.1 403 Forbidden\r\n",
		} {
			conn, err := net.Dial(addr.Network(), addr.String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: "+from+"\r\nAuthorization: Bearer "+key+"\r\n\r\n")
			if got, err := bufio.NewReader(conn).ReadString('\n'); got != want {
				t.Errorf("%s from %q: %q, %v, want %q", network, from, got, err, want)
			}
			_ = conn.Close()
		}
	}
}

// Middleware that neither answers nor calls the next handler lets nobody in.
func TestSilentMiddleware(t *testing.T) {
	t.Parallel()
	app := fiber.New()
	app.Use(fiberguard.Wrap(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	}))
	app.Get("/", func(c fiber.Ctx) error { return c.SendString("hello") })
	if resp, body := do(t, app, httptest.NewRequest("GET", "/", nil), ""); resp.StatusCode != 500 || body != "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// Middleware that reads the body finds none, which is no mistake.
func TestNoBody(t *testing.T) {
	t.Parallel()
	app := fiber.New()
	app.Use(fiberguard.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if text, err := io.ReadAll(r.Body); err != nil || len(text) > 0 {
				t.Errorf("%q, %v", text, err)
			}
			next.ServeHTTP(w, r)
		})
	}))
	app.Post("/", func(c fiber.Ctx) error { return c.Send(c.Body()) })
	if resp, body := do(t, app, httptest.NewRequest("POST", "/", strings.NewReader("hello")), ""); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// A handler behind a guard can take over the connection, and knows who it talks to.
func TestHijack(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	app := fiber.New()
	app.Get("/", fiberguard.Wrap(host.Guard.Authenticated()), func(c fiber.Ctx) error {
		p, _ := keys.FromContext(c.Context())
		c.RequestCtx().HijackSetNoResponse(true)
		c.RequestCtx().Hijack(func(conn net.Conn) {
			line, _ := bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, p.Org+" "+line)
		})
		return nil
	})
	addr := listen(t, app, "tcp", "127.0.0.1:0")
	guardtest.TestHijack(t, host, addr)
}

// What any middleware of net/http does to the fields of a request and of the answer holds,
// and an answer without a status is 200.
func TestOtherMiddleware(t *testing.T) {
	t.Parallel()
	app := fiber.New()
	app.Use(fiberguard.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-Two"] = []string{"a", "b"}
			if r.URL.Path == "/answered" {
				_, _ = io.WriteString(w, "here")
				return
			}
			r = r.Clone(r.Context())
			r.Header.Del("X-First")
			r.Header.Del("X-Second")
			next.ServeHTTP(w, r)
		})
	}))
	app.Get("/", func(c fiber.Ctx) error { return c.SendString(c.Get("X-First") + c.Get("X-Second") + "there") })
	for path, want := range map[string]string{"/": "there", "/answered": "here"} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("X-First", "1")
		r.Header.Set("X-Second", "2")
		resp, body := do(t, app, r, "")
		if two := resp.Header.Values("X-Two"); resp.StatusCode != 200 || body != want || !slices.Equal(two, []string{"a", "b"}) {
			t.Errorf("%s: %d %s %q, want %s", path, resp.StatusCode, body, two, want)
		}
	}
}

// Fields that middleware removes are gone, also if it adds others, or changes the header
// in place.
func TestRemovedFields(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, &middleware.Options{RemoveCredential: true})
	app := fiber.New()
	app.Use(fiberguard.Wrap(func(next http.Handler) http.Handler {
		return host.Guard.Authenticated()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Caller", "somebody")
			next.ServeHTTP(w, r)
		}))
	}), fiberguard.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("X-First")
			next.ServeHTTP(w, r)
		})
	}))
	app.Get("/", func(c fiber.Ctx) error {
		return c.SendString(c.Get("Authorization") + c.Get("X-First") + c.Get("X-Other"))
	})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-First", "1")
	r.Header.Set("X-Other", "+")
	if resp, body := do(t, app, r, host.Key("acme")); resp.StatusCode != 200 || body != "+" {
		t.Errorf("%d %q, want \"+\"", resp.StatusCode, body)
	}
}
