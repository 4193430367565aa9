package keyshttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/store"
)

// usedAt is when the credentials of a usedStore were used.
var usedAt = time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)

// usedStore is a store in which one credential was used.
type usedStore struct {
	keys.Store
	id    string
	err   error // of reading uses
	asked int   // how many IDs the last call asked for
}

func (s *usedStore) NoteUses(context.Context, map[string]time.Time) error { return nil }

func (s *usedStore) LastUses(_ context.Context, ids []string) (map[string]time.Time, error) {
	s.asked = len(ids)
	if slices.Contains(ids, s.id) {
		return map[string]time.Time{s.id: usedAt}, s.err
	}
	return nil, s.err
}

// newUsed returns a usedStore, and a manager and the routes over it.
func newUsed(t *testing.T) (*usedStore, *keys.Manager, *http.ServeMux) {
	t.Helper()
	s := &usedStore{Store: new(store.Memory)}
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
	mux := http.NewServeMux()
	handler.Register(mux, "/v1/keys", public)
	return s, manager, mux
}

func TestLastUses(t *testing.T) {
	t.Parallel()
	s, manager, mux := newUsed(t)
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	s.id = issued.Record.ID
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

// TestLastUsesOfARotation shows a key, its successor and the successor of that, of
// which the first alone was used.
func TestLastUsesOfARotation(t *testing.T) {
	t.Parallel()
	s, manager, mux := newUsed(t)
	first, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{first.Record.ID}
	for range 2 {
		next, err := manager.Rotate(t.Context(), "acme", ids[len(ids)-1], keys.Rotation{Overlap: keys.Forever})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, next.Record.ID)
	}
	s.id = ids[0]
	p := keys.Principal{Org: "acme", RateLimit: 600}
	const at = `_at":"2026-01-02T03:04:05.006Z"`
	for i, want := range []map[string]bool{
		{`"last_used` + at: true, `"replaces_last_used` + at: false, `"replaced_by_last_used` + at: false},
		{`"last_used` + at: false, `"replaces_last_used` + at: true, `"replaced_by_last_used` + at: false},
		{`"last_used` + at: false, `"replaces_last_used` + at: false, `"replaced_by_last_used` + at: false},
	} {
		got := get(t, mux, p, "/v1/keys/"+ids[i])
		for text, there := range want {
			if contains(got, text) != there {
				t.Errorf("key %d: %s is there: %v\n%s", i, text, !there, got.Body)
			}
		}
	}
	s.id = ids[1]
	if got := get(t, mux, p, "/v1/keys/"+ids[0]); !contains(got, `"replaced_by_last_used`+at) || contains(got, `"last_used`+at) {
		t.Errorf("%s", got.Body)
	}
	list := get(t, mux, p, "/v1/keys")
	for _, text := range []string{`"last_used` + at, `"replaces_last_used` + at, `"replaced_by_last_used` + at} {
		if n := strings.Count(list.Body.String(), text); n != 1 {
			t.Errorf("the list has %d of %s\n%s", n, text, list.Body)
		}
	}
	if s.asked > 3 {
		t.Errorf("the list asked for %d last uses of three keys", s.asked)
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
