package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/store/storetest"
)

// Refusal says in fields what Refuse writes.
func TestRefusalIsWhatRefuseWrites(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	spent := e.key("acme", 1)
	if w := serve(e.guard.Authenticated()(ok), request("GET", "Bearer "+spent)); w.Code != 204 {
		t.Fatal(w.Code)
	}
	bound := e.issue("initech", keys.Spec{Networks: networks(t, "198.51.100.0/24")}).Text.Reveal()
	for _, tt := range []struct {
		name  string
		lines []string
		need  middleware.Need
	}{
		{"no credential", nil, middleware.Need{}},
		{"two credentials", []string{"Bearer a", "Bearer b"}, middleware.Need{}},
		{"junk", []string{"Bearer junk"}, middleware.Need{}},
		{"another network", []string{"Bearer " + bound}, middleware.Need{}},
		{"over the limit", []string{"Bearer " + spent}, middleware.Need{}},
		{"without the scope", []string{"Bearer " + e.key("globex", 0)}, all("admin", "export")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request("GET", tt.lines...)
			a, err := e.guard.Check(r, tt.need)
			got := e.guard.Refusal(a, err)
			w := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.guard.Refuse(w, r, a, err) }), r)
			var body struct {
				Error       string `json:"error"`
				Description string `json:"error_description"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if got.Status != w.Code || got.Code != body.Error || got.Description != body.Description || !errors.Is(got.Err, err) {
				t.Errorf("%+v, but the answer is %d %+v", got, w.Code, body)
			}
			if got.Scope != a.Scope || got.RetryAfter != a.Quota.RetryAfterSeconds() && got.RetryAfter != 0 {
				t.Errorf("%+v of %+v", got, a)
			}
			if over := errors.Is(err, middleware.ErrOverLimit); over != (got.RetryAfter > 0) {
				t.Errorf("Retry-After %d for %v", got.RetryAfter, err)
			}
		})
	}
}

func TestRefusalOfAFailure(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	e.faults.Fail(storetest.Get, storetest.Always, errors.New("down"))
	r := request("GET", "Bearer "+e.key("acme", 0))
	a, err := e.guard.Check(r, middleware.Need{})
	if got := e.guard.Refusal(a, err); got.Status != 503 || got.RetryAfter != 1 || got.Code != "temporarily_unavailable" {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	a, err = e.guard.Check(r.WithContext(ctx), middleware.Need{})
	if got := e.guard.Refusal(a, err); got.Status != httpjson.StatusClientGone || got.Code != "client_gone" || !errors.Is(got.Err, middleware.ErrClientGone) {
		t.Errorf("%+v", got)
	}
}
