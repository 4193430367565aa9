package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMe(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	issued := e.key(0, webhooksManage)
	got := e.do("GET", "/api/v1/partner/me", issued.Text.Reveal(), "")
	want := map[string]any{
		"partner_org": "acme", "key_id": issued.Record.ID, "scopes": []any{"identity:read", "webhooks:manage"},
		"rate_limit_per_minute": 600.0, "rate_limit_remaining": 599.0,
	}
	if diff := cmp.Diff(want, got.body); got.status != 200 || diff != "" {
		t.Errorf("status %d\n%s", got.status, diff)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "RateLimit-Policy": `"default";q=600;w=60`, "RateLimit": `"default";r=599;t=1`,
	} {
		if got := got.header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestRoutes calls every route with every kind of caller, so that a route that
// is added without protection, or with the wrong one, fails here.
func TestRoutes(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	bare := e.key(0).Text.Reveal()
	for _, r := range e.routes() {
		path := strings.ReplaceAll(r.Path, "{id}", "unknown")
		callers := []struct {
			name, credential string
			allowed          bool
			status           int
		}{
			{"nobody", "", r.scope == public, 401},
			{"junk", "vck_live_junk.junk", r.scope == public, 401},
			{"a key without scopes", bare, slices.Contains([]string{public, anybody, identityRead}, r.scope), 403},
			{"another organization", e.bootstrap("globex"), true, 0},
			{"the right key", e.admin, true, 0},
		}
		for _, caller := range callers {
			got := e.do(r.Method, path, caller.credential, "")
			refused := got.status == 401 || got.status == 403
			switch {
			case caller.allowed && refused:
				t.Errorf("%s %s by %s: %d", r.Method, r.Path, caller.name, got.status)
			case !caller.allowed && got.status != caller.status:
				t.Errorf("%s %s by %s: %d, want %d", r.Method, r.Path, caller.name, got.status, caller.status)
			case !caller.allowed && !strings.HasPrefix(got.header.Get("WWW-Authenticate"), `Bearer realm="partner"`):
				t.Errorf("%s %s by %s: challenge %q", r.Method, r.Path, caller.name, got.header.Get("WWW-Authenticate"))
			}
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	methods := map[string][]string{}
	for _, r := range e.routes() {
		methods[r.Path] = append(methods[r.Path], r.Method)
	}
	for path, known := range methods {
		if slices.Contains(known, "GET") {
			known = append(known, "HEAD")
		}
		slices.Sort(known)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			if slices.Contains(known, method) {
				continue
			}
			got := e.do(method, strings.ReplaceAll(path, "{id}", "x"), "", "")
			if got.status != 405 || got.header.Get("Allow") != strings.Join(known, ", ") || got.header.Get("WWW-Authenticate") != "" {
				t.Errorf("%s %s: %d, Allow %q", method, path, got.status, got.header.Get("Allow"))
			}
			if method != "HEAD" && got.body["error"] != "method_not_allowed" {
				t.Errorf("%s %s: %s", method, path, got.text)
			}
		}
	}
	for _, path := range []string{"/", "/v1", "/v1/keys/a/b", "/api/v1/partner/me/", "/.env"} {
		if got := e.do("GET", path, e.admin, ""); got.status != 404 || got.body["error"] != "not_found" {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
}

func TestReservedScopes(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for name := range catalog.Reserved().All() {
		got := e.do("POST", "/v1/keys", e.admin, fmt.Sprintf(`{"scopes":["webhooks:manage",%q]}`, name))
		want := map[string]any{
			"error": "invalid_scope", "error_description": got.body["error_description"], "reserved": []any{name}, "unknown": []any{},
		}
		if diff := cmp.Diff(want, got.body); got.status != 422 || diff != "" {
			t.Errorf("%s: %d\n%s", name, got.status, diff)
		}
	}
	if n := catalog.Reserved().Len(); n != 11 {
		t.Errorf("%d reserved scopes", n)
	}
}

func TestKeyLife(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	created := e.do("POST", "/v1/keys", e.admin, `{"label":"CI","scopes":["webhooks:manage"],"environment":"test","expires_in":3600,"rate_limit_per_minute":100}`)
	key, _ := created.body["key"].(string)
	id, _ := created.body["key_id"].(string)
	if created.status != 201 || !strings.HasPrefix(key, "vck_test_") || !strings.HasPrefix(key, id+".") {
		t.Fatalf("%d %s", created.status, created.text)
	}
	if got := e.do("GET", "/api/v1/partner/me", key, ""); got.status != 200 || got.body["rate_limit_per_minute"] != 100.0 {
		t.Errorf("%d %s", got.status, got.text)
	}
	// One that manages webhooks alone can neither make keys nor widen itself.
	if got := e.do("POST", "/v1/keys", key, ""); got.status != 403 || !strings.Contains(got.header.Get("WWW-Authenticate"), `scope="keys:manage"`) {
		t.Errorf("%d %v", got.status, got.header)
	}
	rotated := e.do("POST", "/v1/keys/"+id+"/rotate", e.admin, "")
	next, _ := rotated.body["key"].(string)
	for _, k := range []string{key, next} {
		if got := e.do("GET", "/api/v1/partner/me", k, ""); got.status != 200 {
			t.Errorf("during the cutover: %d %s", got.status, got.text)
		}
	}
	// Each of the two sees the other one, and when that was last used.
	for other, got := range map[string]response{
		"replaced_by": e.do("GET", "/api/v1/partner/me", key, ""), "replaces": e.do("GET", "/api/v1/partner/me", next, ""),
	} {
		want := map[string]string{"replaces": id, "replaced_by": rotated.body["key_id"].(string)}[other]
		if got.body[other] != want || got.body[other+"_last_used_at"] == nil {
			t.Errorf("%s: %s", other, got.text)
		}
	}
	if got := e.do("GET", "/v1/keys/"+id, e.admin, ""); got.body["replaced_by_last_used_at"] == nil || got.body["replaces_last_used_at"] != nil {
		t.Errorf("%s", got.text)
	}
	if log := e.log.String(); strings.Count(log, "credential used_replaced") != 1 {
		t.Errorf("the log does not say once that a replaced key is used:\n%s", log)
	}
	for range 2 {
		if got := e.do("DELETE", "/v1/keys/"+id, e.admin, ""); got.status != 204 || got.text != "" {
			t.Errorf("revoke: %d %s", got.status, got.text)
		}
	}
	if got := e.do("GET", "/api/v1/partner/me", key, ""); got.status != 401 || got.body["error"] != "invalid_token" {
		t.Errorf("revoked: %d %s", got.status, got.text)
	}
	if log := e.log.String(); !strings.Contains(log, `level=WARN msg="credential used_ended"`) || !strings.Contains(log, "replaced_by="+rotated.body["key_id"].(string)) {
		t.Errorf("no alarm for a key that is used after its end:\n%s", log)
	}
	if got := e.do("GET", "/v1/keys/"+id, e.admin, ""); got.status != 200 || got.body["revoked_at"] == nil || got.body["key"] != nil {
		t.Errorf("a revoked key by its ID: %d %s", got.status, got.text)
	}
	for _, path := range []string{"/v1/keys/" + id, "/v1/keys/vck_live_0000000000000000000000", "/v1/keys/x"} {
		theirs := e.do("GET", path, e.bootstrap("globex"), "")
		if theirs.status != 404 || theirs.text != e.do("GET", "/v1/keys/nothing", e.admin, "").text {
			t.Errorf("%s for another organization: %d %s", path, theirs.status, theirs.text)
		}
	}
}

// TestBurst sends one request more than the minute's quota, with two keys of
// one organization in turn.
func TestBurst(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.key(600).Text.Reveal(), e.key(600).Text.Reveal()
	admitted := 0
	for i := range 1000 {
		got := e.do("GET", "/v1/chain", [2]string{a, b}[i%2], "")
		if got.status == 429 {
			if got.header.Get("Retry-After") != "1" || got.body["error"] != "rate_limit_exceeded" || got.header.Get("RateLimit") == "" {
				t.Errorf("%v %s", got.header, got.text)
			}
			break
		}
		if got.status != 200 || got.body["companyId"] != "acme" {
			t.Fatalf("%d %s", got.status, got.text)
		}
		admitted++
	}
	// The bucket wins back ten requests a second while the test runs.
	if admitted < 600 || admitted == 1000 {
		t.Errorf("admitted %d requests, want 600 and what came back meanwhile", admitted)
	}
	if got := e.do("GET", "/v1/chain", e.bootstrap("globex"), ""); got.status != 200 {
		t.Errorf("another organization: %d", got.status)
	}
}

// TestRevokeUnderLoad revokes a key that several clients use. No request that
// is sent after the answer may pass.
func TestRevokeUnderLoad(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	issued := e.key(600)
	text := issued.Text.Reveal()
	revoked := make(chan struct{})
	started := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 140 {
				over := false
				select {
				case <-revoked:
					over = true
				default:
				}
				got := e.do("GET", "/v1/chain", text, "")
				if over {
					if got.status != 401 {
						t.Errorf("after the answer: %d", got.status)
					}
					return
				}
				if got.status != 200 && got.status != 401 {
					t.Errorf("meanwhile: %d %s", got.status, got.text)
				}
				if i == 0 {
					started <- struct{}{}
				}
			}
			<-revoked
		})
	}
	for range 4 {
		<-started
	}
	if got := e.do("DELETE", "/v1/keys/"+issued.Record.ID, e.admin, ""); got.status != 204 {
		t.Errorf("%d %s", got.status, got.text)
	}
	close(revoked)
	wg.Wait()
}

// TestNothingLeaks looks for every secret that was issued in the log and in
// every answer but the one that issued it.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	secrets := []string{e.admin}
	var answers strings.Builder
	note := func(r response) {
		text, err := json.Marshal(r.header)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&answers, r.text, string(text))
	}
	for _, body := range []string{`{"label":"a"}`, `{"label":"b","scopes":["webhooks:manage"]}`} {
		created := e.do("POST", "/v1/keys", e.admin, body)
		rotated := e.do("POST", "/v1/keys/"+created.body["key_id"].(string)+"/rotate", e.admin, "")
		hook := e.do("POST", "/api/v1/partner/webhooks", e.admin, `{"url":"https://example.com/"}`)
		secrets = append(secrets, created.body["key"].(string), rotated.body["key"].(string), hook.body["secret"].(string))
	}
	for _, secret := range slices.Clone(secrets) {
		note(e.do("GET", "/api/v1/partner/me", secret, ""))
		note(e.do("GET", "/api/v1/partner/me", secret+"x", ""))
		note(e.do("GET", "/v1/keys?cursor="+secret, e.admin, ""))
		note(e.do("GET", "/v1/keys/"+secret, e.admin, ""))
		note(e.do("POST", "/v1/keys", e.admin, `{"label":"`+secret+`\ud800"}`))
	}
	note(e.do("GET", "/v1/keys?include=revoked", e.admin, ""))
	note(e.do("GET", "/api/v1/partner/webhooks", e.admin, ""))
	log := e.log.String()
	if !strings.Contains(log, "credential=vck_live_") || !strings.Contains(log, "org=acme") || !strings.Contains(log, "refused=malformed") {
		t.Errorf("the log does not say who called:\n%s", log)
	}
	for _, secret := range secrets {
		if _, half, ok := strings.Cut(secret, "."); ok {
			secret = half
		}
		if strings.Contains(answers.String(), secret) {
			t.Errorf("an answer holds the secret %s…", secret[:6])
		}
		if strings.Contains(log, secret) {
			t.Errorf("the log holds the secret %s…", secret[:6])
		}
	}
}

func TestCatalogMatchesTheRoutes(t *testing.T) {
	t.Parallel()
	for _, r := range newEnv(t).routes() {
		if r.scope != public && r.scope != anybody && !catalog.Grantable().Contains(r.scope) {
			t.Errorf("%s %s needs %q, which nobody can have", r.Method, r.Path, r.scope)
		}
	}
}
