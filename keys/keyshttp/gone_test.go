package keyshttp_test

import (
	"context"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// TestClientsThatHangUp ends the context of each request before each call of the
// store. A client that has gone is no failure of the service, and a deadline that
// has passed is one; in either case nothing that was done stays.
func TestClientsThatHangUp(t *testing.T) {
	t.Parallel()
	requests := map[string][]writing{
		"GET /v1/keys":      {{}},
		"GET /v1/keys/{id}": {{}},
	}
	maps.Copy(requests, writings)
	for _, pattern := range newHost(t).routes.patterns() {
		if len(requests[pattern]) == 0 {
			t.Errorf("%s is not tried", pattern)
		}
		for _, w := range requests[pattern] {
			t.Run(pattern+" "+w.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					calls := hangUp(t, pattern, w, -1, nil)
					if calls < 1 {
						t.Fatal("no call of the store")
					}
					for at := range calls {
						hangUp(t, pattern, w, at, context.Canceled)
						hangUp(t, pattern, w, at, context.DeadlineExceeded)
					}
				})
			})
		}
	}
}

// hangUp sends a request, and returns how many calls of the store there were. Before the
// call with the number at, the context of the request ends with the error ends.
func hangUp(t *testing.T, pattern string, w writing, at int, ends error) (calls int) {
	t.Helper()
	h := newHostWith(t, keys.Options{Timeout: time.Hour}, keyshttp.Options{})
	p := h.caller(t, keys.Spec{Scopes: all, RateLimit: 500})
	target := h.issue(t, "acme", wide).Record.ID
	if w.name == "go on" {
		h.store.edit(target, func(r *keys.Record) { r.DisabledAt = r.CreatedAt })
	}
	before := maps.Clone(h.store.records)
	ctx, cancel := context.WithTimeout(keys.NewContext(t.Context(), p), time.Minute)
	defer cancel()
	h.store.before = func(string) error {
		if calls++; calls-1 != at {
			return nil
		}
		if ends == context.Canceled {
			cancel()
		}
		<-ctx.Done() // on the test's own clock
		return ctx.Err()
	}
	method, path, _ := strings.Cut(pattern, " ")
	r := httptest.NewRequestWithContext(ctx, method, strings.Replace(path, "{id}", target, 1)+w.query, strings.NewReader(w.body))
	r.Header.Set("Content-Type", "application/json")
	a := h.send(r)
	h.store.before = nil
	switch ends {
	case nil:
		if a.Status > 299 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		return calls
	case context.Canceled:
		a.wantError(t, 499, "client_gone")
		a.wantHeader(t, "Retry-After")
		if h.log.Len() > 0 {
			t.Errorf("a client that has gone was logged: %s", h.log)
		}
	default:
		a.wantError(t, 503, "temporarily_unavailable")
		if !strings.Contains(h.log.String(), "level=ERROR") {
			t.Errorf("the log has no error: %s", h.log)
		}
	}
	if method != "DELETE" {
		h.unchanged(t, before, p)
	}
	return calls
}
