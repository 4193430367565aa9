package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// env is the API on a real server, with its log.
type env struct {
	t      *testing.T
	api    *api
	server *httptest.Server
	admin  string // the bootstrap key
	log    *syncBuffer

	webhooks atomic.Int64 // how many were made by resource
}

func newEnv(t *testing.T) *env {
	t.Helper()
	return newEnvOver(t, memory(t))
}

// newEnvOver is newEnv over the given stores.
func newEnvOver(t *testing.T, s *stores) *env {
	t.Helper()
	e := &env{t: t, log: new(syncBuffer)}
	e.server = httptest.NewUnstartedServer(nil)
	e.server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(e.log, nil), slog.LevelWarn)
	var err error
	e.api, err = newAPI(s, "http://"+e.server.Listener.Addr().String(), nil, slog.New(slog.NewTextHandler(e.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	e.server.Config.Handler = record(e.api.handler())
	e.server.Start()
	t.Cleanup(e.server.Close)
	e.admin = e.bootstrap("acme")
	return e
}

// memory returns stores in memory.
func memory(t *testing.T) *stores {
	t.Helper()
	s, err := openStores(t.Context(), config{store: "memory"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bootstrap makes a key for an organization and returns it.
func (e *env) bootstrap(org string) string {
	e.t.Helper()
	var out bytes.Buffer
	if err := e.api.bootstrap(e.t.Context(), &out, org, true); err != nil {
		e.t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "vck_") {
			return strings.TrimSpace(line)
		}
	}
	e.t.Fatalf("no key in %q", out.String())
	return ""
}

// key makes a key of acme with the given scopes.
func (e *env) key(limit int, names ...string) keys.Issued {
	e.t.Helper()
	issued, err := e.api.manager.Create(e.t.Context(), "acme", keys.Spec{Scopes: names, RateLimit: limit})
	if err != nil {
		e.t.Fatal(err)
	}
	return issued
}

// response is what a client got.
type response struct {
	status int
	header http.Header
	text   string
	body   map[string]any // nil if the body is no JSON object
}

// do sends a request with a credential, or without one if it is empty, and
// with a JSON body, or without one if it is empty.
func (e *env) do(method, path, credential, body string) response {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.server.URL+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	if credential != "" {
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return e.send(req)
}

func (e *env) send(req *http.Request) response {
	e.t.Helper()
	resp, err := e.server.Client().Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	r := response{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &r.body)
	return r
}

// syncBuffer is a buffer that several goroutines may write to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A route is what the API serves, and which scope that needs. Routes with the
// scope public need no credential, and those with the scope anybody any good one.
type route struct{ Method, Path, scope string }

const (
	public  = "public"
	anybody = "anybody"
)

// scopeOf has the scope of each path, with all that is under it. A path that is
// not here fails the tests, so that none is added without a decision.
var scopeOf = map[string]string{
	"/healthz":      public,
	"/openapi.json": public,
	"/.well-known/oauth-authorization-server": public,
	"/.well-known/oauth-protected-resource":   public,
	"/v1/oauth/token":                         public,
	"/v1/oauth/revoke":                        public,
	"/v1/oauth/introspect":                    public,
	"/v1/oauth/clients":                       anybody,
	"/v1/chain":                               anybody,
	"/v1/keys":                                keysManage,
	"/api/v1/partner/me":                      identityRead,
	"/api/v1/partner/webhooks":                webhooksManage,
}

// patterns collect those that are registered with it.
type patterns []string

func (p *patterns) Handle(pattern string, _ http.Handler) { *p = append(*p, pattern) }

// routes returns everything that the API serves.
func (e *env) routes() (routes []route) {
	e.t.Helper()
	var all patterns
	e.api.register(&all)
	for _, pattern := range all {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			continue // for methods that no route has
		}
		if strings.HasPrefix(path, pagesPath+"/") {
			continue // pages are for people, and have tests of their own
		}
		base, _, _ := strings.Cut(path, "/{id}")
		scope, known := scopeOf[base]
		if !known {
			e.t.Fatalf("no decision on the scope of %s", pattern)
		}
		routes = append(routes, route{method, path, scope})
	}
	return routes
}
