package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
)

// pick returns the values of some fields, those of one that is missing too.
func pick(h http.Header, names ...string) map[string][]string {
	values := map[string][]string{}
	for _, name := range names {
		values[name] = h.Values(name)
	}
	return values
}

// TestService looks at what the service gets, and what the client gets of it.
func TestService(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	type request struct {
		line   string
		fields map[string][]string
	}
	got := make(chan request, 1)
	e.service = func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for name := range r.Header {
			if strings.Contains(name, "_") {
				t.Errorf("the service got %s", name)
			}
		}
		got <- request{r.Method + " " + r.URL.String() + " " + r.Host + " " + string(body), pick(r.Header,
			"Authorization", "X-Organization", "X-Credential-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto")}
		w.Header().Set("RateLimit", `"service";r=1;t=1`)
		w.Header().Set("RateLimit-Policy", `"service";q=1;w=1`)
		w.WriteHeader(http.StatusCreated)
		if _, err := io.WriteString(w, "made"); err != nil {
			t.Error(err)
		}
	}
	for _, tt := range []struct {
		name, org, wantOrg string
		fields             http.Header
	}{
		{"plain", "acme", "acme", nil},
		{"a name with any characters", "Äcme & Söhne\n", "%C3%84cme%20&%20S%C3%B6hne%0A", nil},
		{"forged", "globex", "globex", http.Header{
			"X-Organization": {"evil", "worse"}, "X-Credential-Id": {"evil"}, "X-Guard-Organization": {"evil"},
			"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"},
		}},
		{"forged with underscores", "initech", "initech", http.Header{"X_Organization": {"evil"}, "X_Credential_Id": {"evil"}}},
		{"named as a field of the connection", "umbrella", "umbrella", http.Header{"Connection": {"X-Organization, X-Credential-Id"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			issued := e.key(tt.org, keys.Spec{Scopes: []string{"orders:read"}, RateLimit: 6})
			answer, err := e.send("POST", "an order", tt.fields, issued.Text.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			if answer.status != http.StatusCreated || answer.body != "made" {
				t.Fatalf("%d %s", answer.status, answer.body)
			}
			host := strings.TrimPrefix(e.url, "http://")
			want := request{"POST /orders/7?page=2 " + host + " an order", map[string][]string{
				"Authorization": nil, "X-Organization": {tt.wantOrg}, "X-Credential-Id": {issued.Record.ID},
				"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {host}, "X-Forwarded-Proto": {"http"},
			}}
			if diff := cmp.Diff(want, <-got, cmp.AllowUnexported(request{})); diff != "" {
				t.Error(diff)
			}
			quota := map[string][]string{
				"RateLimit": {`"default";r=5;t=10`}, "RateLimit-Policy": {`"default";q=6;w=60`},
				"X-Guard-Organization": nil, "X-Guard-Credential": nil, "Retry-After": nil,
			}
			if diff := cmp.Diff(quota, pick(answer.header, "RateLimit", "RateLimit-Policy", "X-Guard-Organization", "X-Guard-Credential", "Retry-After")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHandler asks the guard as nginx does.
func TestHandler(t *testing.T) {
	t.Parallel()
	e := &env{t: t}
	h := e.newGuard()
	good := "Bearer " + e.key("acme", keys.Spec{Scopes: []string{"orders:read"}, RateLimit: 1}).Text.Reveal()
	for _, tt := range []struct {
		name       string
		credential []string
		status     int
		meant      string
	}{
		{"good", []string{good}, 204, ""},
		{"over the limit", []string{good}, 403, "429"},
		{"no credential", nil, 401, "401"},
		{"two of them", []string{good, good}, 403, "400"},
	} {
		r := httptest.NewRequest("GET", "/orders:read", nil)
		r.Header["Authorization"] = tt.credential
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status || w.Header().Get("X-Guard-Status") != tt.meant {
			t.Errorf("%s: %d %v", tt.name, w.Code, w.Header())
		}
	}
}

// TestRefused sends what the service must not see. The answers are those of a
// guard without nginx.
func TestRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.service = func(http.ResponseWriter, *http.Request) {}
	text := func(org string, spec keys.Spec) string { return e.key(org, spec).Text.Reveal() }
	read := []string{"orders:read"}
	elsewhere, err := keys.ParseNetworks("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	here, err := keys.ParseNetworks("127.0.0.1/32")
	if err != nil {
		t.Fatal(err)
	}
	good, other := text("acme", keys.Spec{Scopes: read}), text("acme", keys.Spec{Scopes: []string{"other"}})
	far, near := text("acme", keys.Spec{Scopes: read, Networks: elsewhere}), text("acme", keys.Spec{Scopes: read, Networks: here})
	spent := text("spent", keys.Spec{Scopes: read, RateLimit: 1})
	for _, key := range []string{good, near, spent} {
		if got := e.get(key); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	seen := e.seen.Load()
	const challenge = `Bearer realm="api"`
	for _, tt := range []struct {
		name        string
		credentials []string
		fields      http.Header
		status      int
		code        string
		challenge   string // how it begins
		retry       bool   // the answer has Retry-After, of up to a minute
		limited     bool   // the answer has the fields about the quota
	}{
		{"no credential", nil, http.Header{"X-Organization": {"acme"}}, 401, "unauthorized", challenge, false, false},
		{"a wrong one", []string{good + "x"}, nil, 401, "invalid_token", challenge + `, error="invalid_token"`, false, false},
		{"two in one field", []string{good + ", Bearer " + good}, nil, 400, "invalid_request", challenge + `, error="invalid_request"`, false, false},
		{"another scope", []string{other}, nil, 403, "insufficient_scope", challenge + `, error="insufficient_scope"`, false, true},
		{"another address", []string{far}, nil, 403, "address_not_allowed", "", false, false},
		{"a forged address", []string{far}, http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X-Real-Ip": {"192.0.2.1"}}, 403, "address_not_allowed", "", false, false},
		{"over the limit", []string{spent}, nil, 429, "rate_limit_exceeded", "", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := e.send("GET", "", tt.fields, tt.credentials...)
			if err != nil {
				t.Fatal(err)
			}
			if got.status != tt.status || !strings.HasPrefix(got.body, `{"error":"`+tt.code+`","error_description":"`) || !strings.HasSuffix(got.body, `."}`) {
				t.Errorf("%d %s", got.status, got.body)
			}
			challenges := got.header.Values("WWW-Authenticate")
			if tt.challenge == "" && len(challenges) > 0 || tt.challenge != "" && (len(challenges) != 1 || !strings.HasPrefix(challenges[0], tt.challenge)) {
				t.Errorf("challenges: %q", challenges)
			}
			want := map[string][]string{"Cache-Control": {"no-store"}, "Content-Type": {"application/json"}}
			if diff := cmp.Diff(want, pick(got.header, "Cache-Control", "Content-Type")); diff != "" {
				t.Error(diff)
			}
			retry := got.header.Values("Retry-After")
			if !tt.retry && len(retry) > 0 {
				t.Errorf("Retry-After: %q", retry)
			} else if seconds, err := strconv.Atoi(strings.Join(retry, ",")); tt.retry && (err != nil || seconds < 1 || seconds > 60) {
				t.Errorf("Retry-After: %q", retry)
			}
			for _, name := range []string{"RateLimit", "RateLimit-Policy"} {
				if n := len(got.header.Values(name)); n > 1 || tt.limited != (n == 1) {
					t.Errorf("%s: %q", name, got.header.Values(name))
				}
			}
		})
	}
	// Of two lines, some versions of nginx answer by themselves, without a body of
	// ours.
	if got := e.get(good, good); got.status != http.StatusBadRequest {
		t.Errorf("two lines: %d %s", got.status, got.body)
	}
	if n := e.seen.Load(); n != seen {
		t.Errorf("the service got %d requests", n-seen)
	}
}

// TestUnavailable has a store that fails, and then no guard at all.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.service = func(http.ResponseWriter, *http.Request) {}
	key := e.key("acme", keys.Spec{Scopes: []string{"orders:read"}}).Text.Reveal()
	if got := e.get(key); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	check := func(name string) {
		t.Helper()
		got := e.get(key)
		const want = `{"error":"temporarily_unavailable","error_description":"The request cannot be authorized at the moment. Try again."}`
		if got.status != http.StatusServiceUnavailable || got.body != want {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		fields := map[string][]string{"Retry-After": {"1"}, "WWW-Authenticate": nil, "Cache-Control": {"no-store"}}
		if diff := cmp.Diff(fields, pick(got.header, "Retry-After", "WWW-Authenticate", "Cache-Control")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	e.store.fails.Store(true)
	check("the store fails")
	e.store.fails.Store(false)
	if got := e.get(key); got.status != http.StatusOK {
		t.Errorf("after that: %d %s", got.status, got.body)
	}
	e.guard.Close()
	check("no guard")
	if n := e.seen.Load(); n != 2 {
		t.Errorf("the service got %d requests", n)
	}
}

// TestAnswersOfTheService are not taken for those of the guard.
func TestAnswersOfTheService(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	status := make(chan int, 1)
	e.service = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		code := <-status
		w.WriteHeader(code)
		fmt.Fprint(w, "service ", code)
	}
	key := e.key("acme", keys.Spec{Scopes: []string{"orders:read"}}).Text.Reveal()
	for _, code := range []int{400, 401, 403, 404, 429, 500, 503} {
		status <- code
		got := e.get(key)
		if got.status != code || got.body != fmt.Sprint("service ", code) || got.header.Get("Retry-After") != "7" || len(got.header.Values("RateLimit")) != 1 {
			t.Errorf("%d: %d %s %v", code, got.status, got.body, got.header)
		}
	}
}

// TestConcurrent sends more requests at once than two organizations may, and looks
// whether any answer or field was mixed up.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.service = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Organization")) }
	const callers, requests, limit = 8, 30, 50
	var text [callers]string
	for i := range text {
		text[i] = e.key(fmt.Sprint("org-", i%2), keys.Spec{Scopes: []string{"orders:read"}, RateLimit: limit}).Text.Reveal()
	}
	var mu sync.Mutex
	count := map[string]int{}
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for range requests {
				got, err := e.send("GET", "", nil, text[i])
				if err != nil {
					t.Error(err)
					return
				}
				org := fmt.Sprint("org-", i%2)
				if got.status == http.StatusOK && got.body != org || got.status == http.StatusTooManyRequests && got.header.Get("Retry-After") == "" {
					t.Errorf("%s: %d %s %v", org, got.status, got.body, got.header)
				}
				mu.Lock()
				count[fmt.Sprint(org, " ", got.status)]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	// A bucket gets new requests while the test runs, so a few more may come in.
	for _, org := range []string{"org-0", "org-1"} {
		ok, refused := count[org+" 200"], count[org+" 429"]
		if ok < limit || refused == 0 || ok+refused != callers/2*requests {
			t.Errorf("%s: %v", org, count)
		}
	}
}
