package benchmarks_test

import (
	"net/http"
	"testing"
)

// A rejection is a request that a Guard answers with a status.
type rejection struct {
	name   string
	text   string
	scope  string
	status int
}

func (h *host) rejections() []rejection {
	c := h.credentials()
	return []rejection{
		{"accepted", c.good, scope, http.StatusNoContent},
		{"malformed", c.malformed, scope, http.StatusUnauthorized},
		{"unknown", c.unknown, scope, http.StatusUnauthorized},
		{"wrong_secret", c.wrong, scope, http.StatusUnauthorized},
		{"expired", c.expired, scope, http.StatusUnauthorized},
		{"revoked", c.revoked, scope, http.StatusUnauthorized},
		{"no_credential", "", scope, http.StatusUnauthorized},
		{"scope", c.good, other, http.StatusForbidden},
		{"limit", c.over, scope, http.StatusTooManyRequests},
	}
}

// BenchmarkReject is a request that a Guard refuses, with the whole answer, and
// beside them one that it accepts. An answer costs what it costs to write a
// body and the fields of the challenge.
func BenchmarkReject(b *testing.B) {
	for i, c := range newHost(nil).rejections() {
		b.Run("case="+c.name, func(b *testing.B) {
			// Anew for each run, so that the bucket of the limit is empty again.
			h := newHost(nil)
			c := h.rejections()[i]
			handler, r, w := h.guard.Require(c.scope)(nothing), bearer(c.text), newWriter()
			b.ReportAllocs()
			for b.Loop() {
				if status := w.serve(handler, r); status != c.status {
					b.Fatalf("status %d, want %d", status, c.status)
				}
			}
		})
	}
}

func TestReject(t *testing.T) {
	t.Parallel()
	h := newHost(nil)
	for _, c := range h.rejections() {
		w := newWriter()
		if status := w.serve(h.guard.Require(c.scope)(nothing), bearer(c.text)); status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, status, c.status)
		}
	}
}
