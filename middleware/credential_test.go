package middleware_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/google/go-cmp/cmp"
)

// TestRaw speaks to a real server in bytes that an HTTP client would tidy up.
func TestRaw(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	server := httptest.NewServer(env.guard.Require("identity:read")(ok))
	defer server.Close()
	tests := []struct {
		name, head string
		want       int
	}{
		{"plain", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + text + "\r\n", 204},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nAuthorization: Bearer " + text + "\r\n", 204},
		{"lower case", "GET / HTTP/1.1\r\nhost: a\r\nauthorization: bearer " + text + "\r\n", 204},
		{"no space after the colon", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization:Bearer " + text + "\r\n", 204},
		{"spaces around", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: \t Bearer  " + text + " \t \r\n", 204},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + text + "\r\n", 204},
		{"none", "GET / HTTP/1.1\r\nHost: a\r\n", 401},
		{"two lines", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + text + "\r\nauthorization: Bearer " + text + "\r\n", 400},
		{"an empty second line", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + text + "\r\nAuthorization:\r\n", 400},
		{"a tab", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer\t" + text + "\r\n", 401},
		{"a folded line", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer\r\n " + text + "\r\n", 204},
		{"a space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer " + text + "\r\n", 400},
		{"a NUL", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + text + "\x00\r\n", 400},
		{"bytes above ASCII", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + text + "\xff\r\n", 401},
		{"in the query", "GET /?access_token=" + text + " HTTP/1.1\r\nHost: a\r\n", 401},
		{"in a trailer", "POST / HTTP/1.1\r\nHost: a\r\nTrailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer " + text + "\r\n", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			head := tt.head
			if !strings.Contains(head, "HTTP/1.0") {
				head = strings.Replace(head, "Host: a\r\n", "Host: a\r\nConnection: close\r\n", 1)
			}
			if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.want)
			}
			if resp.StatusCode == 401 && resp.ContentLength <= 0 {
				t.Errorf("a body of %d bytes", resp.ContentLength)
			}
			if resp.StatusCode == 401 && !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), `Bearer realm="api"`) {
				t.Errorf("challenge %q", resp.Header.Get("WWW-Authenticate"))
			}
		})
	}
}

func FuzzAuthorization(f *testing.F) {
	env := newEnv(f, nil)
	text := env.key("acme", 1_000_000_000)
	for _, field := range []string{
		"Bearer " + text, "bearer  " + text, "Bearer\t" + text, "Bearer " + text + ", Basic YTpi", "Basic YTpi, Bearer x",
		`Digest a="b, Bearer c"`, "Bearer", "", "Bearer a b", `Bearer "` + text + `"`, "Bearer " + text + " ", `x "\`, `x ,,,a b`,
	} {
		f.Add(field, false)
		f.Add(field, true)
	}
	h := env.guard.Require("identity:read")(ok)
	f.Fuzz(func(t *testing.T, field string, twice bool) {
		r := request("GET", field)
		if twice {
			r.Header.Add("Authorization", field)
		}
		a, err := env.guard.Check(r, all("identity:read"))
		w := serve(h, r)
		switch {
		case err == nil:
			scheme, rest, _ := strings.Cut(field, " ")
			if w.Code != 204 || twice || !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != text || a.Principal.Org != "acme" {
				t.Fatalf("%q is accepted: %d %+v", field, w.Code, a)
			}
		case errors.Is(err, middleware.ErrSeveralCredentials):
			if w.Code != 400 || !twice && !strings.Contains(field, ",") {
				t.Fatalf("%q has several credentials: %d", field, w.Code)
			}
		case errors.Is(err, middleware.ErrNoCredential), errors.Is(err, keys.ErrMalformed), errors.Is(err, keys.ErrUnknown):
			if w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" {
				t.Fatalf("%q: %d %v", field, w.Code, w.Header())
			}
		default:
			t.Fatalf("%q: %v", field, err)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); err != nil && strings.Count(challenge, `"`)%2 != 0 {
			t.Fatalf("challenge %s", challenge)
		}
	})
}

func TestSources(t *testing.T) {
	t.Parallel()
	apiKey := middleware.Source{Header: "x-api-key"}
	bearer := middleware.Source{Header: "authorization", Scheme: "BEARER"}
	token := middleware.Source{Header: "Authorization", Scheme: "Token"}
	other := middleware.Source{Header: "X-Auth", Scheme: "Key"}
	type fields map[string][]string
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	const advice = "Send an API key or an access token "
	for _, tt := range []struct {
		name    string
		sources []middleware.Source
		scheme  string // of challenges
		advice  string
		tests   map[string]fields // the status and what it is about
	}{
		{"the default", nil, "Bearer", "as a Bearer credential in the Authorization header.", map[string]fields{
			"204 Bearer":         {"Authorization": {"Bearer " + text}},
			"401 another header": {"X-Api-Key": {text}},
			"401 nothing":        {},
			"401 Token":          {"Authorization": {"Token " + text}},
			"401 words, commas":  {"Authorization": {"Bearer " + text + ", a ,b"}}, // a list has no such credential
		}},
		{"an empty list", []middleware.Source{}, "Bearer", "as a Bearer credential in the Authorization header.", map[string]fields{
			"204 Bearer": {"Authorization": {"Bearer " + text}},
		}},
		{"both", []middleware.Source{bearer, apiKey}, "BEARER", "as a BEARER credential in the authorization header.", map[string]fields{
			"204 Bearer":                {"Authorization": {"Bearer " + text}},
			"204 a key":                 {"X-Api-Key": {text}},
			"401 a bad key":             {"X-Api-Key": {text + "x"}},
			"401 an empty one":          {"X-Api-Key": {""}},
			"401 with the scheme":       {"X-Api-Key": {"Bearer " + text}},
			"401 with spaces":           {"X-Api-Key": {" " + text}},
			"401 two in a line":         {"X-Api-Key": {text + "," + text}},
			"400 twice":                 {"X-Api-Key": {text, text}},
			"400 twice, one empty":      {"X-Api-Key": {text, ""}},
			"400 in both places":        {"X-Api-Key": {text}, "Authorization": {"Bearer " + text}},
			"400 beside another scheme": {"X-Api-Key": {text}, "Authorization": {"Basic YTpi"}},
			"400 beside an empty line":  {"X-Api-Key": {text}, "Authorization": {""}},
			"400 two schemes in a line": {"Authorization": {"Basic YTpi, Bearer " + text}},
		}},
		{"a key alone", []middleware.Source{apiKey}, "ApiKey", "in the x-api-key header.", map[string]fields{
			"204 a key":                  {"X-Api-Key": {text}},
			"204 beside what is no care": {"X-Api-Key": {text}, "Authorization": {"Basic YTpi"}},
			"401 Bearer":                 {"Authorization": {"Bearer " + text}},
		}},
		{"two schemes", []middleware.Source{token, bearer}, "Token", "as a Token credential in the Authorization header.", map[string]fields{
			"204 Bearer":           {"Authorization": {"Bearer " + text}},
			"204 token":            {"Authorization": {"token  " + text}},
			"401 a long s":         {"Authorization": {"To\u212aen " + text}}, // a Kelvin sign
			"401 a key":            {"X-Api-Key": {text}},
			"401 the scheme alone": {"Authorization": {"Token"}},
			"400 two lines":        {"Authorization": {"Token " + text, "Bearer " + text}},
		}},
		{"all letters", []middleware.Source{{Header: "Authorization", Scheme: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}}, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "as a ABCDEFGHIJKLMNOPQRSTUVWXYZ credential in the Authorization header.", map[string]fields{
			"204 the other case": {"Authorization": {"abcdefghijklmnopqrstuvwxyz " + text}},
			"401 an at sign":     {"Authorization": {"@bcdefghijklmnopqrstuvwxyz " + text}},
			"401 a bracket":      {"Authorization": {"`bcdefghijklmnopqrstuvwxy[ " + text}},
		}},
		{"a scheme elsewhere", []middleware.Source{other, apiKey}, "ApiKey", "as a Key credential in the X-Auth header.", map[string]fields{
			"204 with it":    {"X-Auth": {"key " + text}},
			"204 the other":  {"X-Api-Key": {text}},
			"401 without it": {"X-Auth": {text}},
			"400 both":       {"X-Auth": {"key " + text}, "X-Api-Key": {text}},
		}},
	} {
		h := env.another(&middleware.Options{Sources: tt.sources}).Require("identity:read")(ok)
		for name, headers := range tt.tests {
			r := request("GET")
			maps.Copy(r.Header, headers)
			w := serve(h, r)
			if want := name[:3]; fmt.Sprint(w.Code) != want {
				t.Errorf("%s, %s: %d", tt.name, name, w.Code)
			}
			if w.Code > 299 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), tt.scheme+` realm="api"`) {
				t.Errorf("%s, %s: %s", tt.name, name, w.Header().Get("WWW-Authenticate"))
			}
		}
		want := answer{401, tt.scheme + ` realm="api"`, "unauthorized", advice + tt.advice}
		if diff := cmp.Diff(want, answerOf(t, serve(h, request("GET")))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestNewGuardRefusesSources(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for name, sources := range map[string][]middleware.Source{
		"no header":                  {{Scheme: "Bearer"}},
		"a header with a space":      {{Header: "X Api"}},
		"a header with a colon":      {{Header: "X-Api:"}},
		"a header that is not ASCII": {{Header: "X-\u00e4"}},
		"a scheme with a space":      {{Header: "Authorization", Scheme: "Bearer x"}},
		"a scheme with a quote":      {{Header: "Authorization", Scheme: `Be"arer`}},
		"with and without a scheme":  {{Header: "Authorization", Scheme: "Bearer"}, {Header: "authorization"}},
		"without and with a scheme":  {{Header: "X-Key"}, {Header: "X-Key", Scheme: "Bearer"}},
		"twice without a scheme":     {{Header: "X-Key"}, {Header: "x-key"}},
	} {
		if _, err := middleware.NewGuard(env.manager.Verifier(), nil, &middleware.Options{Sources: sources}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := middleware.NewGuard(env.manager.Verifier(), nil, &middleware.Options{Failures: -1}); err == nil {
		t.Error("negative failures: no error")
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
		err   error
	}{
		{"one", []string{"Bearer x.y"}, "x.y", nil},
		{"in any case", []string{"bEARER   x"}, "x", nil},
		{"the scheme alone", []string{"Bearer"}, "", nil},
		{"two words", []string{"Bearer a b"}, "a b", nil},
		{"none", nil, "", middleware.ErrNoCredential},
		{"an empty line", []string{""}, "", middleware.ErrNoCredential},
		{"another scheme", []string{"Basic x"}, "", middleware.ErrNoCredential},
		{"a long s", []string{"Beaſer x"}, "", middleware.ErrNoCredential},
		{"a tab", []string{"Bearer\tx"}, "", middleware.ErrNoCredential},
		{"two lines", []string{"Bearer x", "Bearer x"}, "", middleware.ErrSeveralCredentials},
		{"two in a line", []string{"Bearer x, Bearer x"}, "", middleware.ErrSeveralCredentials},
	} {
		if got, err := middleware.Bearer(tt.lines); got != tt.want || err != tt.err {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

// A credential that is taken out does not reach the handler, and everything else
// does.
func TestRemoveCredential(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	sources := []middleware.Source{{Header: "Authorization", Scheme: "Bearer"}, {Header: "X-API-Key"}}
	g := env.another(&middleware.Options{Sources: sources, RemoveCredential: true, AllowPreflight: true})
	var got http.Header
	h := g.Require("identity:read")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	preflight := func() *http.Request {
		r := request("OPTIONS", "Bearer "+text)
		r.Header.Set("Origin", "https://example.com")
		r.Header.Set("Access-Control-Request-Method", "POST")
		return r
	}
	apiKey := request("GET")
	apiKey.Header.Set("X-API-Key", text)
	for name, r := range map[string]*http.Request{"Bearer": request("GET", "Bearer "+text), "X-API-Key": apiKey, "preflight": preflight()} {
		r.Header["Accept"] = []string{"a", "b"}
		before := r.Header.Clone()
		got = nil
		if w := serve(h, r); w.Code != 200 {
			t.Fatalf("%s: %d", name, w.Code)
		}
		want := before.Clone()
		delete(want, "Authorization")
		delete(want, "X-Api-Key")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		got["Accept"][0] = "changed"
		if diff := cmp.Diff(before, r.Header); diff != "" {
			t.Errorf("%s, the caller's request: %s", name, diff)
		}
	}
	// Without the option, the handler sees it.
	h = env.guard.Require("identity:read")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	if serve(h, request("GET", "Bearer "+text)); got.Get("Authorization") == "" {
		t.Error("the credential was taken out unasked")
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	preflight := func() *http.Request {
		r := request("OPTIONS")
		r.Header.Set("Origin", "https://example.com")
		r.Header.Set("Access-Control-Request-Method", "POST")
		return r
	}
	env := newEnv(t, nil)
	open := env.another(&middleware.Options{AllowPreflight: true})
	for name, route := range map[string]func(*middleware.Guard) func(http.Handler) http.Handler{
		"Require":       func(g *middleware.Guard) func(http.Handler) http.Handler { return g.Require("identity:read") },
		"RequireAny":    func(g *middleware.Guard) func(http.Handler) http.Handler { return g.RequireAny("identity:read") },
		"Authenticated": func(g *middleware.Guard) func(http.Handler) http.Handler { return g.Authenticated() },
		"Manage":        func(g *middleware.Guard) func(http.Handler) http.Handler { return g.Manage() },
	} {
		if w := serve(route(env.guard)(ok), preflight()); w.Code != 401 {
			t.Errorf("%s: not asked for: %d", name, w.Code)
		}
		if w := serve(route(open)(ok), preflight()); w.Code != 204 || w.Header().Get("X-Caller") != "" || w.Header().Get("RateLimit") != "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		for _, missing := range []string{"Origin", "Access-Control-Request-Method"} {
			r := preflight()
			r.Header.Del(missing)
			if w := serve(route(open)(ok), r); w.Code != 401 {
				t.Errorf("%s: without %s: %d", name, missing, w.Code)
			}
		}
		r := preflight()
		r.Method = "GET"
		if w := serve(route(open)(ok), r); w.Code != 401 {
			t.Errorf("%s: GET with the fields of a preflight: %d", name, w.Code)
		}
	}
	if _, err := open.Check(preflight(), middleware.Need{}); err != middleware.ErrNoCredential {
		t.Errorf("Check: %v", err)
	}
}
