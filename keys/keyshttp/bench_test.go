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
			h := newHost(b)
			r := request(b, "POST", "/v1/keys", bm.body)
			w := &sink{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				r.Body, _ = r.GetBody()
				h.handler.Create(w, r)
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
			r := request(b, "GET", "/v1/keys?limit=200", "")
			w := &sink{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				h.handler.List(w, r)
			}
			if w.status != http.StatusOK {
				b.Fatalf("status %d", w.status)
			}
		})
	}
}

// BenchmarkReadJSON reads a good body and long ones that are made to take time.
func BenchmarkReadJSON(b *testing.B) {
	var members strings.Builder
	for i := range keyshttp.DefaultMaxBody / 12 {
		fmt.Fprintf(&members, `,"%05d":0`, i)
	}
	for _, bm := range []struct{ name, body string }{
		{"body=good", `{"text":"a","flag":true,"k":1,"list":["a","b"]}`},
		{"body=nested", `{"text":` + strings.Repeat("[", 8000) + strings.Repeat("]", 8000) + `}`},
		{"body=members", `{"text":"a"` + members.String() + `}`},
		{"body=escapes", `{"text":"` + strings.Repeat(`\ud83d\ude00`, keyshttp.DefaultMaxBody/12-1) + `"}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			r := request(b, "POST", "/", bm.body)
			w := &sink{header: make(http.Header)}
			var f form
			fields := append(f.fields(), keyshttp.Others())
			b.ReportAllocs()
			b.SetBytes(int64(len(bm.body)))
			for b.Loop() {
				r.Body, _ = r.GetBody()
				_ = keyshttp.ReadJSON(w, r, 0, fields...)
			}
		})
	}
}
