package oauth_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

var catalog = scopes.MustCatalog(
	scopes.Scope{Name: "identity:read", Status: scopes.Always},
	scopes.Scope{Name: "webhooks:manage"},
	scopes.Scope{Name: "keys:manage"},
	scopes.Scope{Name: "leads:read", Status: scopes.Reserved},
)

// caller is who manages clients in most tests.
var caller = keys.Principal{Org: "acme", ID: "session", Scopes: scopes.MustParse("identity:read webhooks:manage"), RateLimit: 600}

// env is a server and its handlers over a store whose faults a test can choose.
type env struct {
	t       testing.TB
	faults  *storetest.Faults
	manager *keys.Manager
	server  *oauth.Server
	handler *oauth.Handler
	mux     *http.ServeMux
	log     *syncBuffer
}

func newEnv(t testing.TB, opts *oauth.Options) *env {
	t.Helper()
	return newEnvWith(t, new(keys.Options), opts)
}

// newEnvWith is newEnv with options for the manager.
func newEnvWith(t testing.TB, keyOpts *keys.Options, opts *oauth.Options) *env {
	t.Helper()
	e := &env{t: t, faults: storetest.NewFaults(new(store.Memory)), mux: http.NewServeMux(), log: new(syncBuffer)}
	log := slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	keyOpts.Catalog, keyOpts.Hook = cmp.Or(keyOpts.Catalog, catalog), keys.LogEvents(log)
	if e.manager, err = keys.NewManager(e.faults, keyOpts); err != nil {
		t.Fatal(err)
	}
	if e.server, err = oauth.NewServer(e.manager, opts); err != nil {
		t.Fatal(err)
	}
	e.handler, err = oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{Path: "/v1/oauth", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	e.handler.Register(e.mux)
	e.handler.RegisterClients(e.mux, public)
	return e
}

// public protects nothing: tests put principals into contexts.
func public(next http.Handler) http.Handler { return next }

// A recorder collects the patterns that are registered with it.
type recorder []string

func (r *recorder) Handle(pattern string, _ http.Handler) {
	if strings.Contains(pattern, " ") { // the others are for methods that no route has
		*r = append(*r, pattern)
	}
}

// register makes a client of acme and returns its ID and its secret.
func (e *env) register(names ...string) (id, secret string) {
	e.t.Helper()
	issued, err := e.server.Register(context.Background(), caller, oauth.ClientSpec{Scopes: names})
	if err != nil {
		e.t.Fatal(err)
	}
	return issued.Record.ID, issued.Text.Reveal()
}

// grant gets a token for a client.
func (e *env) grant(id, secret, scope string) (oauth.Grant, error) {
	return e.server.Exchange(context.Background(), oauth.Request{
		GrantType: "client_credentials", ClientID: id, ClientSecret: keys.NewSecret(secret), Scope: scope,
	})
}

// token gets a token for a client and returns its text.
func (e *env) token(id, secret string) string {
	e.t.Helper()
	grant, err := e.grant(id, secret, "")
	if err != nil {
		e.t.Fatal(err)
	}
	return grant.AccessToken.Reveal()
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any // nil if the body is no JSON object
}

func (e *env) serve(r *http.Request) answer {
	w := httptest.NewRecorder()
	e.mux.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body)
	return a
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// post returns a request with a body and a media type.
func post(path, mediaType, body string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	return r
}

// form sends a form to an endpoint.
func (e *env) form(path, body string) answer {
	return e.serve(post(path, formType, body))
}

// manage sends a request about clients for a principal.
func (e *env) manage(by keys.Principal, method, path, body string) answer {
	e.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", jsonType)
	}
	return e.serve(r.WithContext(keys.NewContext(r.Context(), by)))
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

const (
	tokenPath      = "/v1/oauth/token"
	revokePath     = "/v1/oauth/revoke"
	introspectPath = "/v1/oauth/introspect"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// escapedBytes escapes each byte of s, as a form may.
func escapedBytes(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// withBasic is post with an Authorization header for each line.
func withBasic(path, body string, lines ...string) *http.Request {
	r := post(path, formType, body)
	for _, line := range lines {
		r.Header.Add("Authorization", line)
	}
	return r
}

// checkError checks that an answer is an error as in RFC 6749 §5.2.
func checkError(t *testing.T, got answer) {
	t.Helper()
	h := got.header
	if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" {
		t.Errorf("header %v", h)
	}
	challenges := h.Values("WWW-Authenticate")
	if got.status == 401 != (len(challenges) == 1 && challenges[0] == `Basic realm="oauth"`) {
		t.Errorf("status %d with the challenges %q", got.status, challenges)
	}
	for name, value := range got.body {
		text, ok := value.(string)
		if !ok || name != "error" && name != "error_description" {
			t.Errorf("member %s: %v", name, value)
		}
		for _, c := range text {
			if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
				t.Errorf("%s has the character %q", name, c)
			}
		}
	}
}

// ask asks for a token from an address.
func (e *env) ask(addr, id, secret string) answer {
	r := post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret)
	r.RemoteAddr = addr
	return e.serve(r)
}

var wrongSecret = strings.Repeat("0", 64)

const clientsPath = "/v1/oauth/clients"
