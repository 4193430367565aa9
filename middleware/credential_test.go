package middleware_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
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
