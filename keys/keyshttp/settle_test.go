package keyshttp_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// A fedStore is a store with a feed, which can fail to say how long others may go
// without asking.
type fedStore struct {
	*mapStore
	keys.Feed
	err error
}

func (s *fedStore) LongestLease(context.Context) (time.Duration, error) { return 0, s.err }

// TestUnsettled sends the requests whose effect must be everywhere when they are
// answered, while the store cannot say how long that takes. All are answered 503 except
// for rotations, whose new key would be lost: they wait for the longest time that it can
// take.
func TestUnsettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testUnsettled)
}

func testUnsettled(t *testing.T) {
	h := newHost(t)
	s := &fedStore{mapStore: h.store, err: errors.New("connection reset")}
	manager, err := keys.NewManager(s, &keys.Options{Format: partner, Catalog: catalog})
	if err != nil {
		t.Fatal(err)
	}
	h.manager = manager
	h.serve(t, keyshttp.Options{})
	target := "/v1/keys/" + h.issue(t, "acme", keys.Spec{}).Record.ID
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", target + "/rotate", `{"overlap":60}`, 503}, // how long that is depends on the same
		{"POST", target + "/rotate", "", 201},
		{"POST", target + "/rotate", `{"overlap":0}`, 201},
		{"PATCH", target, `{"label":"x"}`, 503},
		{"DELETE", target, "", 503},
		{"DELETE", target, "", 503}, // again
		{"DELETE", target + "?descendants=true", "", 503},
		{"POST", "/v1/keys", "", 201}, // nobody can have read it before
	} {
		h.log.Reset()
		begin := time.Now()
		a := h.do(admin, tt.method, tt.path, tt.body)
		if a.Status != tt.status {
			t.Errorf("%s %s: %d %s, want %d", tt.method, tt.path, a.Status, a.Body, tt.status)
		}
		if logged := strings.Contains(h.log.String(), "connection reset"); logged != (tt.status == 503) {
			t.Errorf("%s %s: log %q", tt.method, tt.path, h.log)
		}
		if strings.HasSuffix(tt.path, "rotate") && a.Status == 201 {
			h.wantIssued(t, a)
			if took := time.Since(begin); took != 6*time.Second {
				t.Errorf("%s %s: after %v", tt.method, tt.path, took)
			}
		}
	}
	// The time of the request ends while it waits. The new key is handed out all the same.
	ctx, cancel := context.WithTimeout(keys.NewContext(t.Context(), admin), time.Second)
	defer cancel()
	r := httptest.NewRequest("POST", "/v1/keys/"+h.issue(t, "acme", keys.Spec{}).Record.ID+"/rotate", nil)
	h.log.Reset()
	if a := h.send(r.WithContext(ctx)); a.Status != 201 {
		t.Errorf("out of time: %d %s", a.Status, a.Body)
	} else {
		h.wantIssued(t, a)
	}
	if !strings.Contains(h.log.String(), "not yet everywhere") {
		t.Errorf("nobody is told that the old key may go on: log %q", h.log)
	}
	s.err = nil
	if a := h.do(admin, "DELETE", target, ""); a.Status != 204 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
