package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// answer is what a client sees of a refusal.
type answer struct {
	Status      int
	Challenge   string
	Error       string
	Description string
}

func answerOf(t *testing.T, w *httptest.ResponseRecorder) answer {
	t.Helper()
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	h := w.Header()
	if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("header %v", h)
	}
	if n := len(h.Values("WWW-Authenticate")); n > 1 {
		t.Errorf("%d challenges", n)
	}
	return answer{w.Code, h.Get("WWW-Authenticate"), body.Error, body.Description}
}

// The answers of the table in the package comment.
var (
	unauthorized = answer{
		401, `Bearer realm="api"`, "unauthorized",
		"Send an API key or an access token as a Bearer credential in the Authorization header.",
	}
	invalidToken = tokenError("The credential is not valid.")
	severalCreds = answer{
		400, `Bearer realm="api", error="invalid_request", error_description="The request has more than one credential."`,
		"invalid_request", "The request has more than one credential.",
	}
)

func tokenError(description string) answer {
	return answer{401, `Bearer realm="api", error="invalid_token", error_description="` + description + `"`, "invalid_token", description}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0, "webhooks:manage")
	w := serve(env.guard.Require("webhooks:manage")(ok), request("GET", "Bearer "+text))
	want := http.Header{
		"X-Caller":         {strings.SplitN(text, ".", 2)[0]},
		"Ratelimit-Policy": {`"default";q=600;w=60`},
		"Ratelimit":        {`"default";r=599;t=1`},
	}
	if diff := cmp.Diff(want, w.Header()); w.Code != 204 || diff != "" {
		t.Errorf("status %d\n%s", w.Code, diff)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	good := env.key("acme", 0)
	other := env.key("acme", 0)
	id, secret, _ := strings.Cut(good, ".")
	revokedKey := env.key("acme", 0)
	revokedID, _, _ := strings.Cut(revokedKey, ".")
	if err := env.manager.Revoke(t.Context(), "acme", keys.KindKey, revokedID); err != nil {
		t.Fatal(err)
	}
	paused := env.issue("acme", keys.Spec{})
	yes := true
	if _, err := env.manager.Change(t.Context(), "acme", keys.KindKey, paused.Record.ID, keys.Change{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		lines []string
		want  answer
	}{
		{"nothing", nil, unauthorized},
		{"an empty field", []string{""}, unauthorized},
		{"Basic", []string{"Basic YWxhZGRpbjpvcGVuc2VzYW1l"}, unauthorized},
		{"the key without a scheme", []string{good}, unauthorized},
		{"a tab after the scheme", []string{"Bearer\t" + good}, unauthorized},
		{"a longer scheme", []string{"Bearers " + good}, unauthorized},
		{"a scheme with a long s", []string{"Beaſer " + good}, unauthorized},
		{"Digest with a quoted comma", []string{`Digest username="a, Bearer x", realm="b", nc=1`}, unauthorized},
		{"Digest with a quoted quote", []string{`Digest username="a\", Bearer x", realm="b"`}, unauthorized},
		{"commas alone", []string{", ,"}, unauthorized},
		{"a name behind a comma", []string{"Basic YTpi, Bearer"}, unauthorized},
		{"a name and spaces behind a comma", []string{"Basic YTpi, Bearer  "}, unauthorized},
		{"Digest with spaces around =", []string{`Digest username = "a", realm = "b"`}, unauthorized},
		{"the scheme alone", []string{"Bearer"}, invalidToken},
		{"the scheme and a space", []string{"Bearer "}, invalidToken},
		{"two words", []string{"Bearer " + good + " x"}, invalidToken},
		{"a tab inside", []string{"Bearer " + good + "\tx"}, invalidToken},
		{"a comma", []string{"Bearer " + good + ",x"}, invalidToken},
		{"a quoted key", []string{`Bearer "` + good + `"`}, invalidToken},
		{"junk", []string{"Bearer junk"}, invalidToken},
		{"513 characters", []string{"Bearer " + strings.Repeat("a", 513)}, invalidToken},
		{"a megabyte", []string{"Bearer " + strings.Repeat("a", 1<<20)}, invalidToken},
		{"the ID alone", []string{"Bearer " + id}, invalidToken},
		{"the secret alone", []string{"Bearer " + secret}, invalidToken},
		{"another's secret", []string{"Bearer " + id + "." + strings.SplitN(other, ".", 2)[1]}, invalidToken},
		{"upper case", []string{"Bearer " + strings.ToUpper(good)}, invalidToken},
		{"revoked", []string{"Bearer " + revokedKey}, tokenError("The credential was revoked.")},
		{"paused", []string{"Bearer " + paused.Text.Reveal()}, tokenError("The credential is paused.")},
		{"paused, with a wrong secret", []string{"Bearer " + wrongSecret(t, paused.Record.ID)}, invalidToken},
		{"two lines", []string{"Bearer " + good, "Bearer " + good}, severalCreds},
		{"two lines, one empty", []string{"Bearer " + good, ""}, severalCreds},
		{"two lines, one Basic", []string{"Bearer " + good, "Basic YTpi"}, severalCreds},
		{"two in one line", []string{"Bearer " + good + ", Bearer " + good}, severalCreds},
		{"two schemes in one line", []string{"Basic YTpi,\tBearer " + good}, severalCreds},
		{"a scheme alone, and another", []string{"Negotiate, Bearer " + good}, severalCreds},
		{"a scheme alone, and another, close by", []string{"Negotiate,Bearer " + good}, severalCreds},
		{"an empty element first", []string{"Basic ,Bearer " + good}, severalCreds},
		{"two behind a quoted backslash", []string{`Digest a="b\\", Bearer ` + good}, severalCreds},
		{"two behind a parameter", []string{`Digest a="b, c", Bearer ` + good}, severalCreds},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PROPFIND"} {
				w := serve(env.guard.Authenticated()(ok), request(method, tt.lines...))
				if diff := cmp.Diff(tt.want, answerOf(t, w)); diff != "" {
					t.Errorf("%s: %s", method, diff)
				}
				if w.Header().Get("RateLimit") != "" || w.Header().Get("Retry-After") != "" {
					t.Errorf("%s: a caller who is not known sees a quota: %v", method, w.Header())
				}
			}
		})
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		issued, err := env.manager.Create(t.Context(), "acme", keys.Spec{Lifetime: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		h, r := env.guard.Require("identity:read")(ok), request("GET", "Bearer "+issued.Text.Reveal())
		if w := serve(h, r); w.Code != 204 {
			t.Errorf("before its end: %d", w.Code)
		}
		time.Sleep(time.Minute) // on the test's own clock
		if diff := cmp.Diff(tokenError("The credential has expired."), answerOf(t, serve(h, r))); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSameBytes compares whole answers that must be the same for clients.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	good, other := env.key("acme", 0), env.key("acme", 0)
	id, _, _ := strings.Cut(good, ".")
	unknown, err := keys.MustFormat("key_", keys.Dotted, nil).New("")
	if err != nil {
		t.Fatal(err)
	}
	want := serve(env.guard.Require("identity:read")(ok), request("GET", "Bearer junk"))
	for name, text := range map[string]string{
		"unknown": keys.MustFormat("key_", keys.Dotted, nil).Text(unknown).Reveal(),
		"wrong":   id + "." + strings.SplitN(other, ".", 2)[1],
	} {
		got := serve(env.guard.Require("identity:read")(ok), request("GET", "Bearer "+text))
		if diff := cmp.Diff(want.Header(), got.Header()); diff != "" || got.Code != want.Code || got.Body.String() != want.Body.String() {
			t.Errorf("%s: %d %s\n%s", name, got.Code, got.Body, diff)
		}
	}
}

func TestSchemeInAnyCase(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	for _, field := range []string{"bearer " + text, "BEARER " + text, "bEaReR    " + text} {
		if w := serve(env.guard.Require("identity:read")(ok), request("GET", field)); w.Code != 204 {
			t.Errorf("%q: %d", field[:12], w.Code)
		}
	}
}

func TestCredentialsElsewhereDoNotCount(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	r := httptest.NewRequest("POST", "/?access_token="+text, strings.NewReader("access_token="+text))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", "access_token="+text)
	for _, name := range []string{"X-Auth-Token", "X-Auth-Org", "X-API-Key", "Proxy-Authorization"} {
		r.Header.Set(name, "Bearer "+text)
	}
	if diff := cmp.Diff(unauthorized, answerOf(t, serve(env.guard.Require("identity:read")(ok), r))); diff != "" {
		t.Error(diff)
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.key("acme", 0)
	w := serve(env.guard.Require("webhooks:manage")(ok), request("GET", "Bearer "+text))
	const description = "The credential does not hold the scope that this request needs."
	want := answer{
		403, `Bearer realm="api", error="insufficient_scope", error_description="` + description + `", scope="webhooks:manage"`,
		"insufficient_scope", description,
	}
	if diff := cmp.Diff(want, answerOf(t, w)); diff != "" {
		t.Error(diff)
	}
	if got := w.Header().Get("RateLimit"); got != `"default";r=599;t=1` {
		t.Errorf("a 403 is not free: %q", got)
	}
	if e := env.last(); e.Type != keys.Refused || e.Reason != keys.ReasonScope || e.Org != "acme" || e.ID == "" || e.Kind != keys.KindKey {
		t.Errorf("event %+v", e)
	}
	if w := serve(env.guard.Authenticated()(ok), request("GET", "Bearer "+text)); w.Code != 204 {
		t.Errorf("any credential: %d", w.Code)
	}
}

// TestCheckWithBadScopes gives Check scopes that Require would not take.
func TestCheckWithBadScopes(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &middleware.Options{ResourceMetadata: "https://example.com/"})
	r := request("GET", "Bearer "+env.key("acme", 0))
	for _, scope := range []string{"", " ", "a b", "identity:read webhooks:manage", "x\", error=\"y", "a\r\nX-Evil: 1"} {
		a, err := env.guard.Check(r, all(scope))
		if err != middleware.ErrScope {
			t.Errorf("%q: %v", scope, err)
		}
		w := httptest.NewRecorder()
		env.guard.Refuse(w, r, a, err)
		c := w.Header().Get("WWW-Authenticate")
		if w.Code != 403 || strings.Contains(c, "scope=\"") || !strings.HasSuffix(c, `", resource_metadata="https://example.com/"`) {
			t.Errorf("%q: %d %s", scope, w.Code, c)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		h := env.guard.Require("identity:read")(ok)
		r := request("GET", "Bearer "+env.key("acme", 0))
		for i := range 600 {
			if w := serve(h, r); w.Code != 204 {
				t.Fatalf("request %d of the burst: %d", i+1, w.Code)
			}
		}
		w := serve(h, r)
		const description = "Too many requests. Retry after the time in the Retry-After header."
		if diff := cmp.Diff(answer{429, "", "rate_limit_exceeded", description}, answerOf(t, w)); diff != "" {
			t.Error(diff)
		}
		for name, want := range map[string]string{
			"Retry-After": "1", "RateLimit": `"default";r=0;t=1`, "RateLimit-Policy": `"default";q=600;w=60`,
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if e := env.last(); e.Type != keys.Refused || e.Reason != keys.ReasonLimit || e.Org != "acme" {
			t.Errorf("event %+v", e)
		}
		time.Sleep(time.Second) // the time in Retry-After, on the test's own clock
		for i := range 10 {
			if w := serve(h, r); w.Code != 204 {
				t.Fatalf("request %d after the time in Retry-After: %d", i+1, w.Code)
			}
		}
		if w := serve(h, r); w.Code != 429 {
			t.Errorf("request 11 after it: %d", w.Code)
		}
	})
}

// TestRetryAfterIsTrue checks Retry-After of slow limits to the second: one second
// earlier the request is still refused, and at the time it is not.
func TestRetryAfterIsTrue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		h := env.guard.Require("identity:read")(ok)
		for _, limit := range []int{1, 2, 3, 7} {
			r := request("GET", "Bearer "+env.key("org"+strconv.Itoa(limit), limit))
			for range limit {
				serve(h, r)
			}
			seconds, err := strconv.Atoi(serve(h, r).Header().Get("Retry-After"))
			if err != nil || seconds != (60+limit-1)/limit {
				t.Fatalf("limit %d: retry after %d s, %v", limit, seconds, err)
			}
			time.Sleep(time.Duration(seconds-1) * time.Second) // on the test's own clock
			if w := serve(h, r); w.Code != 429 {
				t.Errorf("limit %d: a second early, %d", limit, w.Code)
			}
			time.Sleep(time.Second) // on the test's own clock
			if w := serve(h, r); w.Code != 204 {
				t.Errorf("limit %d: in time, %d", limit, w.Code)
			}
		}
	})
}

func TestOneBucketForAnOrganization(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		h := env.guard.Require("identity:read")(ok)
		a, b, small := request("GET", "Bearer "+env.key("acme", 0)), request("GET", "Bearer "+env.key("acme", 0)), request("GET", "Bearer "+env.key("acme", 60))
		other := request("GET", "Bearer "+env.key("globex", 0))
		for range 270 {
			serve(h, a)
			serve(h, b)
		}
		// 540 of 600 parts of the minute are gone: a tenth is left, which is 6
		// requests of a key that may do 60.
		if got := serve(h, small).Header().Get("RateLimit"); got != `"default";r=5;t=1` {
			t.Errorf("the small key sees %s", got)
		}
		for range 5 {
			serve(h, small)
		}
		for name, r := range map[string]*http.Request{"first": a, "second": b, "small": small} {
			if w := serve(h, r); w.Code != 429 {
				t.Errorf("the %s key: %d", name, w.Code)
			}
		}
		if w := serve(h, other); w.Code != 204 {
			t.Errorf("another organization: %d", w.Code)
		}
	})
}

func TestUnverifiedCallersTouchNoBucket(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	good, other := env.key("acme", 0), env.key("acme", 0)
	id, _, _ := strings.Cut(good, ".")
	for _, text := range []string{"junk", id, id + "." + strings.SplitN(other, ".", 2)[1]} {
		serve(env.guard.Require("identity:read")(ok), request("GET", "Bearer "+text))
	}
	if n := env.faults.Calls(storetest.Take); n != 0 {
		t.Errorf("%d buckets were touched", n)
	}
	// Over its limit, a credential without the scope learns of the limit first.
	small := request("GET", "Bearer "+env.key("globex", 1))
	h := env.guard.Require("webhooks:manage")(ok)
	if first, second := serve(h, small).Code, serve(h, small).Code; first != 403 || second != 429 {
		t.Errorf("without the scope: %d and then %d", first, second)
	}
}

// TestConcurrentRequestsShareTheBurst sends more than the burst at once.
func TestConcurrentRequestsShareTheBurst(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &middleware.Options{Limit: func(keys.Principal) (ratelimit.Limit, error) {
		return ratelimit.NewLimit(1.0/3600, 100)
	}})
	h := env.guard.Require("identity:read")(ok)
	text := env.key("acme", 0)
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if serve(h, request("GET", "Bearer "+text)).Code == 204 {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != 100 {
		t.Errorf("admitted %d requests, want 100", n)
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	r := request("GET", "Bearer "+env.key("acme", 0))
	h := env.guard.Require("identity:read")(ok)
	for name, method := range map[string]storetest.Method{"records": storetest.Get, "limits": storetest.Take} {
		env.faults.Fail(method, storetest.Always, errors.New("secret address of the database"))
		w := serve(h, r)
		const description = "The request cannot be authorized at the moment. Try again."
		if diff := cmp.Diff(answer{503, "", "temporarily_unavailable", description}, answerOf(t, w)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if w.Header().Get("Retry-After") != "1" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %v %s", name, w.Header(), w.Body)
		}
		env.faults.Heal()
		if w := serve(h, r); w.Code != 204 {
			t.Errorf("%s: afterwards %d", name, w.Code)
		}
	}
}

func TestBadLimitIsOurFault(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &middleware.Options{Limit: func(keys.Principal) (ratelimit.Limit, error) { return ratelimit.Limit{}, nil }})
	r := request("GET", "Bearer "+env.key("acme", 0))
	if w := serve(env.guard.Require("identity:read")(ok), r); w.Code != 503 {
		t.Errorf("a limit of nothing: %d", w.Code)
	}
	// Whatever the error wraps, it says nothing about the credential.
	expired := env.another(&middleware.Options{Limit: func(keys.Principal) (ratelimit.Limit, error) { return ratelimit.Limit{}, keys.ErrExpired }})
	if w := serve(expired.Authenticated()(ok), r); w.Code != 503 {
		t.Errorf("a limit that has expired: %d", w.Code)
	}
}

func TestWithoutLimiter(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	verifier, err := keys.NewVerifier(env.faults, nil)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.NewGuard(verifier, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := serve(guard.Require("identity:read")(ok), request("GET", "Bearer "+env.key("acme", 0)))
	if w.Code != 204 || w.Header().Get("RateLimit") != "" || env.faults.Calls(storetest.Take) != 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestTheRequestIsNotChanged(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	r := request("GET", "Bearer "+env.key("acme", 0))
	type key struct{}
	ctx := context.WithValue(r.Context(), key{}, "outer")
	r = r.WithContext(ctx)
	before := r.Header.Clone()
	h := env.guard.Require("identity:read")(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
		if inner == r || inner.Context().Value(key{}) != "outer" || inner.URL != r.URL {
			t.Error("the handler's request is not a copy of the caller's")
		}
	}))
	serve(h, r)
	if _, found := keys.FromContext(r.Context()); found || r.Context() != ctx {
		t.Error("the caller's request has a new context")
	}
	if diff := cmp.Diff(before, r.Header); diff != "" {
		t.Error(diff)
	}
}

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
