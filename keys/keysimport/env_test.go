package keysimport_test

import (
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keysimport"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

var catalog = scopes.MustCatalog(
	scopes.Scope{Name: "identity:read", Status: scopes.Always}, scopes.Scope{Name: "orders:read"}, scopes.Scope{Name: "orders:write"},
)

// A host has moved to the library from all systems at once.
type host struct {
	t       *testing.T
	faults  *storetest.Faults
	manager *keys.Manager
	formats map[string]*keys.Format // by preset and prefix
	mux     *http.ServeMux
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, faults: storetest.NewFaults(new(store.Memory)), formats: make(map[string]*keys.Format), mux: http.NewServeMux()}
	opts := &keys.Options{
		Format: keys.MustFormat("vck_", keys.Dotted, nil), Catalog: catalog,
		ClientFormat: keys.MustFormat("cc_", keys.Apart, &keys.FormatOptions{AllowForeign: true}),
	}
	for _, name := range []string{"seam acme_", "unkey prod_", "text sk_live_", "dotted dot_", "sanctum", "drf", "better-auth"} {
		preset, prefix, _ := strings.Cut(name, " ")
		format, err := lookup(t, preset).Format(prefix)
		if err != nil {
			t.Fatal(err)
		}
		h.formats[preset] = format
		opts.OtherFormats = append(opts.OtherFormats, format)
	}
	var err error
	if h.manager, err = keys.NewManager(h.faults, opts); err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.NewGuard(h.manager.Verifier(), nil, &middleware.Options{
		Sources: []middleware.Source{{Header: "Authorization", Scheme: "Bearer"}, {Header: "Authorization", Scheme: "Api-Key"}, {Header: "X-API-Key"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.mux.Handle("GET /me", guard.Authenticated()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := keys.FromContext(r.Context())
		fmt.Fprintf(w, "%s of %s may %s", p.ID, p.Org, p.Scopes)
	})))
	server, err := oauth.NewServer(h.manager, nil)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := oauth.NewHandler(server, "https://api.example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	handler.Register(h.mux)
	return h
}

func lookup(t *testing.T, name string) keysimport.Preset {
	t.Helper()
	p, ok := keysimport.Lookup(name)
	if !ok {
		t.Fatalf("no preset %s", name)
	}
	return p
}

// rows reads a file of testdata, whose name is that of a preset.
func (h *host) rows(name string) iter.Seq[keysimport.Row] {
	h.t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		h.t.Fatal(err)
	}
	return h.read(name, string(data))
}

func (h *host) read(name, data string) iter.Seq[keysimport.Row] {
	h.t.Helper()
	preset, kind, _ := strings.Cut(name, ".")
	d := &keysimport.Defaults{Format: h.formats[preset], CreatedBy: "import:" + preset}
	if kind == "jsonl" {
		return keysimport.ReadJSONLines(strings.NewReader(data), lookup(h.t, preset), d)
	}
	rows, err := keysimport.ReadCSV(strings.NewReader(data), lookup(h.t, preset), d)
	if err != nil {
		h.t.Fatal(err)
	}
	return rows
}

// run imports rows, and returns what became of each.
func (h *host) run(rows iter.Seq[keysimport.Row], opts keysimport.Options) (keysimport.Summary, []keysimport.Verdict) {
	h.t.Helper()
	var verdicts []keysimport.Verdict
	opts.Verdict = func(v keysimport.Verdict) error { verdicts = append(verdicts, v); return nil }
	sum, err := keysimport.Run(h.t.Context(), h.manager, rows, &opts)
	if err != nil {
		h.t.Fatal(err)
	}
	return sum, verdicts
}

// me presents a key as a caller does, and returns the answer.
func (h *host) me(header, value string) string {
	r := httptest.NewRequestWithContext(h.t.Context(), "GET", "/me", nil)
	r.Header.Set(header, value)
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code, " ", w.Header().Get("WWW-Authenticate"))
	}
	return w.Body.String()
}

// token asks for a token as a client does, and returns what it may do.
func (h *host) token(id, secret string) string {
	r := httptest.NewRequestWithContext(h.t.Context(), "POST", "/oauth/token", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code)
	}
	_, rest, _ := strings.Cut(w.Body.String(), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	return h.me("Authorization", "Bearer "+token)
}
