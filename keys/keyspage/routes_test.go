package keyspage_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
)

// patterns collect what is registered with them.
type patterns []string

func (p *patterns) Handle(pattern string, _ http.Handler) { *p = append(*p, pattern) }

// routes returns the methods and paths of all pages, for a key and a client.
func (h *host) routes(key, client string) (all [][2]string) {
	h.t.Helper()
	handler, err := keyspage.NewHandler(h.manager, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	var list patterns
	handler.Register(&list, public)
	for _, pattern := range list {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok || strings.Contains(path, "/assets/") {
			continue
		}
		id := key
		if strings.Contains(path, "/clients/") {
			id = client
		}
		path = strings.NewReplacer("{id}", id, "{$}", "").Replace(path)
		all = append(all, [2]string{method, path})
	}
	if len(all) != 2+2*13 {
		h.t.Fatalf("%d routes: %v", len(all), all)
	}
	return all
}

// filled returns the form that is sent to a path, as a reader would leave it.
func (h *host) filled(p keys.Principal, path string) url.Values {
	switch {
	case strings.Contains(path, "/search/"), strings.HasSuffix(path, "/pause"), strings.HasSuffix(path, "/resume"):
		return nil
	}
	values := h.get(p, path).fields()
	if strings.HasSuffix(path, "/edit") {
		values.Set("label", "changed")
	}
	return values
}

// TestRights tries each route with each kind of reader.
func TestRights(t *testing.T) {
	t.Parallel()
	wide := keys.Spec{Label: "wide", Scopes: []string{"keys:manage", "webhooks:manage"}, RateLimit: 500}
	h := newHost(t)
	blank := h.routes("", "")
	for _, route := range blank {
		method := route[0]
		for _, reader := range []struct {
			name string
			p    keys.Principal
		}{{"anna", anna}, {"clerk", clerk}, {"stranger", stranger}, {"nobody", keys.Principal{}}} {
			h := newHost(t)
			key, client := h.issue(wide), h.issue(keys.Spec{Kind: keys.KindClient, Scopes: wide.Scopes, RateLimit: 500})
			h.issue(keys.Spec{CreatedBy: key.Record.ID, Scopes: wide.Scopes})
			i := slices.Index(blank, route)
			path := h.routes(key.Record.ID, client.Record.ID)[i][1]
			values := h.filled(anna, path)
			if strings.HasSuffix(path, "/resume") {
				if p := h.post(anna, strings.TrimSuffix(path, "resume")+"pause", nil); p.status != 303 {
					t.Fatal(p.text())
				}
			}
			before := []keys.Record{h.record(key.Record.ID), h.record(client.Record.ID)}
			var p page
			if method == "GET" {
				p = h.get(reader.p, path)
			} else {
				p = h.post(reader.p, path, values)
			}
			own := strings.Contains(path, key.Record.ID) || strings.Contains(path, client.Record.ID)
			want := map[string]int{"GET": 200, "POST": 303}[method]
			switch {
			case reader.name == "nobody":
				want = 401
			case reader.name == "stranger" && own:
				want = 404
			case strings.HasSuffix(path, "/manage/") || strings.Contains(path, "/find/"):
				want = 303
			case method == "POST" && strings.Contains(path, "/new/"):
				want = 201
			case method == "POST" && strings.HasSuffix(path, "/rotate"):
				want = map[bool]int{true: 201, false: 200}[strings.Contains(path, "/keys/")]
				if reader.name == "clerk" {
					want = 403
				}
			case method == "POST" && strings.HasSuffix(path, "/resume") && reader.name == "clerk":
				want = 403
			case method == "POST" && strings.HasSuffix(path, "/revoke") && strings.Contains(path, "/clients/") && reader.name == "clerk":
				want = 403
			}
			if p.status != want {
				t.Errorf("%s %s by %s: %d, want %d: %s", method, blank[i][1], reader.name, p.status, want, p.text())
			}
			if refused := p.status >= 400; refused && (h.record(key.Record.ID) != before[0] || h.record(client.Record.ID) != before[1]) {
				t.Errorf("%s %s by %s changed something", method, path, reader.name)
			}
			if (reader.name == "stranger" || reader.name == "nobody") && strings.Contains(p.body, "wide") {
				t.Errorf("%s %s by %s shows what is not theirs", method, path, reader.name)
			}
		}
	}
}

// TestHeaders looks at the header of each page, of refusals too.
func TestHeaders(t *testing.T) {
	t.Parallel()
	want := http.Header{
		"Cache-Control": {"no-store"}, "Content-Type": {"text/html; charset=utf-8"}, "Cross-Origin-Opener-Policy": {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"}, "Referrer-Policy": {"same-origin"}, "X-Content-Type-Options": {"nosniff"}, "X-Frame-Options": {"DENY"},
		"Content-Security-Policy": {"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
	}
	h := newHost(t)
	key, client := h.issue(keys.Spec{}), h.issue(keys.Spec{Kind: keys.KindClient})
	check := func(name string, p page) {
		t.Helper()
		got := p.header.Clone()
		for _, other := range []string{"Location", "Www-Authenticate", "Allow", "Pragma"} {
			got.Del(other)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %d\n%s", name, p.status, diff)
		}
		if strings.Contains(p.body, "<style") || strings.Contains(p.body, " style=") || strings.Contains(p.body, "<script>") || strings.Contains(p.body, " onclick") {
			t.Errorf("%s breaks its own policy: %s", name, p.body)
		}
	}
	for _, route := range h.routes(key.Record.ID, client.Record.ID) {
		p := h.get(anna, route[1])
		if route[0] == "POST" {
			p = h.post(anna, route[1], h.filled(anna, route[1]))
		}
		if p.status == 303 {
			p.header.Set("Content-Type", "text/html; charset=utf-8") // http.Redirect sets none after a POST
		}
		check(route[0]+" "+route[1], p)
	}
	check("signed out", h.send(httptest.NewRequest("GET", "/manage/keys", nil)))
	check("not found", h.get(anna, "/manage/none"))
	check("another method", h.post(anna, "/manage/keys", nil))
	foreign := form("/manage/new/keys", nil)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	check("another site", h.send(as(anna, foreign)))
}

func TestAssets(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	body := h.get(anna, "/manage/keys").body
	n := 0
	for part := range strings.SplitSeq(body, `"`) {
		if !strings.HasPrefix(part, "/manage/assets/") {
			continue
		}
		n++
		p := h.send(httptest.NewRequest("GET", part, nil))
		if p.status != 200 || p.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || p.header.Get("ETag") == "" || p.header.Get("X-Content-Type-Options") != "nosniff" || p.header.Get("Cross-Origin-Resource-Policy") != "same-origin" || len(p.body) < 100 {
			t.Errorf("%s: %d %v", part, p.status, p.header)
		}
		r := httptest.NewRequest("GET", part, nil)
		r.Header.Set("If-None-Match", p.header.Get("ETag"))
		if p := h.send(r); p.status != 304 || p.body != "" {
			t.Errorf("%s again: %d", part, p.status)
		}
	}
	if n != 3 {
		t.Errorf("%d assets", n)
	}
	for _, path := range []string{"/manage/assets/page.css", "/manage/assets/..%2fpage.css", "/manage/assets/"} {
		if p := h.send(httptest.NewRequest("GET", path, nil)); p.status != 404 {
			t.Errorf("%s: %d", path, p.status)
		}
	}
}

// TestForeignForms sends forms as other sites would make a browser send them.
func TestForeignForms(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key, client := h.issue(keys.Spec{}), h.issue(keys.Spec{Kind: keys.KindClient})
	for _, route := range h.routes(key.Record.ID, client.Record.ID) {
		if route[0] != "POST" {
			continue
		}
		values := h.filled(anna, route[1])
		for _, header := range map[string][2]string{"cross-site": {"Sec-Fetch-Site", "cross-site"}, "same-site": {"Sec-Fetch-Site", "same-site"}, "an old browser": {"Origin", "https://evil.example"}} {
			r := form(route[1], values)
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set(header[0], header[1])
			p := h.send(as(anna, r))
			if p.wants(t, 403, "This came from another site"); strings.Contains(p.body, "<form") {
				t.Errorf("%s: the form can be sent once more, from here: %s", route[1], p.text())
			}
		}
		if h.record(key.Record.ID) != key.Record || h.record(client.Record.ID) != client.Record || h.records(keys.KindKey) != 1 {
			t.Fatalf("%s was carried out", route[1])
		}
	}
	r := form("/manage/keys/"+key.Record.ID+"/pause", nil)
	r.Header.Del("Sec-Fetch-Site")
	r.Header.Set("Origin", "http://example.com") // over plain HTTP, browsers say no more than that
	h.send(as(anna, r)).leads(t, "/manage/keys/"+key.Record.ID+"?done=paused")
}
