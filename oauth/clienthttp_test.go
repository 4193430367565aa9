package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

func TestCreateClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for body, want := range map[string]map[string]any{
		"":                               {},
		"{}":                             {},
		`{"name":"CI"}`:                  {"name": "CI"},
		`{"scopes":[]}`:                  {"scopes": []any{"identity:read"}},
		`{"scopes":["webhooks:manage"]}`: {"scopes": []any{"identity:read", "webhooks:manage"}},
	} {
		got := env.manage(caller, "POST", clientsPath, body)
		id, _ := got.body["clientId"].(string)
		secret, _ := got.body["clientSecret"].(string)
		want["clientId"], want["clientSecret"], want["companyId"], want["createdAt"] = id, secret, "acme", got.body["createdAt"]
		if diff := cmp.Diff(want, got.body); got.status != 201 || diff != "" || len(id) != 19 || !strings.HasPrefix(id, "cc_") || len(secret) != 64 {
			t.Errorf("%s: %d %s\n%s", body, got.status, got.text, diff)
			continue
		}
		if created, _ := got.body["createdAt"].(string); len(created) != len("2026-01-01T00:00:00.000Z") || !strings.HasSuffix(created, "Z") {
			t.Errorf("created at %q", created)
		}
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Location") != clientsPath+"/"+id {
			t.Errorf("header %v", got.header)
		}
		if _, err := env.grant(id, secret, ""); err != nil {
			t.Error(err)
		}
	}
	for body, want := range map[string]int{
		`{"scopes":["keys:manage"]}`: 403, `{"scopes":["leads:read"]}`: 422, `{"scopes":["nope"]}`: 422, `{"scopes":"webhooks:manage"}`: 400,
		`{"companyId":"globex"}`: 400, `{"clientId":"cc_0000000000000000"}`: 400, `{"clientSecret":"x"}`: 400, `{"name":1}`: 400, `{"name":null}`: 400,
		`[]`: 400, `{"name":"` + strings.Repeat("a", 257) + `"}`: 422, `{"name":"a","name":"b"}`: 400,
	} {
		if got := env.manage(caller, "POST", clientsPath, body); got.status != want || got.body["clientSecret"] != nil {
			t.Errorf("%s: %d %s", body, got.status, got.text)
		}
	}
}

// The Location of a new client is a path that a request can have.
func TestLocationIsEscaped(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	h, err := oauth.NewHandler(env.server, "https://auth.example.com", &oauth.HandlerOptions{Path: "/a%20b"})
	if err != nil {
		t.Fatal(err)
	}
	env.mux = http.NewServeMux()
	h.RegisterClients(env.mux, public)
	got := env.manage(caller, "POST", "/a%20b/clients", "")
	if at := got.header.Get("Location"); got.status != 201 || !strings.HasPrefix(at, "/a%20b/clients/cc_") {
		t.Fatalf("%d at %q", got.status, at)
	}
	if got := env.manage(caller, "GET", got.header.Get("Location"), ""); got.status != 200 {
		t.Errorf("%d %s", got.status, got.text)
	}
}

// A muteFeed is a feed that cannot say how long others may go without asking.
type muteFeed struct{ keys.Feed }

func (muteFeed) LongestLease(context.Context) (time.Duration, error) {
	return 0, errors.New("connection reset")
}

// behindMuteFeed serves the management of clients by a manager over a store that does not
// say how long caches are used.
func (e *env) behindMuteFeed(s keys.Store) {
	e.t.Helper()
	manager, err := keys.NewManager(struct {
		keys.Store
		keys.Feed
	}{s, muteFeed{}}, &keys.Options{Catalog: catalog})
	if err != nil {
		e.t.Fatal(err)
	}
	if e.server, err = oauth.NewServer(manager, nil); err != nil {
		e.t.Fatal(err)
	}
	h, err := oauth.NewHandler(e.server, "https://auth.example.com", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	e.mux = http.NewServeMux()
	h.RegisterClients(e.mux, public)
}

// An interrupted store does something when its first Update is done.
type interrupted struct {
	keys.Store
	then func()
}

func (i *interrupted) Update(ctx context.Context, r keys.Record) error {
	err := i.Store.Update(ctx, r)
	if then := i.then; then != nil {
		i.then = nil
		then()
	}
	return err
}

// A rotation that was taken back has no secret to hand out, whatever else went wrong.
func TestRotationTakenBackAndUnsettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id, secret := env.register()
		maker, err := env.manager.Create(t.Context(), "acme", keys.Spec{Scopes: []string{"webhooks:manage"}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := env.manager.Verifier().VerifyAt(t.Context(), maker.Text.Reveal(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		manager := env.manager
		env.behindMuteFeed(&interrupted{Store: env.faults, then: func() {
			if err := manager.Revoke(t.Context(), "acme", keys.KindKey, maker.Record.ID); err != nil {
				t.Error(err)
			}
		}})
		r := post("/oauth/clients/"+id+"/rotate", jsonType, `{"overlap":0}`)
		got := env.serve(r.WithContext(keys.NewContext(t.Context(), p)))
		if got.status != 401 || got.body["clientSecret"] != nil {
			t.Errorf("%d %s", got.status, got.text)
		}
		if _, err := manager.Verifier().VerifyClient(t.Context(), id, secret, time.Now()); err != nil {
			t.Errorf("the old secret: %v", err)
		}
	})
}

// A new secret can be had once. So it is handed out also if the time of the request
// ends before the old one has ended everywhere.
func TestRotationOutOfTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id, _ := env.register()
		env.behindMuteFeed(env.faults)
		ctx, cancel := context.WithTimeout(keys.NewContext(t.Context(), caller), time.Second)
		defer cancel()
		r := post("/oauth/clients/"+id+"/rotate", jsonType, `{"overlap":0}`).WithContext(ctx)
		got := env.serve(r)
		secret, _ := got.body["clientSecret"].(string)
		if got.status != 200 || secret == "" {
			t.Fatalf("%d %s", got.status, got.text)
		}
		if _, err := env.grant(id, secret, ""); err != nil {
			t.Error(err)
		}
	})
}

func TestListClients(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	if got := env.manage(caller, "GET", clientsPath, ""); got.text != `{"clients":[]}`+"\n" {
		t.Errorf("none: %s", got.text)
	}
	ids := make(map[string]bool)
	var secrets []string
	for range 5 {
		id, secret := env.register()
		ids[id] = true
		secrets = append(secrets, secret)
	}
	deleted, _ := env.register()
	if err := env.server.Delete(t.Context(), caller, deleted); err != nil {
		t.Fatal(err)
	}
	path := clientsPath + "?limit=2"
	for pages := 1; ; pages++ {
		reads := env.faults.Calls(storetest.List)
		got := env.manage(caller, "GET", path, "")
		if n := env.faults.Calls(storetest.List) - reads; n != 1 {
			t.Errorf("page %d reads the store %d times", pages, n)
		}
		for _, item := range got.body["clients"].([]any) {
			c := item.(map[string]any)
			id := c["clientId"].(string)
			if len(c) != 2 || c["createdAt"] == nil || !ids[id] {
				t.Errorf("item %v", c)
			}
			delete(ids, id)
		}
		for _, secret := range secrets {
			if strings.Contains(got.text, secret) {
				t.Error("the list shows a secret")
			}
		}
		cursor, more := got.body["next_cursor"].(string)
		if !more {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		path = clientsPath + "?limit=2&cursor=" + cursor
	}
	if len(ids) != 0 {
		t.Errorf("missing %v", ids)
	}
	for query, want := range map[string]int{"?limit=0": 422, "?limit=201": 422, "?limit=x": 422, "?cursor=x": 422, "?limit=1&limit=1": 400, "?other=1": 400, "?include=revoked": 400} {
		if got := env.manage(caller, "GET", clientsPath+query, ""); got.status != want {
			t.Errorf("%s: %d %s", query, got.status, got.text)
		}
	}
}

func TestClientsOfOthers(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	token := env.token(id, secret)
	stranger := keys.Principal{Org: "globex", Scopes: caller.Scopes, RateLimit: 600}
	want := env.manage(stranger, "GET", clientsPath+"/cc_0000000000000000", "")
	if want.status != 404 || want.body["error"] != "not_found" {
		t.Fatalf("%d %s", want.status, want.text)
	}
	key, err := env.manager.Create(t.Context(), "globex", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{id, "x", "%00", token[:30], key.Record.ID} {
		for _, route := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/rotate"}} {
			got := env.manage(stranger, route[0], clientsPath+"/"+id+route[1], "")
			if diff := cmp.Diff(want.header, got.header); got.status != 404 || got.text != want.text || diff != "" {
				t.Errorf("%s %s%s: %d %s\n%s", route[0], id, route[1], got.status, got.text, diff)
			}
		}
	}
	if got := env.manage(stranger, "GET", clientsPath, ""); got.text != `{"clients":[]}`+"\n" {
		t.Errorf("list: %s", got.text)
	}
	if _, err := env.grant(id, secret, ""); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestOneClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	path := clientsPath + "/" + id
	got := env.manage(caller, "GET", path, "")
	want := map[string]any{"clientId": id, "companyId": "acme", "scopes": []any{"identity:read", "webhooks:manage"}, "createdAt": got.body["createdAt"], "createdBy": "host:session"}
	if diff := cmp.Diff(want, got.body); got.status != 200 || diff != "" {
		t.Errorf("%d %s\n%s", got.status, got.text, diff)
	}
	rotated := env.manage(caller, "POST", path+"/rotate", "")
	second, _ := rotated.body["clientSecret"].(string)
	if rotated.status != 200 || rotated.body["clientId"] != id || len(second) != 64 || rotated.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", rotated.status, rotated.text)
	}
	if rec, err := env.manager.Find(t.Context(), id); err != nil || rec.PreviousExpiresAt.Sub(rec.CreatedAt) < 24*time.Hour {
		t.Errorf("the old secret ends at %v, %v", rec.PreviousExpiresAt, err)
	}
	if got := env.manage(caller, "GET", path, ""); got.body["expiresAt"] != nil {
		t.Errorf("the client seems to end: %s", got.text)
	}
	for _, s := range []string{secret, second} {
		if _, err := env.grant(id, s, ""); err != nil {
			t.Errorf("during the overlap: %v", err)
		}
	}
	third, _ := env.manage(caller, "POST", path+"/rotate", `{"overlap":0}`).body["clientSecret"].(string)
	for s, want := range map[string]error{secret: oauth.ErrInvalidClient, second: oauth.ErrInvalidClient, third: nil} {
		if _, err := env.grant(id, s, ""); err != want {
			t.Errorf("without an overlap: %v, want %v", err, want)
		}
	}
	for body, want := range map[string]int{
		`{"overlap":-1}`: 422, `{"overlap":315360001}`: 422, `{"overlap":1.5}`: 422, `{"overlap":"1"}`: 400, `{"secret":"x"}`: 400, `{"overlap":315360000}`: 200,
	} {
		if got := env.manage(caller, "POST", path+"/rotate", body); got.status != want {
			t.Errorf("%s: %d %s", body, got.status, got.text)
		}
	}
	poor := keys.Principal{Org: "acme", Scopes: scopes.MustParse("identity:read"), RateLimit: 600}
	if got := env.manage(poor, "POST", path+"/rotate", ""); got.status != 403 || got.body["error"] != "insufficient_scope" {
		t.Errorf("by somebody with less: %d %s", got.status, got.text)
	}
	for range 2 {
		if got := env.manage(caller, "DELETE", path, ""); got.status != 204 || got.text != "" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("delete: %d %s", got.status, got.text)
		}
	}
	for _, route := range [][2]string{{"GET", ""}, {"POST", "/rotate"}} {
		if got := env.manage(caller, route[0], path+route[1], ""); got.status != 404 {
			t.Errorf("%s after that: %d %s", route[0], got.status, got.text)
		}
	}
}

// TestClientWithoutScopes has no scopes that are always granted. The answers must say that
// the client has none: without the member, nobody could tell.
func TestClientWithoutScopes(t *testing.T) {
	t.Parallel()
	e := newEnvWith(t, &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "orders:read"})}, nil)
	created := e.manage(caller, "POST", clientsPath, `{"scopes":[]}`)
	id, _ := created.body["clientId"].(string)
	for name, got := range map[string]answer{"made": created, "shown": e.manage(caller, "GET", clientsPath+"/"+id, "")} {
		if list, ok := got.body["scopes"].([]any); !ok || len(list) != 0 {
			t.Errorf("%s: %s", name, got.text)
		}
	}
	if _, err := e.grant(id, created.body["clientSecret"].(string), "orders:read"); err != oauth.ErrInvalidScope {
		t.Errorf("a token with a scope: %v", err)
	}
	if got := e.manage(caller, "POST", clientsPath, ""); got.status != 201 || got.body["scopes"] != nil {
		t.Errorf("made without a word on scopes: %s", got.text)
	}
}

func TestClientsNeedAPrincipal(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, _ := env.register()
	for _, route := range clientRoutes(env, id) {
		r := httptest.NewRequest(route[0], route[1], nil)
		for name, got := range map[string]answer{"no principal": env.serve(r), "no organization": env.manage(keys.Principal{ID: "x"}, route[0], route[1], "")} {
			if got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %s: %d %s", route, name, got.status, got.text)
			}
		}
	}
}

func TestClientsWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, _ := env.register()
	for _, m := range []storetest.Method{storetest.Get, storetest.List, storetest.Insert, storetest.Update} {
		env.faults.Fail(m, storetest.Always, errors.New("down"))
	}
	for _, route := range clientRoutes(env, id) {
		got := env.manage(caller, route[0], route[1], "")
		if got.status != 503 || got.body["error"] != "temporarily_unavailable" || got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d %s", route, got.status, got.text)
		}
	}
}

// clientRoutes returns the method and the path of each route by which clients are
// managed, for the client with an ID.
func clientRoutes(env *env, id string) (routes [][2]string) {
	var patterns recorder
	env.handler.RegisterClients(&patterns, public)
	for _, pattern := range patterns {
		method, path, _ := strings.Cut(pattern, " ")
		routes = append(routes, [2]string{method, strings.ReplaceAll(path, "{id}", id)})
	}
	return routes
}

// TestDeleteWithDescendants deletes a client together with what it made.
func TestDeleteWithDescendants(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		query   string
		status  int
		revoked bool
	}{{"", 204, false}, {"?descendants=false", 204, false}, {"?descendants=true", 204, true}, {"?descendants=1", 422, false}, {"?x=1", 400, false}} {
		e := newEnv(t, nil)
		id, secret := e.register()
		p, err := e.manager.Verifier().Verify(t.Context(), e.token(id, secret))
		if err != nil {
			t.Fatal(err)
		}
		child, err := e.manager.As(p).Create(t.Context(), keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.manage(caller, "DELETE", clientsPath+"/"+id+tt.query, ""); got.status != tt.status {
			t.Errorf("%s: %d %s", tt.query, got.status, got.text)
		}
		rec, err := e.manager.Find(t.Context(), child.Record.ID)
		if err != nil || rec.Revoked() != tt.revoked {
			t.Errorf("%s: revoked %t, %v", tt.query, rec.Revoked(), err)
		}
	}
}
