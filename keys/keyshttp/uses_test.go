package keyshttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/store"
)

// usedStore is a store in which every credential was used at one time.
type usedStore struct {
	keys.Store
	at  time.Time
	err error
}

func (s *usedStore) NoteUses(context.Context, map[string]time.Time) error { return s.err }

func (s *usedStore) LastUses(_ context.Context, ids []string) (map[string]time.Time, error) {
	uses := make(map[string]time.Time)
	for _, id := range ids {
		uses[id] = s.at
	}
	return uses, s.err
}

func TestLastUses(t *testing.T) {
	t.Parallel()
	s := &usedStore{Store: new(store.Memory), at: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)}
	uses, err := keys.NewUses(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	manager, err := keys.NewManager(s, &keys.Options{Catalog: catalog, Uses: uses})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := keyshttp.NewHandler(manager, nil)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	handler.Register(mux, "/v1/keys", public)
	p := keys.Principal{Org: "acme", RateLimit: 600}
	for _, path := range []string{"/v1/keys", "/v1/keys/" + issued.Record.ID} {
		s.err = nil
		if got := get(t, mux, p, path); got.Code != 200 || !contains(got, `"last_used_at":"2026-01-02T03:04:05.006Z"`) {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
		s.err = errors.New("down")
		if got := get(t, mux, p, path); got.Code != 503 {
			t.Errorf("%s of a store that fails: %d %s", path, got.Code, got.Body)
		}
	}
}

func get(t *testing.T, h http.Handler, p keys.Principal, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), p)))
	return w
}

func contains(w *httptest.ResponseRecorder, text string) bool {
	return strings.Contains(w.Body.String(), text)
}
