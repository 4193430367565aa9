package keyshttp_test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// all are the scopes that a key can have besides the always-granted ones.
var all = []string{"keys:manage", "webhooks:manage"}

// caller makes a key of acme, and returns who a request with it comes from.
func (h *host) caller(tb testing.TB, spec keys.Spec) keys.Principal {
	tb.Helper()
	return h.principal(tb, h.issue(tb, "acme", spec))
}

// client makes a client of acme and a token of it, and returns who a request with
// the token comes from.
func (h *host) client(tb testing.TB, spec keys.Spec) keys.Principal {
	tb.Helper()
	spec.Kind = keys.KindClient
	client := h.issue(tb, "acme", spec)
	token, err := h.manager.IssueToken(tb.Context(), client.Record, scopes.MustParse(strings.Join(spec.Scopes, " ")), time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	return h.principal(tb, token)
}

// principal returns what a check of a credential gives.
func (h *host) principal(tb testing.TB, issued keys.Issued) keys.Principal {
	tb.Helper()
	p, err := h.manager.Verifier().Verify(tb.Context(), issued.Text.Reveal())
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// good reports whether a key of an answer opens anything.
func (h *host) good(tb testing.TB, made map[string]any) bool {
	tb.Helper()
	_, err := h.manager.Verifier().Verify(tb.Context(), made["key"].(string))
	return err == nil
}

// made makes a key by a request, and returns its answer.
func (h *host) made(tb testing.TB, p keys.Principal, body string) map[string]any {
	tb.Helper()
	a := h.do(p, "POST", "/v1/keys", body)
	if a.Status != 201 {
		tb.Fatalf("%d %s", a.Status, a.Body)
	}
	return a.object(tb)
}

// lateBody is a body that does something before its last byte.
type lateBody struct {
	rest   *strings.Reader
	before func()
}

func (b *lateBody) Read(p []byte) (int, error) {
	if b.rest.Len() <= 1 && b.before != nil {
		b.before()
		b.before = nil
	}
	if n := b.rest.Len() - 1; n > 0 && n < len(p) {
		p = p[:n]
	}
	return b.rest.Read(p)
}

// holdBack sends a request whose last byte of the body comes after do.
func (h *host) holdBack(p keys.Principal, method, target, body string, do func()) answer {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Content-Type", "application/json")
	r.Body, r.ContentLength = io.NopCloser(&lateBody{strings.NewReader(body), do}), -1
	return h.send(r.WithContext(keys.NewContext(r.Context(), p)))
}
