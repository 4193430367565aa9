package keyshttp_test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// lateBody is a body that does something before it ends.
type lateBody struct {
	*strings.Reader
	before func()
}

func (b *lateBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF && b.before != nil {
		b.before()
		b.before = nil
	}
	return n, err
}

// TestHeldBackBody sends a request whose body ends only after its caller's key
// was revoked: it must have no effect.
func TestHeldBackBody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ method, path, body string }{
		"create": {"POST", "/v1/keys", `{"label":"x"}`},
		"change": {"PATCH", "/v1/keys/{id}", `{"label":"x"}`},
		"rotate": {"POST", "/v1/keys/{id}/rotate", `{"overlap":0}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			create := func() keys.Record {
				issued, err := h.manager.Create(t.Context(), "acme", keys.Spec{})
				if err != nil {
					t.Fatal(err)
				}
				return issued.Record
			}
			caller, other := create(), create()
			p := keys.Principal{Org: "acme", ID: caller.ID, Kind: keys.KindKey, Scopes: caller.Scopes, RateLimit: caller.RateLimit}
			r := httptest.NewRequest(tt.method, strings.Replace(tt.path, "{id}", other.ID, 1), nil)
			r.Header.Set("Content-Type", "application/json")
			r.Body = io.NopCloser(&lateBody{strings.NewReader(tt.body), func() {
				if err := h.manager.Revoke(t.Context(), "acme", caller.ID); err != nil {
					t.Error(err)
				}
			}})
			r.ContentLength = -1
			a := h.send(r.WithContext(keys.NewContext(r.Context(), p)))
			a.wantError(t, 401, "invalid_token")
			a.wantHeader(t, "WWW-Authenticate", `Bearer realm="api", error="invalid_token"`)
			for rec, err := range h.manager.List(t.Context(), "acme", keys.KindKey, "") {
				switch {
				case err != nil:
					t.Error(err)
				case rec.ID == other.ID && rec.Version != 1:
					t.Errorf("the key was changed: %+v", rec)
				case rec.ID != other.ID && !rec.Revoked():
					t.Errorf("%v is alive", rec)
				}
			}
		})
	}
}
