package oauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/store"
)

// exchange is one request to the token endpoint that can be sent again and
// again: the least harness that a request needs.
type exchange struct {
	request *http.Request
	body    *strings.Reader
	text    string
	header  http.Header
	status  int
}

func (x *exchange) Header() http.Header         { return x.header }
func (x *exchange) Write(p []byte) (int, error) { return len(p), nil }
func (x *exchange) WriteHeader(status int)      { x.status = status }

func (x *exchange) send(tb testing.TB, h http.HandlerFunc, want int) {
	x.body.Reset(x.text)
	h(x, x.request)
	if x.status != want {
		tb.Fatalf("status %d", x.status)
	}
}

func newExchange(mediaType, body, authorization string) *exchange {
	x := &exchange{text: body, body: strings.NewReader(body), header: make(http.Header)}
	x.request = post(tokenPath, mediaType, "")
	x.request.Body = io.NopCloser(x.body)
	x.request.ContentLength = int64(len(body))
	if authorization != "" {
		x.request.Header.Set("Authorization", authorization)
	}
	return x
}

// exchanges returns a handler over a Memory, and a request of each form.
func exchanges(tb testing.TB) (h *oauth.Handler, good, bad map[string]*exchange) {
	tb.Helper()
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{Catalog: catalog})
	if err != nil {
		tb.Fatal(err)
	}
	server, err := oauth.New(manager, &oauth.Options{MaxTokens: 1 << 30})
	if err != nil {
		tb.Fatal(err)
	}
	if h, err = oauth.NewHandler(server, "https://auth.example.com", &oauth.HandlerOptions{Failures: 1_000_000_000}); err != nil {
		tb.Fatal(err)
	}
	issued, err := server.Register(context.Background(), caller, oauth.ClientSpec{})
	if err != nil {
		tb.Fatal(err)
	}
	id, secret := issued.Record.ID, issued.Text.Reveal()
	form := "grant_type=client_credentials&client_id=" + id + "&client_secret="
	good = map[string]*exchange{
		"form":  newExchange(formType, form+secret, ""),
		"basic": newExchange(formType, "grant_type=client_credentials", basic(id, secret)),
		"json":  newExchange(jsonType, fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q}`, id, secret), ""),
	}
	bad = map[string]*exchange{
		"wrong_secret": newExchange(formType, form+strings.Repeat("0", 64), ""),
		"unknown":      newExchange(formType, strings.Replace(form, id, "cc_0000000000000000", 1)+secret, ""),
		"malformed":    newExchange(formType, form+"0", ""),
	}
	return h, good, bad
}

func BenchmarkExchange(b *testing.B) {
	h, good, bad := exchanges(b)
	for _, form := range []string{"form", "basic", "json"} {
		b.Run("request="+form, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				good[form].send(b, h.Token, 200)
			}
		})
	}
	for _, cause := range []string{"malformed", "unknown", "wrong_secret"} {
		b.Run("refused="+cause, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bad[cause].send(b, h.Token, 401)
			}
		})
	}
}

// BenchmarkExchangeParallel has one client ask from all processors, behind the
// lock that counts its attempts.
func BenchmarkExchangeParallel(b *testing.B) {
	h, good, _ := exchanges(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		x := newExchange(formType, good["form"].text, "")
		for pb.Next() {
			x.send(b, h.Token, 200)
		}
	})
}
