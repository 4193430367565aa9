package keyshttp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// A sink is a ResponseWriter that keeps the status alone.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// request returns a request of admin.
func request(b *testing.B, method, target, body string) *http.Request {
	b.Helper()
	r, err := http.NewRequestWithContext(keys.NewContext(b.Context(), admin), method, target, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

func BenchmarkCreate(b *testing.B) {
	for _, bm := range []struct{ name, body string }{
		{"body=none", ""},
		{"body=full", `{"label":"CI","scopes":["webhooks:manage"],"environment":"test","expires_in":3600,"rate_limit_per_minute":60}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			h := newHostWith(b, keys.Options{MaxKeys: -1}, keyshttp.Options{})
			create := h.routes["POST /v1/keys"]
			r := request(b, "POST", "/v1/keys", bm.body)
			w := &sink{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				r.Body, _ = r.GetBody()
				create.ServeHTTP(w, r)
			}
			if w.status != http.StatusCreated {
				b.Fatalf("status %d", w.status)
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	for _, n := range []int{1, 100, 200} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			h := newHost(b)
			h.fill(b, n)
			list := h.routes["GET /v1/keys"]
			r := request(b, "GET", "/v1/keys?limit=200", "")
			w := &sink{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				list.ServeHTTP(w, r)
			}
			if w.status != http.StatusOK {
				b.Fatalf("status %d", w.status)
			}
		})
	}
}
