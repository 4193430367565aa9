package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/google/go-cmp/cmp"
)

// env is the proxy and the service behind it, on real servers.
type env struct {
	manager *keys.Manager
	proxy   *httptest.Server
	seen    chan *http.Request // what the service got; the test must take it
}

func newEnv(t *testing.T) *env {
	t.Helper()
	db := new(store.Memory)
	manager, err := keys.NewManager(db, &keys.Options{
		Catalog: scopes.MustCatalog(scopes.Scope{Name: "orders:read"}, scopes.Scope{Name: "other"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := ratelimit.NewLimiter(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &env{manager: manager, seen: make(chan *http.Request, 1)}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		e.seen <- r
		w.Header().Set("RateLimit", `"service";r=1;t=1`)
		w.Header().Set("RateLimit-Policy", `"service";q=1;w=1`)
		w.Header().Set("X-Service", "yes")
		w.WriteHeader(http.StatusCreated)
		if _, err := io.WriteString(w, "made"); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(service.Close)
	base, err := url.Parse(service.URL + "/base")
	if err != nil {
		t.Fatal(err)
	}
	handler, err := newHandler(manager.Verifier(), limiter, base)
	if err != nil {
		t.Fatal(err)
	}
	e.proxy = httptest.NewServer(handler)
	t.Cleanup(e.proxy.Close)
	return e
}

// key makes a key and returns it.
func (e *env) key(t *testing.T, org string, spec keys.Spec) keys.Issued {
	t.Helper()
	issued, err := e.manager.Create(t.Context(), org, spec)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// send sends a request with fields beside those of a key, and returns the answer
// without its body, and the body.
func (e *env) send(t *testing.T, key, body string, fields http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", e.proxy.URL+"/orders?page=2", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = fields.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if key != "" {
		r.Header.Add("Authorization", "Bearer "+key)
	}
	resp, err := e.proxy.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// TestService looks at what the service gets.
func TestService(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, org, wantOrg string
		fields             http.Header
	}{
		{"plain", "acme", "acme", nil},
		{"a name with any characters", "Äcme & Söhne\n", "%C3%84cme%20&%20S%C3%B6hne%0A", nil},
		{"forged", "acme", "acme", http.Header{
			orgField: {"evil", "worse"}, credentialField: {"evil"}, "X-Forwarded-For": {"192.0.2.1", "192.0.2.2"},
			"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=192.0.2.1"},
		}},
		{"forged in another case", "acme", "acme", http.Header{"x-organization": {"evil"}, "X-CREDENTIAL-ID": {"evil"}}},
		{"forged with underscores", "acme", "acme", http.Header{"X_Organization": {"evil"}, "x_credential_id": {"evil"}, "X-Forwarded_For": {"192.0.2.1"}}},
		{"named as a field of the connection", "acme", "acme", http.Header{"Connection": {"X-Organization, X-Credential-Id, X-Forwarded-For"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			issued := e.key(t, tt.org, keys.Spec{Scopes: []string{"orders:read"}})
			resp, text := e.send(t, issued.Text.Reveal(), "an order", tt.fields)
			if resp.StatusCode != http.StatusCreated || text != "made" || resp.Header.Get("X-Service") != "yes" {
				t.Fatalf("%d %s %v", resp.StatusCode, text, resp.Header)
			}
			r := <-e.seen
			body, _ := io.ReadAll(r.Body) // is in memory
			if r.Method != "POST" || r.URL.String() != "/base/orders?page=2" || string(body) != "an order" {
				t.Errorf("the service got %s %s with %q", r.Method, r.URL, body)
			}
			for _, name := range []string{"Accept-Encoding", "Content-Length", "User-Agent"} {
				r.Header.Del(name)
			}
			want := http.Header{
				orgField: {tt.wantOrg}, credentialField: {issued.Record.ID}, "X-Forwarded-For": {"127.0.0.1"},
				"X-Forwarded-Host": {strings.TrimPrefix(e.proxy.URL, "http://")}, "X-Forwarded-Proto": {"http"},
			}
			if diff := cmp.Diff(want, r.Header); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestQuota looks for the fields of the guard, and for no others.
func TestQuota(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	key := e.key(t, "acme", keys.Spec{Scopes: []string{"orders:read"}, RateLimit: 6}).Text.Reveal()
	resp, _ := e.send(t, key, "", nil)
	<-e.seen
	for name, want := range map[string][]string{
		"Ratelimit": {`"default";r=5;t=10`}, "Ratelimit-Policy": {`"default";q=6;w=60`},
	} {
		if diff := cmp.Diff(want, resp.Header[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestRefused sends what the service must not see.
func TestRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	good := e.key(t, "acme", keys.Spec{Scopes: []string{"orders:read"}}).Text.Reveal()
	other := e.key(t, "acme", keys.Spec{Scopes: []string{"other"}}).Text.Reveal()
	spent := e.key(t, "spent", keys.Spec{Scopes: []string{"orders:read"}, RateLimit: 1}).Text.Reveal()
	e.send(t, spent, "", nil)
	<-e.seen
	for _, tt := range []struct {
		name, key, code string
		fields          http.Header
		status          int
		field           string // that the answer must have
	}{
		{"no credential", "", "unauthorized", http.Header{orgField: {"acme"}, credentialField: {"evil"}}, 401, "Www-Authenticate"},
		{"a wrong one", good + "x", "invalid_token", nil, 401, "Www-Authenticate"},
		{"two of them", good, "invalid_request", http.Header{"Authorization": {"Bearer " + good}}, 400, "Www-Authenticate"},
		{"another scope", other, "insufficient_scope", nil, 403, "Www-Authenticate"},
		{"over the limit", spent, "rate_limit_exceeded", nil, 429, "Retry-After"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, text := e.send(t, tt.key, "", tt.fields)
			if resp.StatusCode != tt.status || !strings.Contains(text, `"error":"`+tt.code+`"`) || resp.Header.Get(tt.field) == "" {
				t.Errorf("%d %s %v", resp.StatusCode, text, resp.Header)
			}
			select {
			case r := <-e.seen:
				t.Errorf("the service got %s %s", r.Method, r.URL)
			default:
			}
		})
	}
}
