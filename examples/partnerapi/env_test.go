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
	e := &env{t: t, log: new(syncBuffer)}
	e.server = httptest.NewUnstartedServer(nil)
	e.server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(e.log, nil), slog.LevelWarn)
	var err error
	e.api, err = newAPI(memory(t), "http://"+e.server.Listener.Addr().String(), slog.New(slog.NewTextHandler(e.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	e.server.Config.Handler = e.api.handler()
	e.server.Start()
	t.Cleanup(e.server.Close)
	e.admin = e.bootstrap("acme")
	return e
}

// memory returns stores in memory.
func memory(t *testing.T) *stores {
	t.Helper()
	s, err := openStores(t.Context(), "memory", "")
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
