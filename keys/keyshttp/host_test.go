package keyshttp_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

var catalog = scopes.MustCatalog(
	scopes.Scope{Name: "identity:read", Status: scopes.Always},
	scopes.Scope{Name: "webhooks:manage"},
	scopes.Scope{Name: "keys:manage"},
	scopes.Scope{Name: "leads:read", Status: scopes.Reserved},
	scopes.Scope{Name: "leads:write", Status: scopes.Reserved},
)

// Callers of organization acme, and one of another.
var (
	admin = keys.Principal{
		Org: "acme", ID: "vck_live_admin", RateLimit: 1000,
		Scopes: scopes.MustParse("identity:read keys:manage webhooks:manage"),
	}
	clerk = keys.Principal{
		Org: "acme", ID: "vck_live_clerk", RateLimit: 100,
		Scopes: scopes.MustParse("identity:read keys:manage"),
	}
	session  = keys.Principal{Org: "acme", ID: "anna", RateLimit: 1000} // holds no scope
	stranger = keys.Principal{Org: "evil", ID: "vck_live_other", RateLimit: 1000, Scopes: admin.Scopes}
)

// A host is a service with the handlers under /v1/keys.
type host struct {
	store   *mapStore
	manager *keys.Manager
	handler *keyshttp.Handler
	mux     *http.ServeMux
	routes  table
	log     *bytes.Buffer
}

// newHost returns a host with the default settings.
func newHost(tb testing.TB) *host {
	tb.Helper()
	return newHostWith(tb, keys.Options{}, keyshttp.Options{})
}

// newHostWith returns a host with settings, which get the tests' own format,
// catalog and logger.
func newHostWith(tb testing.TB, o keys.Options, opts keyshttp.Options) *host {
	tb.Helper()
	h := &host{store: newMapStore(), log: new(bytes.Buffer)}
	o.Format, o.Catalog = partner, catalog
	var err error
	if h.manager, err = keys.NewManager(h.store, &o); err != nil {
		tb.Fatal(err)
	}
	h.serve(tb, opts)
	return h
}

// serve makes the handler of a host and its routes.
func (h *host) serve(tb testing.TB, opts keyshttp.Options) {
	tb.Helper()
	opts.Logger = slog.New(slog.NewTextHandler(h.log, nil))
	var err error
	if h.handler, err = keyshttp.NewHandler(h.manager, &opts); err != nil {
		tb.Fatal(err)
	}
	h.mux, h.routes = http.NewServeMux(), make(table)
	h.handler.Register(h.mux, "/v1/keys", public)
	h.handler.Register(h.routes, "/v1/keys", public)
	h.mux.Handle("/", httpjson.NotFound(opts.WriteError))
}

var partner = keys.MustFormat("vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live", "test"}})

// public protects nothing: the tests put principals into the contexts of
// requests.
func public(h http.Handler) http.Handler { return h }

// A table is a router that keeps the table of routes, and routes nothing.
type table map[string]http.Handler

func (t table) Handle(pattern string, h http.Handler) { t[pattern] = h }

// patterns returns those that have a method: "GET /v1/keys/{id}".
func (t table) patterns() (all []string) {
	for pattern := range t {
		if strings.Contains(pattern, " ") {
			all = append(all, pattern)
		}
	}
	slices.Sort(all)
	return all
}

// do sends a request of p. A body that is not empty is JSON.
func (h *host) do(p keys.Principal, method, target, body string) answer {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return h.send(r.WithContext(keys.NewContext(r.Context(), p)))
}

func (h *host) send(r *http.Request) answer {
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	return answer{w.Code, w.Header(), string(body)}
}

type answer struct {
	Status int
	Header http.Header
	Body   string
}

// object returns the body as an object.
func (a answer) object(tb testing.TB) map[string]any {
	tb.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(a.Body), &o); err != nil {
		tb.Fatalf("body %q: %v", a.Body, err)
	}
	return o
}

// wantError checks that a is an error in the common form.
func (a answer) wantError(tb testing.TB, status int, code string) {
	tb.Helper()
	if a.Status != status {
		tb.Fatalf("status %d, want %d; body %s", a.Status, status, a.Body)
	}
	o := a.object(tb)
	if o["error"] != code {
		tb.Errorf("error %v, want %s", o["error"], code)
	}
	description, _ := o["error_description"].(string)
	if description == "" {
		tb.Errorf("the error has no description")
	}
	for i := range len(description) {
		if strings.IndexByte(descriptionChars, description[i]) < 0 {
			tb.Errorf("description %q has characters outside RFC 6749 §5.2", description)
		}
	}
	for name := range o {
		lists := code == "invalid_scope" && (name == "reserved" || name == "unknown")
		if name != "error" && name != "error_description" && !lists {
			tb.Errorf("member %q in an error", name)
		}
	}
	a.wantHeader(tb, "Cache-Control", "no-store")
	a.wantHeader(tb, "Content-Type", "application/json")
	a.wantHeader(tb, "X-Content-Type-Options", "nosniff")
}

// descriptionChars are those of error_description in RFC 6749 §5.2.
var descriptionChars = func() string {
	var b strings.Builder
	for c := byte(' '); c <= '~'; c++ {
		if c != '"' && c != '\\' {
			b.WriteByte(c)
		}
	}
	return b.String()
}()

func (a answer) wantHeader(tb testing.TB, name string, want ...string) {
	tb.Helper()
	if diff := cmp.Diff(want, a.Header[http.CanonicalHeaderKey(name)]); diff != "" {
		tb.Errorf("header %s (-want +got):\n%s", name, diff)
	}
}

// issue makes a key without the handlers.
func (h *host) issue(tb testing.TB, org string, spec keys.Spec) keys.Issued {
	tb.Helper()
	issued, err := h.manager.Create(tb.Context(), org, spec)
	if err != nil {
		tb.Fatal(err)
	}
	return issued
}

// record returns the record as the store has it.
func (h *host) record(tb testing.TB, id string) keys.Record {
	tb.Helper()
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	rec, ok := h.store.records[id]
	if !ok {
		tb.Fatalf("no record %q", id)
	}
	return rec
}

// count returns how many records the store has.
func (h *host) count() int {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	return len(h.store.records)
}

// plant inserts a record of any kind that is not made by the manager.
func (h *host) plant(tb testing.TB, kind keys.Kind, org, id, parent string) keys.Record {
	tb.Helper()
	digest, err := keys.ParseDigest("$sha256$v=1$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	if err != nil {
		tb.Fatal(err)
	}
	rec := keys.Record{
		ID: id, Kind: kind, Org: org, Parent: parent, RateLimit: 100, Digest: digest, Version: 1,
		Scopes: catalog.Always(), CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	if err := h.store.Insert(tb.Context(), rec); err != nil {
		tb.Fatal(err)
	}
	return rec
}

// authenticated returns h's mux behind a stand-in for authentication.
func authenticated(h *host, p keys.Principal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mux.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), p)))
	})
}
