package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
)

// A browser keeps cookies, and follows no redirects.
type browser struct {
	e      *env
	client *http.Client
}

func (e *env) browser() *browser {
	e.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		e.t.Fatal(err)
	}
	return &browser{e, &http.Client{
		Transport: e.server.Client().Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ask sends a request, with a form if that is not nil, and returns the status and
// where the answer leads.
func (b *browser) ask(method, path string, form url.Values) (status int, to string, resp *http.Response) {
	b.e.t.Helper()
	req, err := http.NewRequestWithContext(b.e.t.Context(), method, b.e.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.e.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if resp, err = b.client.Do(req); err != nil {
		b.e.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Location"), resp
}

func (b *browser) wants(method, path string, form url.Values, status int, to string) *http.Response {
	b.e.t.Helper()
	got, at, resp := b.ask(method, path, form)
	if got != status || at != to {
		b.e.t.Errorf("%s %s: %d to %q, want %d to %q", method, path, got, at, status, to)
	}
	return resp
}

func (b *browser) signIn(key string) {
	b.e.t.Helper()
	b.wants("POST", "/manage/sign-in", url.Values{"key": {key}}, 303, "/manage/")
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.browser()
	b.wants("GET", "/manage/keys?order=name", nil, 303, "/manage/sign-in?next=%2Fmanage%2Fkeys%3Forder%3Dname")
	b.wants("HEAD", "/manage/keys", nil, 303, "/manage/sign-in?next=%2Fmanage%2Fkeys")
	b.wants("GET", "/manage/sign-in", nil, 200, "")
	resp := b.wants("POST", "/manage/sign-in", url.Values{"key": {" " + e.admin + "\n"}, "next": {"/manage/keys?order=name"}}, 303, "/manage/keys?order=name")
	cookies := resp.Cookies()
	if len(cookies) != 1 || len(cookies[0].Value) < 26 {
		t.Fatalf("cookies %v", cookies)
	}
	want := fmt.Sprintf("session=%s; Path=/manage/; HttpOnly; SameSite=Strict", cookies[0].Value)
	if got := resp.Header.Values("Set-Cookie"); !cmp.Equal(got, []string{want}) || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v, want %s", resp.Header, want)
	}
	b.wants("GET", "/manage/keys", nil, 200, "")
	b.wants("GET", "/manage/clients", nil, 200, "")

	other := e.browser() // who has the cookie of nobody
	other.wants("GET", "/manage/keys", nil, 303, "/manage/sign-in?next=%2Fmanage%2Fkeys")
	resp = b.wants("POST", "/manage/sign-out", nil, 303, "/manage/sign-in")
	if resp.Header.Get("Clear-Site-Data") != `"cache"` || resp.Cookies()[0].MaxAge >= 0 {
		t.Errorf("%v", resp.Header)
	}
	address, _ := url.Parse(e.server.URL + "/manage/")
	b.client.Jar.SetCookies(address, cookies) // who kept a copy
	b.wants("GET", "/manage/keys", nil, 303, "/manage/sign-in?next=%2Fmanage%2Fkeys")
	if strings.Contains(e.log.String(), cookies[0].Value) || strings.Contains(e.log.String(), e.admin) {
		t.Error("the log has a secret")
	}
}

func TestSignInRefuses(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	confined := e.key(0, keysManage)
	elsewhere, _ := keys.ParseNetworks("192.0.2.0/24")
	if _, err := e.api.manager.Change(t.Context(), "acme", keys.KindKey, confined.Record.ID, keys.Change{Networks: &elsewhere}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key    string
		status int
	}{
		"nothing": {"", 401}, "junk": {"junk", 401}, "a key that may not manage keys": {e.key(0, webhooksManage).Text.Reveal(), 403},
		"a key from elsewhere": {confined.Text.Reveal(), 403},
	} {
		b := e.browser()
		if resp := b.wants("POST", "/manage/sign-in", url.Values{"key": {tt.key}}, tt.status, ""); len(resp.Cookies()) > 0 {
			t.Errorf("%s: a session", name)
		}
		b.wants("GET", "/manage/keys", nil, 303, "/manage/sign-in?next=%2Fmanage%2Fkeys")
	}
	for _, next := range []string{"https://evil.example/", "//evil.example/manage/", "/manage/../v1/keys", "/manage/%2e%2e/x", `/manage/\evil`, "/v1/keys", "manage/", "/manage"} {
		_, to, _ := e.browser().ask("POST", "/manage/sign-in", url.Values{"key": {e.admin}, "next": {next}})
		if u, err := url.Parse(to); err != nil || u.Host != "" || !strings.HasPrefix(to, "/manage/") || strings.Contains(u.Path, "..") {
			t.Errorf("%q leads to %q", next, to)
		}
	}
	b := e.browser()
	for range maxFailures {
		b.ask("POST", "/manage/sign-in", url.Values{"key": {"vck_live_5TqM00000000000000000.none"}})
	}
	b.wants("POST", "/manage/sign-in", url.Values{"key": {"vck_live_5TqM00000000000000000.none"}}, 429, "")
	b.wants("POST", "/manage/sign-in", url.Values{"key": {strings.Repeat("a", 5000)}}, 400, "")
}

// TestForeignSignIn signs in and out on behalf of another site.
func TestForeignSignIn(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, path := range []string{"/manage/sign-in", "/manage/sign-out"} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", e.server.URL+path, strings.NewReader(url.Values{"key": {e.admin}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		if got := e.send(req); got.status != 403 || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
}

// TestSessionsAndTheirKeys does to keys what must show in their sessions at once.
func TestSessionsAndTheirKeys(t *testing.T) {
	t.Parallel()
	out := "/manage/sign-in?next=%2Fmanage%2Fkeys"
	for name, tt := range map[string]struct {
		do     func(e *env, id string) error
		status int
		to     string
	}{
		"revoked":  {func(e *env, id string) error { return e.api.manager.Revoke(t.Context(), "acme", keys.KindKey, id) }, 303, out},
		"paused":   {change(t, keys.Change{Disabled: new(true)}), 303, out},
		"narrowed": {change(t, keys.Change{Scopes: new([]string{webhooksManage})}), 403, ""},
		"renamed":  {change(t, keys.Change{Label: new("x")}), 200, ""},
	} {
		e := newEnv(t)
		key := e.key(0, keysManage)
		b := e.browser()
		b.signIn(key.Text.Reveal())
		b.wants("GET", "/manage/keys", nil, 200, "")
		if err := tt.do(e, key.Record.ID); err != nil {
			t.Fatal(err)
		}
		b.wants("GET", "/manage/keys", nil, tt.status, tt.to)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func change(t *testing.T, c keys.Change) func(*env, string) error {
	return func(e *env, id string) error {
		_, err := e.api.manager.Change(t.Context(), "acme", keys.KindKey, id, c)
		return err
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p, err := e.api.manager.Verifier().Verify(t.Context(), e.admin)
	if err != nil {
		t.Fatal(err)
	}
	s := e.api.pages.sessions
	now := time.Now()
	idle, ok1 := s.start(p)
	busy, ok2 := s.start(p)
	if !ok1 || !ok2 || idle == busy {
		t.Fatal(idle, busy)
	}
	check := func(name, id string, after time.Duration, want error) {
		t.Helper()
		got, err := s.VerifyAt(t.Context(), id, now.Add(after))
		if !errors.Is(err, want) || err == nil && got.ID != p.ID {
			t.Errorf("%s after %v: %v, %v", name, after, got, err)
		}
	}
	check("idle", idle, sessionIdle-time.Minute, nil)
	check("idle", idle, 2*sessionIdle, keys.ErrUnknown)
	check("idle", idle, time.Minute, keys.ErrUnknown) // it is gone
	for after := time.Duration(0); after < sessionLife; after += sessionIdle / 2 {
		check("busy", busy, after, nil)
	}
	check("busy", busy, sessionLife+time.Minute, keys.ErrUnknown)
	check("nobody's", "x", 0, keys.ErrUnknown)
}

func TestTooManySessions(t *testing.T) {
	t.Parallel()
	s := newSessions(nil)
	p := keys.Principal{Org: "acme", ID: "x"}
	for range maxSessions {
		if _, ok := s.start(p); !ok {
			t.Fatal("too few")
		}
	}
	if _, ok := s.start(p); ok {
		t.Error("one too many")
	}
	for _, session := range s.byID {
		session.lastUse = session.lastUse.Add(-sessionIdle - time.Second)
		break
	}
	if _, ok := s.start(p); !ok {
		t.Error("a session that is over keeps its place")
	}
}
