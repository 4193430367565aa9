package httpjson_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

// TestManage says of each outcome of an action how it is answered, and whether it is
// reported as an error of the service's.
func TestManage(t *testing.T) {
	t.Parallel()
	anna := keys.Principal{Org: "acme", ID: "anna"}
	left := errors.Join(keys.ErrCallerEnded, keys.ErrUnavailable) // and could not be taken back
	for _, tt := range []struct {
		name   string
		p      *keys.Principal
		err    error
		gone   bool
		status int
		failed bool
	}{
		{"no principal", nil, nil, false, 401, false},
		{"no organization", &keys.Principal{ID: "anna"}, nil, false, 401, false},
		{"done", &anna, nil, false, 204, false},
		{"refused", &anna, keys.ErrNotFound, false, 404, false},
		{"the store fails", &anna, keys.ErrUnavailable, false, 503, true},
		{"refused, and not taken back", &anna, left, false, 401, true},
		{"the client has gone", &anna, keys.ErrUnavailable, true, 499, false},
		{"the client has gone, and not taken back", &anna, left, true, 401, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.gone {
				cancel()
			}
			if tt.p != nil {
				ctx = keys.NewContext(ctx, *tt.p)
			}
			do := func(w http.ResponseWriter, _ *http.Request, p keys.Principal) error {
				if p.ID != anna.ID || p.Org != anna.Org {
					t.Errorf("called for %v", p)
				}
				if tt.err == nil {
					w.WriteHeader(http.StatusNoContent)
				}
				return tt.err
			}
			r := httptest.NewRequestWithContext(ctx, "POST", "/", nil)
			for _, silent := range []bool{false, true} {
				var told error
				failed := func(_ *http.Request, err error) { told = err }
				if silent {
					failed = nil
				}
				w := httptest.NewRecorder()
				httpjson.Manage(do, nil, failed).ServeHTTP(w, r)
				if w.Code != tt.status {
					t.Errorf("status %d, want %d", w.Code, tt.status)
				}
				if want := tt.failed && !silent; (told != nil) != want || want && told != tt.err {
					t.Errorf("reported: %v, want it: %v", told, want)
				}
			}
		})
	}
}
