package middleware_test

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

func TestRequire(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0, "webhooks:manage")
	w := serve(env.guard.Require("webhooks:manage")(ok), request("GET", "Bearer "+text))
	want := http.Header{
		"X-Caller":         {strings.SplitN(text, ".", 2)[0]},
		"Ratelimit-Policy": {`"default";q=600;w=60`},
		"Ratelimit":        {`"default";r=599;t=1`},
	}
	if diff := cmp.Diff(want, w.Header()); w.Code != 204 || diff != "" {
		t.Errorf("status %d\n%s", w.Code, diff)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	good := env.key("acme", 0)
	other := env.key("acme", 0)
	id, secret, _ := strings.Cut(good, ".")
	revokedKey := env.key("acme", 0)
	revokedID, _, _ := strings.Cut(revokedKey, ".")
	if err := env.manager.Revoke(t.Context(), "acme", keys.KindKey, revokedID); err != nil {
		t.Fatal(err)
	}
	paused := env.issue("acme", keys.Spec{})
	yes := true
	if _, err := env.manager.Change(t.Context(), "acme", keys.KindKey, paused.Record.ID, keys.Change{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		lines []string
		want  answer
	}{
		{"nothing", nil, unauthorized},
		{"an empty field", []string{""}, unauthorized},
		{"Basic", []string{"Basic YWxhZGRpbjpvcGVuc2VzYW1l"}, unauthorized},
		{"the key without a scheme", []string{good}, unauthorized},
		{"a tab after the scheme", []string{"Bearer\t" + good}, unauthorized},
		{"a longer scheme", []string{"Bearers " + good}, unauthorized},
		{"a scheme with a long s", []string{"Beaſer " + good}, unauthorized},
		{"Digest with a quoted comma", []string{`Digest username="a, Bearer x", realm="b", nc=1`}, unauthorized},
		{"Digest with a quoted quote", []string{`Digest username="a\", Bearer x", realm="b"`}, unauthorized},
		{"commas alone", []string{", ,"}, unauthorized},
		{"a name behind a comma", []string{"Basic YTpi, Bearer"}, unauthorized},
		{"a name and spaces behind a comma", []string{"Basic YTpi, Bearer  "}, unauthorized},
		{"Digest with spaces around =", []string{`Digest username = "a", realm = "b"`}, unauthorized},
		{"the scheme alone", []string{"Bearer"}, invalidToken},
		{"the scheme and a space", []string{"Bearer "}, invalidToken},
		{"two words", []string{"Bearer " + good + " x"}, invalidToken},
		{"a tab inside", []string{"Bearer " + good + "\tx"}, invalidToken},
		{"a comma", []string{"Bearer " + good + ",x"}, invalidToken},
		{"a quoted key", []string{`Bearer "` + good + `"`}, invalidToken},
		{"junk", []string{"Bearer junk"}, invalidToken},
		{"513 characters", []string{"Bearer " + strings.Repeat("a", 513)}, invalidToken},
		{"a megabyte", []string{"Bearer " + strings.Repeat("a", 1<<20)}, invalidToken},
		{"the ID alone", []string{"Bearer " + id}, invalidToken},
		{"the secret alone", []string{"Bearer " + secret}, invalidToken},
		{"another's secret", []string{"Bearer " + id + "." + strings.SplitN(other, ".", 2)[1]}, invalidToken},
		{"upper case", []string{"Bearer " + strings.ToUpper(good)}, invalidToken},
		{"revoked", []string{"Bearer " + revokedKey}, tokenError("The credential was revoked.")},
		{"paused", []string{"Bearer " + paused.Text.Reveal()}, tokenError("The credential is paused.")},
		{"paused, with a wrong secret", []string{"Bearer " + wrongSecret(t, paused.Record.ID)}, invalidToken},
		{"two lines", []string{"Bearer " + good, "Bearer " + good}, severalCreds},
		{"two lines, one empty", []string{"Bearer " + good, ""}, severalCreds},
		{"two lines, one Basic", []string{"Bearer " + good, "Basic YTpi"}, severalCreds},
		{"two in one line", []string{"Bearer " + good + ", Bearer " + good}, severalCreds},
		{"two schemes in one line", []string{"Basic YTpi,\tBearer " + good}, severalCreds},
		{"a scheme alone, and another", []string{"Negotiate, Bearer " + good}, severalCreds},
		{"a scheme alone, and another, close by", []string{"Negotiate,Bearer " + good}, severalCreds},
		{"an empty element first", []string{"Basic ,Bearer " + good}, severalCreds},
		{"two behind a quoted backslash", []string{`Digest a="b\\", Bearer ` + good}, severalCreds},
		{"two behind a parameter", []string{`Digest a="b, c", Bearer ` + good}, severalCreds},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PROPFIND"} {
				w := serve(env.guard.Authenticated()(ok), request(method, tt.lines...))
				if diff := cmp.Diff(tt.want, answerOf(t, w)); diff != "" {
					t.Errorf("%s: %s", method, diff)
				}
				if w.Header().Get("RateLimit") != "" || w.Header().Get("Retry-After") != "" {
					t.Errorf("%s: a caller who is not known sees a quota: %v", method, w.Header())
				}
			}
		})
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		issued, err := env.manager.Create(t.Context(), "acme", keys.Spec{Lifetime: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		h, r := env.guard.Require("identity:read")(ok), request("GET", "Bearer "+issued.Text.Reveal())
		if w := serve(h, r); w.Code != 204 {
			t.Errorf("before its end: %d", w.Code)
		}
		time.Sleep(time.Minute) // on the test's own clock
		if diff := cmp.Diff(tokenError("The credential has expired."), answerOf(t, serve(h, r))); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSameBytes compares whole answers that must be the same for clients.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	good, other := env.key("acme", 0), env.key("acme", 0)
	id, _, _ := strings.Cut(good, ".")
	unknown, err := keys.MustFormat("key_", keys.Dotted, nil).New("")
	if err != nil {
		t.Fatal(err)
	}
	want := serve(env.guard.Require("identity:read")(ok), request("GET", "Bearer junk"))
	for name, text := range map[string]string{
		"unknown": keys.MustFormat("key_", keys.Dotted, nil).Text(unknown).Reveal(),
		"wrong":   id + "." + strings.SplitN(other, ".", 2)[1],
	} {
		got := serve(env.guard.Require("identity:read")(ok), request("GET", "Bearer "+text))
		if diff := cmp.Diff(want.Header(), got.Header()); diff != "" || got.Code != want.Code || got.Body.String() != want.Body.String() {
			t.Errorf("%s: %d %s\n%s", name, got.Code, got.Body, diff)
		}
	}
}

func TestSchemeInAnyCase(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	for _, field := range []string{"bearer " + text, "BEARER " + text, "bEaReR    " + text} {
		if w := serve(env.guard.Require("identity:read")(ok), request("GET", field)); w.Code != 204 {
			t.Errorf("%q: %d", field[:12], w.Code)
		}
	}
}

func TestCredentialsElsewhereDoNotCount(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	r := httptest.NewRequest("POST", "/?access_token="+text, strings.NewReader("access_token="+text))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", "access_token="+text)
	for _, name := range []string{"X-Auth-Token", "X-Auth-Org", "X-API-Key", "Proxy-Authorization"} {
		r.Header.Set(name, "Bearer "+text)
	}
	if diff := cmp.Diff(unauthorized, answerOf(t, serve(env.guard.Require("identity:read")(ok), r))); diff != "" {
		t.Error(diff)
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	w := serve(env.guard.Require("webhooks:manage")(ok), request("GET", "Bearer "+text))
	const description = "The credential does not hold the scope that this request needs."
	want := answer{
		403, `Bearer realm="api", error="insufficient_scope", error_description="` + description + `", scope="webhooks:manage"`,
		"insufficient_scope", description,
	}
	if diff := cmp.Diff(want, answerOf(t, w)); diff != "" {
		t.Error(diff)
	}
	if got := w.Header().Get("RateLimit"); got != `"default";r=599;t=1` {
		t.Errorf("a 403 is not free: %q", got)
	}
	if e := env.last(); e.Type != keys.Refused || e.Reason != keys.ReasonScope || e.Org != "acme" || e.ID == "" || e.Kind != keys.KindKey {
		t.Errorf("event %+v", e)
	}
	if w := serve(env.guard.Authenticated()(ok), request("GET", "Bearer "+text)); w.Code != 204 {
		t.Errorf("any credential: %d", w.Code)
	}
}

// TestCheckWithBadScopes gives Check scopes that Require would not take.
func TestCheckWithBadScopes(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &middleware.Options{ResourceMetadata: "https://example.com/"})
	r := request("GET", "Bearer "+env.key("acme", 0))
	for _, scope := range []string{"", " ", "a b", "identity:read webhooks:manage", "x\", error=\"y", "a\r\nX-Evil: 1"} {
		a, err := env.guard.Check(r, all(scope))
		if err != middleware.ErrScope {
			t.Errorf("%q: %v", scope, err)
		}
		w := httptest.NewRecorder()
		env.guard.Refuse(w, r, a, err)
		c := w.Header().Get("WWW-Authenticate")
		if w.Code != 403 || strings.Contains(c, "scope=\"") || !strings.HasSuffix(c, `", resource_metadata="https://example.com/"`) {
			t.Errorf("%q: %d %s", scope, w.Code, c)
		}
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	r := request("GET", "Bearer "+env.key("acme", 0))
	h := env.guard.Require("identity:read")(ok)
	for name, method := range map[string]storetest.Method{"records": storetest.Get, "limits": storetest.Take} {
		env.faults.Fail(method, storetest.Always, errors.New("secret address of the database"))
		w := serve(h, r)
		const description = "The request cannot be authorized at the moment. Try again."
		if diff := cmp.Diff(answer{503, "", "temporarily_unavailable", description}, answerOf(t, w)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if w.Header().Get("Retry-After") != "1" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %v %s", name, w.Header(), w.Body)
		}
		env.faults.Heal()
		if w := serve(h, r); w.Code != 204 {
			t.Errorf("%s: afterwards %d", name, w.Code)
		}
	}
}

func TestTheRequestIsNotChanged(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	r := request("GET", "Bearer "+env.key("acme", 0))
	type key struct{}
	ctx := context.WithValue(r.Context(), key{}, "outer")
	r = r.WithContext(ctx)
	before := r.Header.Clone()
	h := env.guard.Require("identity:read")(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
		if inner == r || inner.Context().Value(key{}) != "outer" || inner.URL != r.URL {
			t.Error("the handler's request is not a copy of the caller's")
		}
	}))
	serve(h, r)
	if _, found := keys.FromContext(r.Context()); found || r.Context() != ctx {
		t.Error("the caller's request has a new context")
	}
	if diff := cmp.Diff(before, r.Header); diff != "" {
		t.Error(diff)
	}
}

// When a request ends, the server removes the files of its form from the disk, if it
// finds the form in the request that it made. The handler parses the form of a copy.
func TestFilesOfFormsAreRemoved(t *testing.T) {
	t.Parallel()
	e := newPlainEnv(t, nil)
	guarded := e.guard.Authenticated()
	parse := guarded(guarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1024); err != nil {
			t.Error(err)
		}
	})))
	r := e.good.Clone(t.Context())
	r.Method = http.MethodPost
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	r.Body = io.NopCloser(strings.NewReader("--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\ntext\r\n--x--\r\n"))
	parse.ServeHTTP(httptest.NewRecorder(), r)
	if r.MultipartForm == nil || len(r.MultipartForm.File["file"]) != 1 {
		t.Errorf("the server finds the form %+v", r.MultipartForm)
	}
	kept := new(multipart.Form)
	r.MultipartForm = kept
	forget := guarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.MultipartForm = nil }))
	forget.ServeHTTP(httptest.NewRecorder(), r)
	if r.MultipartForm != kept {
		t.Error("a form that was parsed in front of the guard is gone")
	}
}
