package benchmarks_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

const (
	formType = "application/x-www-form-urlencoded"
	form     = "grant_type=client_credentials&scope=" + scope
)

// A tokenEndpoint is a handler with one client, and a store of its own.
type tokenEndpoint struct {
	handler    http.Handler
	id, secret string
	good       func(token string) bool // reports whether a token is one that was issued
	close      func()                  // nil if there is nothing to close
}

// clientSecret returns a new secret in the form of Claviger's.
func clientSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// An exchange is one request to a token endpoint that can be sent again and
// again. Each time it has a new body, and has not been parsed.
type exchange struct {
	template http.Request
	request  http.Request
	body     strings.Reader
	writer   *writer
}

// Close makes an exchange the body of its request.
func (x *exchange) Close() error { return nil }

func (x *exchange) Read(p []byte) (int, error) { return x.body.Read(p) }

// exchange returns the request with client_secret_basic (RFC 6749 §2.3.1), which
// all endpoints take by default.
func (e *tokenEndpoint) exchange(secret string) *exchange {
	x := &exchange{writer: newWriter()}
	r := httptest.NewRequest("POST", "/oauth/token", nil)
	r.RemoteAddr = "192.0.2.1:1234"
	r.Header.Set("Content-Type", formType)
	r.SetBasicAuth(url.QueryEscape(e.id), url.QueryEscape(secret))
	r.Body, r.ContentLength = x, int64(len(form))
	x.template = *r
	return x
}

var accessToken = []byte(`"access_token"`)

// send sends the request and reports whether the answer is a token. The status
// alone does not say so: osin answers errors with 200 too.
func (x *exchange) send(h http.Handler) bool {
	x.request = x.template
	x.body.Reset(form)
	return x.writer.serve(h, &x.request) == http.StatusOK && bytes.Contains(x.writer.body, accessToken)
}

// token gets a token.
func (e *tokenEndpoint) token() string {
	x := e.exchange(e.secret)
	if !x.send(e.handler) {
		panic("no token: " + string(x.writer.body))
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(x.writer.body, &answer); err != nil {
		panic(err)
	}
	return answer.AccessToken
}

// clavigerEndpoint is the token endpoint of a host such as examples/partnerapi.
// Its limit on live tokens is checked too, and is higher than any benchmark goes.
func clavigerEndpoint(db *store.Memory) tokenEndpoint {
	manager := must(keys.NewManager(db, &keys.Options{Catalog: catalog, RateLimit: plenty}))
	srv := must(oauth.NewServer(manager, &oauth.Options{MaxTokens: 1 << 30, MaxOrgTokens: 1 << 30}))
	handler := must(oauth.NewHandler(srv, "https://auth.example.com", nil))
	caller := keys.Principal{Org: org, ID: "session", Scopes: scopes.MustParse(scope), RateLimit: plenty}
	issued := must(srv.Register(context.Background(), caller, oauth.ClientSpec{}))
	mux := http.NewServeMux()
	handler.Register(mux)
	return tokenEndpoint{
		handler: mux, id: issued.Record.ID, secret: issued.Text.Reveal(),
		good: func(token string) bool {
			_, err := manager.Verifier().Verify(context.Background(), token)
			return err == nil
		},
	}
}

var exchanges = []struct {
	name string
	new  func() tokenEndpoint
}{
	{"floor", func() tokenEndpoint {
		s, id, secret := newFloorServer()
		return tokenEndpoint{handler: http.HandlerFunc(s.lean), id: id, secret: secret, good: s.knows}
	}},
	{"claviger", func() tokenEndpoint { return clavigerEndpoint(new(store.Memory)) }},
	{"floor-plain", func() tokenEndpoint {
		s, id, secret := newFloorServer()
		return tokenEndpoint{handler: http.HandlerFunc(s.plain), id: id, secret: secret, good: s.knows}
	}},
	{"osin", osinEndpoint},
	{"go-oauth2", func() tokenEndpoint { e, _ := goOAuth2Endpoint(); return e }},
	{"fosite", func() tokenEndpoint { e, _ := fositeEndpoint(sha256Hasher{}); return e }},
	{"fosite-bcrypt", func() tokenEndpoint { e, _ := fositeEndpoint(nil); return e }},
}

// batch is how many tokens a store gets before a new one takes its place, so
// that long runs measure what short runs do, and memory is bounded.
const batch = 1 << 16

// BenchmarkExchange is a request for a token through the handler, from reading
// the body to writing the answer.
func BenchmarkExchange(b *testing.B) {
	for _, impl := range exchanges {
		b.Run("impl="+impl.name, func(b *testing.B) {
			var e tokenEndpoint
			var x *exchange
			renew := func() {
				if e.close != nil {
					e.close()
				}
				e = impl.new()
				x = e.exchange(e.secret)
			}
			renew()
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if !x.send(e.handler) {
					b.Fatalf("status %d: %s", x.writer.status, x.writer.body)
				}
				if n++; n%batch == 0 {
					b.StopTimer()
					renew()
					b.StartTimer()
				}
			}
			if e.close != nil {
				e.close()
			}
		})
	}
}

func TestExchange(t *testing.T) {
	t.Parallel()
	for _, impl := range exchanges {
		t.Run(impl.name, func(t *testing.T) {
			t.Parallel()
			e := impl.new()
			x := e.exchange(e.secret)
			seen := make(map[string]bool)
			for range 3 {
				if !x.send(e.handler) {
					t.Fatalf("status %d: %s", x.writer.status, x.writer.body)
				}
				var answer struct {
					AccessToken string `json:"access_token"`
					TokenType   string `json:"token_type"`
					ExpiresIn   int    `json:"expires_in"`
					Scope       string `json:"scope"`
				}
				if err := json.Unmarshal(x.writer.body, &answer); err != nil {
					t.Fatal(err)
				}
				if len(answer.AccessToken) < 20 || seen[answer.AccessToken] {
					t.Errorf("token %q is short, or was there before", answer.AccessToken)
				}
				if !e.good(answer.AccessToken) || e.good(damaged(answer.AccessToken)) {
					t.Errorf("token %q is not good, or another one is", answer.AccessToken)
				}
				seen[answer.AccessToken] = true
				if !strings.EqualFold(answer.TokenType, "bearer") || answer.ExpiresIn < 3590 || answer.Scope != scope {
					t.Errorf("answer %s", x.writer.body)
				}
			}
			if bad := e.exchange(clientSecret()); bad.send(e.handler) {
				t.Error("a wrong secret got a token")
			}
			if e.close != nil {
				if e.close(); x.send(e.handler) {
					t.Error("a closed store took a token")
				}
			}
		})
	}
}
