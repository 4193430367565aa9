package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// ask asks for a token from an address.
func (e *env) ask(addr, id, secret string) answer {
	r := post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret)
	r.RemoteAddr = addr
	return e.serve(r)
}

var wrongSecret = strings.Repeat("0", 64)

// TestAddressIsThrottled has one address guess the secrets of many clients. It may fail
// as often as the limit says. A client behind the same address that succeeded before is
// not kept out, nor is anybody elsewhere.
func TestAddressIsThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, nil)
		id, secret := e.register()
		newID, newSecret := e.register()
		if got := e.ask("192.0.2.1:1", id, secret); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.text)
		}
		reads := e.faults.Calls(storetest.Get)
		for range 1000 { // what has no secret to be wrong is no failure
			r := withBasic(tokenPath, "grant_type=client_credentials", "x")
			r.RemoteAddr = "192.0.2.1:1"
			if got := e.serve(r); got.status != 401 {
				t.Fatalf("%d %s", got.status, got.text)
			}
		}
		failed := 0
		for i := range 1000 {
			switch got := e.ask("192.0.2.1:1", fmt.Sprintf("cc_%016x", i), wrongSecret); got.status {
			case 401:
				failed++
			case 429:
			default:
				t.Fatalf("%d %s", got.status, got.text)
			}
		}
		if failed != oauth.DefaultAddressFailures || e.faults.Calls(storetest.Get)-reads != failed {
			t.Errorf("%d failures, %d reads", failed, e.faults.Calls(storetest.Get)-reads)
		}
		for range 50 {
			if got := e.ask("192.0.2.1:2", id, secret); got.status != 200 {
				t.Fatalf("a client that worked before: %d %s", got.status, got.text)
			}
		}
		if got := e.ask("192.0.2.1:2", newID, newSecret); got.status != 429 {
			t.Errorf("a client that is new there: %d %s", got.status, got.text)
		}
		if got := e.ask("192.0.2.2:1", newID, newSecret); got.status != 200 {
			t.Errorf("another address: %d %s", got.status, got.text)
		}
		time.Sleep(time.Minute) // on the test's own clock
		if got := e.ask("192.0.2.1:2", newID, newSecret); got.status != 200 {
			t.Errorf("a minute later: %d %s", got.status, got.text)
		}
	})
}

// TestSuccessesAreForgotten looks at how long a success exempts, and what ends it.
func TestSuccessesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, nil)
		id, secret := e.register()
		fill := func() {
			t.Helper()
			for range oauth.DefaultFailures + 1 {
				e.ask("192.0.2.1:1", id, wrongSecret)
			}
			if got := e.ask("192.0.2.1:1", id, wrongSecret); got.status != 429 {
				t.Fatalf("%d %s", got.status, got.text)
			}
		}
		if got := e.ask("192.0.2.1:1", id, secret); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.text)
		}
		time.Sleep(time.Hour - time.Second) // on the test's own clock
		fill()
		if got := e.ask("192.0.2.1:1", id, secret); got.status != 200 {
			t.Errorf("within the hour: %d %s", got.status, got.text)
		}
		time.Sleep(time.Hour + time.Second) // on the test's own clock
		fill()
		if got := e.ask("192.0.2.1:1", id, secret); got.status != 429 {
			t.Errorf("after an hour: %d %s", got.status, got.text)
		}
		// Each success begins the hour anew, if some of it has passed.
		time.Sleep(time.Hour) // on the test's own clock
		for i := range 3 {
			if got := e.ask("192.0.2.1:1", id, secret); got.status != 200 {
				t.Fatalf("success %d: %d %s", i+1, got.status, got.text)
			}
			time.Sleep(50 * time.Minute) // on the test's own clock
			fill()
		}
		// A secret that has become wrong exempts nobody.
		if got := e.ask("192.0.2.3:1", id, secret); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.text)
		}
		if err := e.server.Delete(t.Context(), caller, id); err != nil {
			t.Fatal(err)
		}
		for i := range oauth.DefaultFailures {
			if got := e.ask("192.0.2.3:1", id, secret); got.status != 401 {
				t.Fatalf("failure %d: %d %s", i+1, got.status, got.text)
			}
		}
		if got := e.ask("192.0.2.3:1", id, secret); got.status != 429 {
			t.Errorf("a deleted client: %d %s", got.status, got.text)
		}
	})
}

// TestOrganizationsHaveABudgetOfTokens spreads tokens over many clients.
func TestOrganizationsHaveABudgetOfTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, &oauth.Options{MaxOrgTokens: 20, MaxTokens: 8})
		made := 0
		for range 10 {
			id, secret := e.register()
			for range 8 {
				switch got := e.ask("192.0.2.1:1", id, secret); got.status {
				case 200:
					made++
				case 429:
					if got.header.Get("Retry-After") == "" {
						t.Errorf("%v", got.header)
					}
				default:
					t.Fatalf("%d %s", got.status, got.text)
				}
			}
		}
		if made != 10 { // half of them at once
			t.Errorf("%d tokens", made)
		}
		other := caller
		other.Org = "globex"
		issued, err := e.server.Register(t.Context(), other, oauth.ClientSpec{})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.ask("192.0.2.1:1", issued.Record.ID, issued.Text.Reveal()); got.status != 200 {
			t.Errorf("another organization: %d %s", got.status, got.text)
		}
	})
}

// TestNetworks asks for tokens of a client that may be used from some networks.
func TestNetworks(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	networks, err := keys.ParseNetworks("192.0.2.0/24 2001:db8::/32")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.manager.Change(t.Context(), "acme", keys.KindClient, id, keys.Change{Networks: &networks}); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]int{"192.0.2.7:1": 200, "[2001:db8::7]:1": 200, "[::ffff:192.0.2.7]:1": 200} {
		if got := e.ask(addr, id, secret); got.status != want {
			t.Errorf("%s: %d %s", addr, got.status, got.text)
		}
	}
	wrong := e.ask("203.0.113.9:1", id, wrongSecret)
	for _, addr := range []string{"203.0.113.1:1", "@", ""} {
		for range 2 * oauth.DefaultFailures { // it is no failure
			got := e.ask(addr, id, secret)
			if got.status != 401 || got.text != wrong.text || got.header.Get("WWW-Authenticate") != wrong.header.Get("WWW-Authenticate") {
				t.Fatalf("%q: %d %s", addr, got.status, got.text)
			}
		}
	}
	if _, err := e.server.Authenticate(t.Context(), id, keys.NewSecret(secret), netip.Addr{}); err != oauth.ErrInvalidClient {
		t.Errorf("an address that is not known: %v", err)
	}
	if _, err := e.server.Authenticate(t.Context(), id, keys.NewSecret(secret), netip.MustParseAddr("192.0.2.1")); err != nil {
		t.Errorf("an address within: %v", err)
	}
}

// TestPausedClient pauses a client and lets it go on.
func TestPausedClient(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	askerID, askerSecret := e.register()
	token := e.token(id, secret)
	pause := func(on bool) {
		t.Helper()
		if _, err := e.manager.Change(t.Context(), "acme", keys.KindClient, id, keys.Change{Disabled: &on}); err != nil {
			t.Fatal(err)
		}
	}
	active := func() any {
		t.Helper()
		return e.form("/v1/oauth/introspect", "token="+token+"&client_id="+askerID+"&client_secret="+askerSecret).body["active"]
	}
	wrong := e.ask("192.0.2.9:1", id, wrongSecret)
	pause(true)
	if got := e.ask("192.0.2.1:1", id, secret); got.status != 401 || got.text != wrong.text {
		t.Errorf("a token: %d %s", got.status, got.text)
	}
	if _, err := e.manager.Verifier().Verify(t.Context(), token); err != keys.ErrPaused {
		t.Errorf("its token: %v", err)
	}
	if active() != false {
		t.Error("its token is active")
	}
	if got := e.manage(caller, "POST", clientsPath+"/"+id+"/rotate", ""); got.status != 409 {
		t.Errorf("a rotation: %d %s", got.status, got.text)
	}
	if got := e.manage(caller, "GET", clientsPath+"/"+id, ""); got.status != 200 || got.body["disabledAt"] == nil {
		t.Errorf("%d %s", got.status, got.text)
	}
	pause(false)
	if got := e.ask("192.0.2.1:1", id, secret); got.status != 200 || active() != true {
		t.Errorf("afterwards: %d %s", got.status, got.text)
	}
}

// TestRevokedWhileInspected revokes a token after it was looked at, and before its
// record is read for the answer.
func TestRevokedWhileInspected(t *testing.T) {
	t.Parallel()
	var e *env
	e = newEnv(t, &oauth.Options{MayInspect: func(ctx context.Context, _ keys.Record, about keys.Principal) bool {
		return e.manager.Revoke(ctx, about.Org, about.Kind, about.ID) == nil
	}})
	id, secret := e.register()
	client, err := e.server.Authenticate(t.Context(), id, keys.NewSecret(secret), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.server.Introspect(t.Context(), client, keys.NewSecret(e.token(id, secret))); got.Active || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestMayInspect has the host decide who may ask about what.
func TestMayInspect(t *testing.T) {
	t.Parallel()
	uses := &noUses{}
	noted, err := keys.NewUses(uses, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := newEnvWith(t, &keys.Options{Uses: noted}, &oauth.Options{
		MayInspect: func(_ context.Context, client keys.Record, about keys.Principal) bool {
			return client.Label == "gateway" && about.Org != "secret"
		},
	})
	gateway, err := e.server.Register(t.Context(), keys.Principal{Org: "infra", ID: "x", RateLimit: 1}, oauth.ClientSpec{Name: "gateway"})
	if err != nil {
		t.Fatal(err)
	}
	id, secret := e.register()
	token := e.token(id, secret)
	key, err1 := e.manager.Create(t.Context(), "acme", keys.Spec{Lifetime: time.Hour})
	forever, err2 := e.manager.Create(t.Context(), "acme", keys.Spec{})
	hidden, err3 := e.manager.Create(t.Context(), "secret", keys.Spec{})
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	inspect := func(id, secret, token string) map[string]any {
		t.Helper()
		got := e.form("/v1/oauth/introspect", "token="+token+"&client_id="+id+"&client_secret="+secret)
		if got.status != 200 {
			t.Fatalf("%d %s", got.status, got.text)
		}
		return got.body
	}
	g, gs := gateway.Record.ID, gateway.Text.Reveal()
	if err := noted.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token   string
		members []string
	}{
		"a token":             {token, []string{"active", "client_id", "exp", "iat", "iss", "scope", "sub", "token_type"}},
		"a key":               {key.Text.Reveal(), []string{"active", "exp", "iat", "iss", "scope", "sub", "token_type"}},
		"a key without end":   {forever.Text.Reveal(), []string{"active", "iat", "iss", "scope", "sub", "token_type"}},
		"what it may not see": {hidden.Text.Reveal(), []string{"active"}},
		"junk":                {"junk", []string{"active"}},
	} {
		got := inspect(g, gs, tt.token)
		var members []string
		for name := range got {
			members = append(members, name)
		}
		slices.Sort(members)
		if !slices.Equal(members, tt.members) || got["active"] != (len(members) > 1) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := inspect(id, secret, token); got["active"] != false {
		t.Errorf("another client: %v", got)
	}
	if err := noted.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, used := range []string{key.Record.ID, forever.Record.ID, token[:30]} {
		if slices.Contains(uses.ids, used) {
			t.Errorf("to be asked about is a use of %s", used)
		}
	}
	if !slices.Contains(uses.ids, g) {
		t.Error("the gateway's own use was not noted")
	}
}

// noUses is a UseStore that remembers IDs.
type noUses struct{ ids []string }

func (u *noUses) NoteUses(_ context.Context, uses map[string]time.Time) error {
	for id := range uses {
		u.ids = append(u.ids, id)
	}
	return nil
}

func (u *noUses) LastUses(context.Context, []string) (map[string]time.Time, error) { return nil, nil }

// TestMediaTypeLabels sends what clients send by default.
func TestMediaTypeLabels(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	form := "grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret
	object := fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q}`, id, secret)
	for _, tt := range []struct {
		mediaType, body string
		status          int
	}{
		{formType + "; charset=ISO-8859-1", form, 200},
		{formType + "; charset=ISO-8859-1", form + "&x=\xe9", 400},
		{formType + ";charset=utf-8", form + "&x=é", 200},
		{"Application/X-WWW-Form-URLEncoded; charset=windows-1252", form, 200},
		{jsonType + ";odata=verbose", object, 200},
		{jsonType + "; charset=us-ascii", object, 200},
		{jsonType + "; charset=utf-16", object, 200},
		{"application/x-www-form-urlencoded; charset", form, 400},
		{"text/plain", form, 400},
		{"multipart/form-data; boundary=x", form, 400},
	} {
		if got := e.serve(post(tokenPath, tt.mediaType, tt.body)); got.status != tt.status {
			t.Errorf("%s: %d %s", tt.mediaType, got.status, got.text)
		}
	}
}

// TestHangUps has clients hang up while the store is asked. That is not reported as a
// failure of the store.
func TestHangUps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, nil)
		id, secret := e.register()
		for name, r := range map[string]*http.Request{
			"token": post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret),
			"manage": func() *http.Request {
				r := httptest.NewRequest("GET", clientsPath, nil)
				return r.WithContext(keys.NewContext(r.Context(), caller))
			}(),
		} {
			release := e.faults.Block(storetest.Get)
			releaseList := e.faults.Block(storetest.List)
			ctx, hangUp := context.WithCancel(r.Context())
			got := make(chan answer, 1)
			go func() { got <- e.serve(r.WithContext(ctx)) }()
			synctest.Wait()
			hangUp()
			if a := <-got; a.status != 499 {
				t.Errorf("%s: %d %s", name, a.status, a.text)
			}
			release()
			releaseList()
		}
		if log := e.log.String(); strings.Contains(log, "level=ERROR") {
			t.Errorf("logged %s", log)
		}
	})
}

// TestEvents checks what the hook is told of each request.
func TestEvents(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	var events []keys.Event
	var from netip.Addr
	h, err := oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{
		Path: "/v1/oauth", Failures: 3, Hook: func(ctx context.Context, e keys.Event) {
			events, from = append(events, e), keys.AddressFromContext(ctx)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.mux = http.NewServeMux()
	h.Register(e.mux)
	for _, tt := range []struct {
		name, id, secret string
		fault            error
		want             keys.Event
	}{
		{"accepted", id, secret, nil, keys.Event{Type: keys.Accepted, Org: "acme", ID: id, Kind: keys.KindClient}},
		{"wrong", id, wrongSecret, nil, keys.Event{Type: keys.Refused, ID: id, Reason: keys.ReasonMismatch}},
		{"junk", "a\x00b", wrongSecret, nil, keys.Event{Type: keys.Refused, Reason: keys.ReasonMismatch}},
		{"down", "cc_0000000000000001", secret, context.DeadlineExceeded, keys.Event{Type: keys.Refused, ID: "cc_0000000000000001", Reason: keys.ReasonUnavailable}},
	} {
		events = nil
		if tt.fault != nil {
			e.faults.Fail(storetest.Get, 1, tt.fault)
		}
		e.ask("192.0.2.1:1", tt.id, tt.secret)
		if len(events) != 1 {
			t.Fatalf("%s: %+v", tt.name, events)
		}
		got := events[0]
		if (got.Err != nil) != (tt.fault != nil) || got.Time.IsZero() {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if got.Type == keys.Refused && from != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("%s: refused to %v", tt.name, from)
		}
		got.Err, got.Time = nil, time.Time{}
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	// A client whose secret is right is accepted, whatever it asks for.
	events = nil
	e.form(tokenPath, "grant_type=client_credentials&scope=none&client_id="+id+"&client_secret="+secret)
	if len(events) != 1 || events[0].Type != keys.Accepted || events[0].ID != id {
		t.Errorf("a scope that it lacks: %+v", events)
	}
	networks, err := keys.ParseNetworks("203.0.113.0/24")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.manager.Change(t.Context(), "acme", keys.KindClient, id, keys.Change{Networks: &networks}); err != nil {
		t.Fatal(err)
	}
	events = nil
	if e.ask("192.0.2.2:1", id, secret); len(events) != 1 || events[0].Type != keys.Refused || events[0].Reason != keys.ReasonNetwork || events[0].ID != id {
		t.Errorf("outside of its networks: %+v", events)
	}
	for range 4 {
		e.ask("192.0.2.1:1", id, wrongSecret)
	}
	if got := events[len(events)-1]; got.Reason != keys.ReasonLimit || got.ID != id {
		t.Errorf("over the limit: %+v", got)
	}
}

// TestAnswersShareNoMemory writes to the fields of one answer, as a host's
// middleware may, and looks at the next one.
func TestAnswersShareNoMemory(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	for name, send := range map[string]func() answer{
		"token":   func() answer { return e.ask("192.0.2.1:1", id, secret) },
		"refusal": func() answer { return e.ask("192.0.2.1:1", "cc_0000000000000000", secret) },
		"metadata": func() answer {
			return e.serve(httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
		},
		"list":     func() answer { return e.manage(caller, "GET", clientsPath, "") },
		"deletion": func() answer { return e.manage(caller, "DELETE", clientsPath+"/"+id, "") },
	} {
		first := send()
		want := first.header.Clone()
		for _, values := range first.header {
			_ = append(values, "public")
		}
		if diff := cmp.Diff(want, first.header); diff != "" {
			t.Errorf("%s: a value added to one field is in another one: %s", name, diff)
		}
		for _, values := range first.header {
			for i := range values {
				values[i] = "public"
			}
		}
		if second := send(); name != "deletion" && second.header.Get("Cache-Control") != want.Get("Cache-Control") {
			t.Errorf("%s: %v, want %v", name, second.header, want)
		}
	}
}

// TestMetadataMembers adds members to the metadata of the server.
func TestMetadataMembers(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	h, err := oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{
		Metadata: map[string]any{"authorization_endpoint": "https://auth.example.com/none", "issuer": "https://evil.example", "code_challenge_methods_supported": []string{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.mux = http.NewServeMux()
	h.Register(e.mux)
	got := e.serve(httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
	if got.body["issuer"] != "https://auth.example.com" || got.body["authorization_endpoint"] != "https://auth.example.com/none" || len(got.body) != 12 {
		t.Errorf("%s", got.text)
	}
	own := map[string]any{"issuer": "https://evil.example"}
	if h, err = oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{Metadata: own}); err != nil {
		t.Fatal(err)
	}
	e.mux = http.NewServeMux()
	h.Register(e.mux)
	if got := e.serve(httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil)); got.body["issuer"] != "https://auth.example.com" || len(own) != 1 {
		t.Errorf("a member that the server has alone: %s, and the host's own members %v", got.text, own)
	}
	if _, err := oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{Metadata: map[string]any{"x": func() {}}}); err == nil {
		t.Error("a member that is no JSON: no error")
	}
}

// TestRegisterClientsNeedsProtection registers routes with nothing in front.
func TestRegisterClientsNeedsProtection(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	newEnv(t, nil).handler.RegisterClients(http.NewServeMux(), nil)
}

// TestBodiesTakeNoMemoryOnTheirWord announces long bodies that do not come, which must
// not take memory.
func TestBodiesTakeNoMemoryOnTheirWord(t *testing.T) {
	e := newEnv(t, nil)
	const runs = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		r := post(tokenPath, formType, "grant_type=client_credentials")
		r.ContentLength = 64 << 10
		e.handler.Token(httptest.NewRecorder(), r)
	}
	runtime.ReadMemStats(&after)
	r := post(tokenPath, formType, "grant_type=client_credentials")
	r.ContentLength = 64<<10 + 1 // it is not waited for
	if got := e.serve(r); got.status != 413 {
		t.Errorf("a body that is announced as too long: %d %s", got.status, got.text)
	}
	if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 32<<10 {
		t.Errorf("%d bytes for a body of 29", n)
	}
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
