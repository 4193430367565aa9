package keyspage_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// patterns collect those that are registered with it.
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
	wide := keys.Spec{Scopes: []string{"keys:manage", "webhooks:manage"}, RateLimit: 500}
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
		if p.status != 200 || p.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || p.header.Get("ETag") == "" || len(p.body) < 100 {
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
			h.send(as(anna, r)).wants(t, 403, "This came from another site")
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

func TestBadForms(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := h.issue(keys.Spec{})
	at := "/manage/keys/" + key.Record.ID
	for _, tt := range []struct {
		name, path, kind, body string
		status                 int
	}{
		{"JSON", "/manage/new/keys", "application/json", `{"label":"x"}`, 415},
		{"multipart", "/manage/new/keys", "multipart/form-data; boundary=x", "--x--", 415},
		{"too long", "/manage/new/keys", "application/x-www-form-urlencoded", "label=" + strings.Repeat("a", 64<<10), 413},
		{"a field that is not known", "/manage/new/keys", "application/x-www-form-urlencoded", "org=globex", 400},
		{"a field twice", "/manage/new/keys", "application/x-www-form-urlencoded", "label=a&label=b", 400},
		{"no mark", "/manage/new/keys", "application/x-www-form-urlencoded", "label=a", 400},
		{"a mark of another form", "/manage/new/keys", "application/x-www-form-urlencoded", "label=a&once=x", 400},
		{"a mark with a number that is not ours", "/manage/new/keys", "application/x-www-form-urlencoded", "once=AAAAAAAAAAAAAAAAAAAAAAAAAA-%2B1", 400},
		{"not escaped", "/manage/new/keys", "application/x-www-form-urlencoded", "label=%zz", 400},
		{"no version", at + "/edit", "application/x-www-form-urlencoded", "label=a", 400},
		{"a version that is none", at + "/rotate", "application/x-www-form-urlencoded", "overlap=0&version=-1", 400},
		{"a field where there are none", at + "/pause", "application/x-www-form-urlencoded", "label=a", 400},
		{"a family that is none", at + "/revoke", "application/x-www-form-urlencoded", "family=2", 400},
		{"a key of another kind", strings.Replace(at, "keys", "clients", 1) + "/pause", "application/x-www-form-urlencoded", "", 404},
		{"an old mark", "/manage/new/keys", "application/x-www-form-urlencoded", "once=AAAAAAAAAAAAAAAAAAAAAAAAAA-rn2mo0", 409},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", tt.path, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.kind)
			p := h.send(as(anna, r))
			if p.status != tt.status || !strings.Contains(p.body, "<h1>") {
				t.Errorf("%d: %s", p.status, p.text())
			}
			if h.records(keys.KindKey) != 1 || h.record(key.Record.ID) != key.Record {
				t.Error("it was carried out")
			}
		})
	}
}

// TestValues sends values that are not good, and looks for what was typed.
func TestValues(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	confined := clerk
	confined.Networks, _ = keys.ParseNetworks("10.0.0.0/8")
	confined.Environment = "test"
	for _, tt := range []struct {
		name, field, value, text string
		status                   int
	}{
		{"a long name", "label", strings.Repeat("a", 257), "at most 256 characters", 422},
		{"a network", "networks", "everywhere", "one network or address on each line", 422},
		{"networks of others", "networks", "192.0.2.0/24", "not within the networks", 422},
		{"a limit", "limit", "many", "a whole number from 1 on", 422},
		{"a limit of none", "limit", "0", "a whole number from 1 on", 422},
		{"a limit above one's own", "limit", "101", "more than your own limit", 422},
		{"a list", "metadata", "[1]", "a JSON object", 422},
		{"metadata", "metadata", `{"a":"` + strings.Repeat("b", 4100) + `"}`, "a JSON object", 422},
		{"a scope of others", "scopes", "webhooks:manage", "You do not have all of these scopes", 403},
		{"a reserved scope", "scopes", "leads:read", "These scopes cannot be granted: leads:read", 422},
		{"an unknown scope", "scopes", "a\"b", "These scopes cannot be granted: a\"b", 422},
		{"an environment", "environment", "live", "your own environment alone", 422},
		{"an end", "expires", "1000d", "Choose one of these.", 422},
		{"a day that is none", "until", "tomorrow", "Choose a day from today on", 422},
		{"a day in the past", "until", "2020-01-01", "Choose a day from today on", 422},
		{"a day far ahead", "until", "2999-01-01", "Choose a day from today on", 422},
	} {
		values := h.get(confined, "/manage/new/keys").fields()
		values.Set("label", "what was typed")
		values.Set(tt.field, tt.value)
		if tt.field == "until" {
			values.Set("expires", "date")
		}
		p := h.post(confined, "/manage/new/keys", values)
		p.wants(t, tt.status, "This was not done", tt.text)
		again := p.fields()
		if want := values["label"]; !slices.Equal(again["label"], want) {
			t.Errorf("%s: the name is %q", tt.name, again["label"])
		}
		if tt.field != "scopes" && tt.field != "environment" && tt.field != "expires" && again.Get(tt.field) != tt.value {
			t.Errorf("%s: the field has %q", tt.name, again.Get(tt.field))
		}
		if n := h.records(keys.KindKey); n != 0 {
			t.Fatalf("%s: made", tt.name)
		}
	}
}

// TestMarkup puts markup wherever text comes from.
func TestMarkup(t *testing.T) {
	t.Parallel()
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	h := newHost(t)
	key := h.issue(keys.Spec{Label: evil, Metadata: evil, CreatedBy: "host:" + evil})
	other := h.issue(keys.Spec{CreatedBy: key.Record.ID, Metadata: `{"a":"</textarea><script>"}`})
	reader := anna
	reader.Label, reader.Org = evil, "acme"
	at := "/manage/keys/" + key.Record.ID
	pages := map[string]page{
		"search": h.get(reader, "/manage/keys?q="+url.QueryEscape(evil)+"&order="+url.QueryEscape(evil)+"&after="+url.QueryEscape(evil)),
		"found":  h.get(reader, "/manage/keys?q="+url.QueryEscape(evil)), "not found": h.get(reader, "/manage/keys/"+url.PathEscape(evil)),
		"done": h.get(reader, at+"?done="+url.QueryEscape(evil)), "other": h.get(reader, "/manage/keys/"+other.Record.ID+"/edit"),
		"typed": h.post(reader, "/manage/new/keys", url.Values{"label": {evil}, "networks": {evil}, "limit": {evil}, "metadata": {evil}, "until": {evil}, "expires": {evil}}),
		"scope": h.post(reader, "/manage/new/keys", func() url.Values {
			v := h.get(reader, "/manage/new/keys").fields()
			v.Set("scopes", evil)
			return v
		}()),
		"signed out": h.send(form(at+"/edit", url.Values{"label": {evil}})),
	}
	for _, path := range []string{"/manage/keys", at, at + "/edit", at + "/rotate", at + "/revoke", "/manage/keys/" + other.Record.ID, "/manage/new/keys"} {
		pages[path] = h.get(reader, path)
	}
	for name, p := range pages {
		if strings.Contains(p.body, "<script>") || strings.Contains(p.body, "<img") || strings.Contains(p.body, `"'>`) {
			t.Errorf("%s: %s", name, p.body)
		}
	}
}

// TestSecrets looks for secrets on all pages but those that show a new one.
func TestSecrets(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key, client := h.issue(keys.Spec{}), h.issue(keys.Spec{Kind: keys.KindClient})
	_, keySecret, _ := strings.Cut(key.Text.Reveal(), ".")
	for _, route := range h.routes(key.Record.ID, client.Record.ID) {
		p := h.get(anna, route[1])
		for _, secret := range []string{keySecret, client.Text.Reveal(), key.Record.Digest.Text(), client.Record.Digest.Text()} {
			if strings.Contains(p.body, secret) {
				t.Errorf("%s shows a secret", route[1])
			}
		}
	}
	made := h.post(anna, "/manage/new/keys", h.get(anna, "/manage/new/keys").fields())
	secret := made.secret(t)
	if strings.Contains(made.header.Get("Location"), secret) || strings.Contains(h.log.String(), secret) || strings.Count(made.body, secret) != 1 || made.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the secret is elsewhere: %v", made.header)
	}
}

// TestStoreFails lets each method of the store fail on each route.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	for _, m := range []storetest.Method{storetest.Get, storetest.List, storetest.Insert, storetest.Update} {
		hits := 0
		blank := newHost(t).routes("", "")
		for i := range blank {
			h := newHost(t)
			key, client := h.issue(keys.Spec{}), h.issue(keys.Spec{Kind: keys.KindClient})
			route := h.routes(key.Record.ID, client.Record.ID)[i]
			values := h.filled(anna, route[1])
			h.faults.Fail(m, storetest.Always, errors.New("dial db:5432: s3cret"))
			p := h.get(anna, route[1])
			if route[0] == "POST" {
				h.log.Reset()
				p = h.post(anna, route[1], values)
			}
			if p.status < 400 || p.status == 405 {
				continue // a page that does without the method
			}
			hits++
			p.wants(t, 503, "The service does not answer")
			if p.header.Get("Retry-After") != "1" || strings.Contains(p.body, "s3cret") || !strings.Contains(h.log.String(), "s3cret") {
				t.Errorf("%s: %v, %s", route, p.header, h.log)
			}
			if route[0] != "POST" {
				continue
			}
			// What was typed can be sent again, and is carried out then.
			again := p.fields()
			for name := range values {
				if name != "once" && !slices.Equal(again[name], values[name]) {
					t.Errorf("%s: %s is %q, was %q", route, name, again[name], values[name])
				}
			}
			h.faults.Heal()
			if p := h.post(anna, route[1], again); p.status > 399 && p.status != 409 {
				t.Errorf("%s again: %d %s", route, p.status, p.text())
			}
		}
		if hits == 0 {
			t.Errorf("no page fails with %v", m)
		}
	}
}

// TestSignedOut sends a form after its reader was signed out, and once more when it
// is signed in again.
func TestSignedOut(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	admin := h.issue(keys.Spec{Scopes: []string{"keys:manage"}})
	p, err := h.manager.Verifier().Verify(t.Context(), admin.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	values := h.get(p, "/manage/new/keys").fields()
	values.Set("label", "typed <before>")
	values.Set("scopes", "keys:manage")
	out := h.send(form("/manage/new/keys", values))
	out.wants(t, 401, "You are not signed in", "Sign in again in another tab")
	if !strings.Contains(out.body, `href="/sign-in" target="_blank"`) {
		t.Errorf("no way to sign in: %s", out.body)
	}
	again := out.fields()
	if again.Get("label") != "typed <before>" || again.Get("scopes") != "keys:manage" || again.Get("once") == values.Get("once") {
		t.Errorf("the form has %v", again)
	}
	h.post(p, "/manage/new/keys", again).wants(t, 201, "typed <before>")

	// The key ends while the page is open.
	edit := h.get(p, "/manage/keys/"+admin.Record.ID+"/edit").fields()
	if err := h.manager.Revoke(t.Context(), "acme", keys.KindKey, admin.Record.ID); err != nil {
		t.Fatal(err)
	}
	values = h.get(p, "/manage/new/keys").fields()
	h.post(p, "/manage/new/keys", values).wants(t, 401, "You are not signed in any more", "Nothing was done")
	edit.Set("label", "x")
	h.post(p, "/manage/keys/"+admin.Record.ID+"/edit", edit).wants(t, 409, "It was revoked in the meantime.")
	if out := h.send(httptest.NewRequest("GET", "/manage/keys", nil)); out.status != 401 || strings.Contains(out.body, "<form") {
		t.Errorf("a list: %d %s", out.status, out.text())
	}
}

// TestTwoTabs changes a key in one tab while a form for it is open in another.
func TestTwoTabs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := h.issue(keys.Spec{Label: "before", Scopes: []string{"keys:manage"}})
	at := "/manage/keys/" + key.Record.ID
	first, second := h.get(anna, at+"/edit").fields(), h.get(clerk, at+"/edit").fields()
	rotate := h.get(anna, at+"/rotate").fields()
	first.Set("label", "first")
	first.Set("limit", "60")
	h.post(anna, at+"/edit", first).leads(t, at+"?done=changed")
	second.Set("label", "second")
	p := h.post(clerk, at+"/edit", second)
	p.wants(t, 409, "changed it in the meantime", "It is now: first", "It is now: 60")
	if h.record(key.Record.ID).Label != "first" {
		t.Error("the second tab has overwritten the first")
	}
	again := p.fields()
	if again.Get("label") != "second" {
		t.Errorf("the form has %v", again)
	}
	again.Set("limit", "60")
	h.post(clerk, at+"/edit", again).leads(t, at+"?done=changed")
	if rec := h.record(key.Record.ID); rec.Label != "second" || rec.RateLimit != 60 {
		t.Errorf("%+v", rec)
	}
	h.post(clerk, at+"/edit", first).wants(t, 409, "It is now: second")
	q := h.post(anna, at+"/rotate", rotate)
	q.wants(t, 409, "Look at it before you replace it.")
	h.post(anna, at+"/rotate", q.fields()).wants(t, 201)
	h.post(anna, at+"/revoke", nil).leads(t, at)
	h.post(anna, at+"/edit", first).wants(t, 409, "It was revoked in the meantime.")
}

// TestRevokeFamily ends a key with what it made.
func TestRevokeFamily(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	root := h.issue(keys.Spec{Label: "root", Scopes: []string{"keys:manage"}})
	child := h.issue(keys.Spec{Label: "child", CreatedBy: root.Record.ID, Scopes: []string{"webhooks:manage"}})
	grand := h.issue(keys.Spec{Label: "grandchild", Kind: keys.KindClient, CreatedBy: child.Record.ID})
	at := "/manage/keys/" + root.Record.ID
	p := h.get(anna, at+"/revoke")
	p.wants(t, 200, "child", "grandchild", "made by root", "made by child", "2 others end too.", "never used")
	values := p.fields()
	if !slices.Equal(values["family"], []string{""}) {
		t.Errorf("the form has %v", values)
	}
	values.Set("family", "1")
	h.post(clerk, at+"/revoke", values).wants(t, 403, "nothing was ended")
	if h.record(root.Record.ID).RevokedAt != root.Record.RevokedAt {
		t.Error("the root was ended")
	}
	h.post(anna, at+"/revoke", values).leads(t, at)
	for _, issued := range []keys.Issued{root, child, grand} {
		if rec := h.record(issued.Record.ID); !rec.Revoked() {
			t.Errorf("%s is alive", rec.Label)
		}
	}
}

// TestItself warns a reader who is signed in with a key about what would end it.
func TestItself(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := h.issue(keys.Spec{Scopes: []string{"keys:manage"}, Lifetime: 3600e9})
	p, err := h.manager.Verifier().Verify(t.Context(), key.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	at := "/manage/keys/" + key.Record.ID
	h.get(p, at).wants(t, 200, "signed in with it")
	h.get(p, at+"/revoke").wants(t, 200, "You will be signed out.")
	h.get(p, at+"/rotate").wants(t, 200, "You are signed in with it.")
	values := h.get(p, "/manage/new/keys").fields()
	made := h.post(p, "/manage/new/keys", values)
	made.wants(t, 201, "in 60 minutes") // its end is that of its maker
	values = h.get(p, at+"/edit").fields()
	values.Set("expires", "365d") // is brought forward
	h.post(p, at+"/edit", values).leads(t, at+"?done=changed")
	if rec := h.record(key.Record.ID); !rec.ExpiresAt.Equal(key.Record.ExpiresAt) {
		t.Errorf("it ends at %v, not at %v", rec.ExpiresAt, key.Record.ExpiresAt)
	}
}

// TestOldScopes changes a key that has scopes which its reader lacks, and which are
// not granted any more.
func TestOldScopes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rec := h.issue(keys.Spec{Label: "old", Scopes: []string{"webhooks:manage"}}).Record
	rec.Scopes = rec.Scopes.Union(scopes.MustParse("gone:read"))
	if err := h.store.Update(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	at := "/manage/keys/" + rec.ID
	p := h.get(clerk, at+"/edit")
	p.wants(t, 200, "It is not granted any more", "You do not have it yourself.")
	values := p.fields()
	values.Set("label", "new")
	h.post(clerk, at+"/edit", values).leads(t, at+"?done=changed")
	values = h.get(clerk, at+"/edit").fields()
	values["scopes"] = []string{"gone:read", "keys:manage"}
	h.post(clerk, at+"/edit", values).wants(t, 422, "These scopes cannot be granted: gone:read")
	values["scopes"] = []string{"keys:manage"}
	h.post(clerk, at+"/edit", values).leads(t, at+"?done=changed")
}
