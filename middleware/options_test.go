package middleware_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/middleware"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &middleware.Options{
			Realm: "partner api", ResourceMetadata: "https://api.example.com/.well-known/oauth-protected-resource",
			WriteError: httpjson.WriteProblem, LegacyQuota: true,
		})
		h := env.guard.Require("webhooks:manage")(ok)
		w := serve(h, request("GET"))
		const challenge = `Bearer realm="partner api", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`
		if got := w.Header().Get("WWW-Authenticate"); got != challenge {
			t.Errorf("challenge %s", got)
		}
		want := `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"` + unauthorized.Description + `","error":"unauthorized"}` + "\n"
		if got := w.Body.String(); got != want || w.Header().Get("Content-Type") != "application/problem+json" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%v %s", w.Header(), got)
		}
		text := env.key("acme", 0)
		w = serve(h, request("GET", "Bearer "+text))
		if got := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="partner api", error="insufficient_scope"`) ||
			!strings.HasSuffix(got, `", scope="webhooks:manage", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`) {
			t.Errorf("challenge %s", got)
		}
		for name, want := range map[string]string{
			"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "599", "X-RateLimit-Reset": strconv.FormatInt(time.Now().Unix()+1, 10),
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	})
}

func TestOmitQuota(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &middleware.Options{OmitQuota: true})
	h := env.guard.Require("identity:read")(ok)
	r := request("GET", "Bearer "+env.key("acme", 1))
	if w := serve(h, r); w.Code != 204 || w.Header().Get("RateLimit") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	other := request("GET", "Bearer "+env.key("globex", 0))
	if w := serve(env.guard.Require("admin")(ok), other); w.Code != 403 || w.Header().Get("RateLimit") != "" {
		t.Errorf("without the scope: %d %v", w.Code, w.Header())
	}
	if w := serve(h, r); w.Code != 429 || w.Header().Get("RateLimit") == "" || w.Header().Get("Retry-After") == "" {
		t.Errorf("over the limit: %d %v", w.Code, w.Header())
	}
}

func TestErrorWriterSeesTheRefusal(t *testing.T) {
	t.Parallel()
	var got httpjson.Refusal
	env := newEnv(t, &middleware.Options{WriteError: func(w http.ResponseWriter, _ *http.Request, refusal httpjson.Refusal) {
		got = refusal
		w.WriteHeader(refusal.Status)
	}})
	serve(env.guard.Require("webhooks:manage")(ok), request("GET", "Bearer "+env.key("acme", 0)))
	if got.Status != 403 || got.Code != "insufficient_scope" || got.Scope != "webhooks:manage" || got.Err != middleware.ErrScope {
		t.Errorf("%+v", got)
	}
}

func TestRealmsAtTheBounds(t *testing.T) {
	t.Parallel()
	verifier, err := keys.NewVerifier(newEnv(t, nil).faults, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, realm := range []string{" ", "~", "a !#[]}~"} {
		guard, err := middleware.NewGuard(verifier, nil, &middleware.Options{Realm: realm, ResourceMetadata: "http://localhost:8080/x"})
		if err != nil {
			t.Errorf("%q: %v", realm, err)
			continue
		}
		want := `Bearer realm="` + realm + `", resource_metadata="http://localhost:8080/x"`
		if got := serve(guard.Require("a")(ok), request("GET")).Header().Get("WWW-Authenticate"); got != want {
			t.Errorf("challenge %s, want %s", got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	verifier, err := keys.NewVerifier(newEnv(t, nil).faults, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := middleware.NewGuard(nil, nil, nil); err == nil {
		t.Error("no verifier: no error")
	}
	for name, opts := range map[string]middleware.Options{
		"a quote":           {Realm: `a"b`},
		"a backslash":       {Realm: `a\b`},
		"a line break":      {Realm: "a\r\nb"},
		"not ASCII":         {Realm: "ä"},
		"a tab":             {Realm: "a\tb"},
		"DEL":               {Realm: "a\x7f"},
		"no URL":            {ResourceMetadata: "https://example.com/%zz"},
		"no host":           {ResourceMetadata: "https:///x"},
		"a URL with spaces": {ResourceMetadata: "https://example.com/?a b"},
		"a relative URL":    {ResourceMetadata: "/.well-known/x"},
		"a scheme":          {ResourceMetadata: "ftp://example.com/"},
		"a URL with quotes": {ResourceMetadata: `https://example.com/"`},
	} {
		if _, err := middleware.NewGuard(verifier, nil, &opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
