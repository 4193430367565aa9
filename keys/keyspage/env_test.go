package keyspage_test

import (
	"bytes"
	"context"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

var catalog = scopes.MustCatalog(
	scopes.Scope{Name: "identity:read", Description: "Read who you are", Status: scopes.Always},
	scopes.Scope{Name: "keys:manage", Description: "Manage keys"},
	scopes.Scope{Name: "webhooks:manage", Description: "Manage webhooks"},
	scopes.Scope{Name: "leads:read", Status: scopes.Reserved},
)

// Readers of organization acme, and one of another. They are sessions of the host.
var (
	anna     = keys.Principal{Org: "acme", ID: "anna", Label: "Anna", RateLimit: 1000, Scopes: scopes.MustParse("identity:read keys:manage webhooks:manage")}
	clerk    = keys.Principal{Org: "acme", ID: "clerk", RateLimit: 100, Scopes: scopes.MustParse("identity:read keys:manage")}
	stranger = keys.Principal{Org: "globex", ID: "eve", RateLimit: 1000, Scopes: anna.Scopes}
)

var format = keys.MustFormat("vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live", "test"}})

// A host is a service with the pages under /manage.
type host struct {
	t       *testing.T
	store   *store.Memory
	faults  *storetest.Faults
	manager *keys.Manager
	uses    *keys.Uses
	mux     *http.ServeMux
	log     *bytes.Buffer
}

func newHost(t *testing.T) *host {
	t.Helper()
	return newHostWith(t, keys.Options{}, keyspage.Options{SignIn: "/sign-in"})
}

func newHostWith(t *testing.T, o keys.Options, opts keyspage.Options) *host {
	t.Helper()
	h := &host{t: t, store: new(store.Memory), log: new(bytes.Buffer)}
	h.faults = storetest.NewFaults(h.store)
	var err error
	if h.uses, err = keys.NewUses(h.faults, nil); err != nil {
		t.Fatal(err)
	}
	o.Format, o.Catalog, o.Uses = format, catalog, h.uses
	if h.manager, err = keys.NewManager(h.faults, &o); err != nil {
		t.Fatal(err)
	}
	h.serve(h.manager, opts)
	return h
}

// serve makes the pages over a manager, in the place of those that were there.
func (h *host) serve(m *keys.Manager, opts keyspage.Options) {
	h.t.Helper()
	opts.Logger = slog.New(slog.NewTextHandler(h.log, nil))
	handler, err := keyspage.NewHandler(m, &opts)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mux = http.NewServeMux()
	handler.Register(h.mux, public)
}

// public protects nothing: the tests put principals into the contexts of
// requests.
func public(h http.Handler) http.Handler { return h }

// A page is an answer.
type page struct {
	status int
	header http.Header
	body   string
}

func (h *host) send(r *http.Request) page {
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return page{w.Code, w.Header(), w.Body.String()}
}

// as returns a request of a principal.
func as(p keys.Principal, r *http.Request) *http.Request {
	return r.WithContext(keys.NewContext(r.Context(), p))
}

func (h *host) get(p keys.Principal, path string) page {
	return h.send(as(p, httptest.NewRequest("GET", path, nil)))
}

func form(path string, values url.Values) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func (h *host) post(p keys.Principal, path string, values url.Values) page {
	return h.send(as(p, form(path, values)))
}

// fields returns the fields of the last form of a page, as a browser would send
// them, but for those of its text areas.
func (p page) fields() url.Values {
	values := make(url.Values)
	text := p.body[max(0, strings.LastIndex(p.body, "<form")):]
	for _, m := range inputTag.FindAllString(text, -1) {
		name, value := attribute(m, "name"), attribute(m, "value")
		switch attribute(m, "type") {
		case "checkbox", "radio":
			if !strings.Contains(m, " checked") || strings.Contains(m, " disabled") {
				continue
			}
		}
		values.Add(name, value)
	}
	for _, m := range selectTag.FindAllStringSubmatch(text, -1) {
		chosen := optionTag.FindAllStringSubmatch(m[2], -1)
		value := chosen[0][1]
		for _, option := range chosen {
			if option[2] != "" {
				value = option[1]
			}
		}
		values.Set(m[1], html.UnescapeString(value))
	}
	for _, m := range areaTag.FindAllStringSubmatch(text, -1) {
		values.Set(m[1], html.UnescapeString(m[2]))
	}
	return values
}

var (
	inputTag  = regexp.MustCompile(`<input [^>]*>`)
	selectTag = regexp.MustCompile(`(?s)<select [^>]*name="([^"]*)"[^>]*>(.*?)</select>`)
	optionTag = regexp.MustCompile(`<option value="([^"]*)"( selected)?>`)
	areaTag   = regexp.MustCompile(`(?s)<textarea [^>]*name="([^"]*)"[^>]*>(.*?)</textarea>`)
	anyTag    = regexp.MustCompile(`<[^>]*>`)
	spaces    = regexp.MustCompile(`\s+`)
)

func attribute(tag, name string) string {
	m := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(tag)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// text returns the text of the main element of a page.
func (p page) text() string {
	_, main, _ := strings.Cut(p.body, "<main")
	return strings.TrimSpace(spaces.ReplaceAllString(html.UnescapeString(anyTag.ReplaceAllString(main, " ")), " "))
}

// wants fails the test unless a page has the status and the texts.
func (p page) wants(t *testing.T, status int, texts ...string) {
	t.Helper()
	if p.status != status {
		t.Fatalf("status %d, want %d: %s", p.status, status, p.text())
	}
	for _, text := range texts {
		if !strings.Contains(p.text(), text) {
			t.Errorf("the page lacks %q: %s", text, p.text())
		}
	}
}

// leads fails the test unless a page leads to a path.
func (p page) leads(t *testing.T, path string) {
	t.Helper()
	if p.status != http.StatusSeeOther || p.header.Get("Location") != path {
		t.Fatalf("status %d, to %q; want 303 to %q: %s", p.status, p.header.Get("Location"), path, p.text())
	}
}

// issue makes a credential of acme without the pages.
func (h *host) issue(spec keys.Spec) keys.Issued {
	h.t.Helper()
	issued, err := h.manager.Create(context.Background(), "acme", spec)
	if err != nil {
		h.t.Fatal(err)
	}
	return issued
}

// record returns the record with an ID as it is now.
func (h *host) record(id string) keys.Record {
	h.t.Helper()
	rec, _, err := h.store.Get(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return rec
}

// records returns how many records of acme there are of a kind.
func (h *host) records(kind keys.Kind) (n int) {
	h.t.Helper()
	list, err := h.store.List(context.Background(), keys.Query{Org: "acme", Kind: kind, Limit: 10_000})
	if err != nil {
		h.t.Fatal(err)
	}
	return len(list)
}

// use uses a key.
func (h *host) use(issued keys.Issued) {
	h.t.Helper()
	if _, err := h.manager.Verifier().Verify(context.Background(), issued.Text.Reveal()); err != nil {
		h.t.Fatal(err)
	}
}
