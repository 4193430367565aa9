package oauth_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestNarrowingAndDeletingAClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	text := env.token(id, secret)
	verify := func() (keys.Principal, error) { return env.manager.Verifier().Verify(t.Context(), text) }
	if p, err := verify(); err != nil || !p.Scopes.Contains("webhooks:manage") {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Scopes: new([]string{})}); err != nil {
		t.Fatal(err)
	}
	if p, err := verify(); err != nil || p.Scopes.String() != "identity:read" {
		t.Errorf("after the client was narrowed: %+v, %v", p, err)
	}
	if _, err := env.grant(id, secret, "webhooks:manage"); err != oauth.ErrInvalidScope {
		t.Errorf("a new token with the old scope: %v", err)
	}
	for range 2 {
		if err := env.server.Delete(t.Context(), caller, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := verify(); err != keys.ErrRevoked {
		t.Errorf("after the client was deleted: %v", err)
	}
	if _, err := env.server.Client(t.Context(), "acme", id); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("a deleted client: %v", err)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for name, tt := range map[string]struct {
		by   keys.Principal
		spec oauth.ClientSpec
		want string
		err  error
	}{
		"the creator's scopes":      {caller, oauth.ClientSpec{}, "identity:read webhooks:manage", nil},
		"none":                      {caller, oauth.ClientSpec{Scopes: []string{}}, "identity:read", nil},
		"some":                      {caller, oauth.ClientSpec{Scopes: []string{"webhooks:manage"}}, "identity:read webhooks:manage", nil},
		"more than the creator's":   {caller, oauth.ClientSpec{Scopes: []string{"keys:manage"}}, "", keys.ErrBeyond},
		"reserved":                  {caller, oauth.ClientSpec{Scopes: []string{"leads:read"}}, "", scopes.ErrGrant},
		"unknown":                   {caller, oauth.ClientSpec{Scopes: []string{"nope"}}, "", scopes.ErrGrant},
		"a creator with nothing":    {keys.Principal{Org: "acme", RateLimit: 1}, oauth.ClientSpec{}, "identity:read", nil},
		"a creator without a limit": {keys.Principal{Org: "acme"}, oauth.ClientSpec{}, "", keys.ErrBeyond},
		"no organization":           {keys.Principal{RateLimit: 1}, oauth.ClientSpec{}, "", keys.ErrInvalid},
		"a long name":               {caller, oauth.ClientSpec{Name: strings.Repeat("a", 257)}, "", keys.ErrInvalid},
		"a negative lifetime":       {caller, oauth.ClientSpec{TokenLifetime: -time.Second}, "", keys.ErrInvalid},
		"half a second":             {caller, oauth.ClientSpec{TokenLifetime: time.Second / 2}, "", keys.ErrInvalid},
		"a fraction":                {caller, oauth.ClientSpec{TokenLifetime: time.Second * 3 / 2}, "", keys.ErrInvalid},
		"a lifetime of centuries":   {caller, oauth.ClientSpec{TokenLifetime: 200 * 365 * 24 * time.Hour}, "", keys.ErrInvalid},
		"a creator of unlisted scopes": {
			keys.Principal{Org: "acme", RateLimit: 9000, Scopes: scopes.MustParse("admin webhooks:manage")},
			oauth.ClientSpec{},
			"identity:read webhooks:manage", nil,
		},
	} {
		issued, err := env.server.Register(t.Context(), tt.by, tt.spec)
		if !errors.Is(err, tt.err) || issued.Record.Scopes.String() != tt.want {
			t.Errorf("%s: %q, %v; want %q, %v", name, issued.Record.Scopes, err, tt.want, tt.err)
		}
		if err == nil && (issued.Record.RateLimit > tt.by.RateLimit || issued.Record.RateLimit > 600 || issued.Record.Org != tt.by.Org) {
			t.Errorf("%s: %+v", name, issued.Record)
		}
	}
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id, first := env.register("webhooks:manage")
		good := func(secret string) bool {
			_, err := env.grant(id, secret, "")
			if err != nil && err != oauth.ErrInvalidClient {
				t.Fatal(err)
			}
			return err == nil
		}
		rotate := func(overlap time.Duration) string {
			issued, err := env.server.RotateSecret(t.Context(), caller, id, overlap)
			if err != nil || issued.Record.ID != id {
				t.Fatal(issued, err)
			}
			return issued.Text.Reveal()
		}
		token := env.token(id, first)
		second := rotate(time.Minute)
		if !good(first) || !good(second) {
			t.Error("during the overlap one of the two is refused")
		}
		time.Sleep(time.Minute - time.Millisecond) // on the test's own clock
		if !good(first) {
			t.Error("the old secret ends early")
		}
		time.Sleep(time.Millisecond) // on the test's own clock
		if good(first) || !good(second) {
			t.Error("at the stated moment the old secret is not dead, or the new one is")
		}
		third := rotate(time.Hour)
		fourth := rotate(time.Hour)
		if good(second) || !good(third) || !good(fourth) {
			t.Error("not exactly the two newest secrets are good")
		}
		fifth := rotate(0)
		if good(third) || good(fourth) || !good(fifth) {
			t.Error("without an overlap an old secret is good")
		}
		if _, err := env.manager.Verifier().Verify(t.Context(), token); err != nil {
			t.Errorf("a token suffers from the rotation: %v", err)
		}
		for name, tt := range map[string]struct {
			by   keys.Principal
			id   string
			want error
		}{
			"another organization": {keys.Principal{Org: "globex", Scopes: caller.Scopes, RateLimit: 600}, id, keys.ErrNotFound},
			"fewer scopes":         {keys.Principal{Org: "acme", RateLimit: 600}, id, keys.ErrBeyond},
			"a lower limit":        {keys.Principal{Org: "acme", Scopes: caller.Scopes, RateLimit: 599}, id, keys.ErrBeyond},
			"an unknown client":    {caller, "cc_0000000000000000", keys.ErrNotFound},
			"a token":              {caller, token[:30], keys.ErrNotFound},
		} {
			if issued, err := env.server.RotateSecret(t.Context(), tt.by, tt.id, 0); !errors.Is(err, tt.want) || issued.Text.Len() != 0 {
				t.Errorf("%s: %v, want %v", name, err, tt.want)
			}
		}
	})
}

func TestClients(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	want := make(map[string]bool)
	for range 5 {
		id, _ := env.register()
		want[id] = true
	}
	for id := range want {
		if err := env.server.Delete(t.Context(), caller, id); err != nil {
			t.Fatal(err)
		}
		delete(want, id)
		break
	}
	if _, err := env.manager.Create(t.Context(), "acme", keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	for rec, err := range env.server.Clients(t.Context(), "acme", "", 0) {
		if err != nil || !want[rec.ID] {
			t.Errorf("%v, %v", rec, err)
		}
		delete(want, rec.ID)
	}
	if len(want) != 0 {
		t.Errorf("missing %v", want)
	}
	env.faults.Fail(storetest.List, storetest.Always, errors.New("down"))
	n := 0
	for _, err := range env.server.Clients(t.Context(), "acme", "", 0) {
		if n++; err == nil {
			t.Error("no error from a store that fails")
		}
	}
	if n != 1 {
		t.Errorf("%d steps", n)
	}
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
	for _, addr := range []string{"192.0.2.7:1", "[2001:db8::7]:1", "[::ffff:192.0.2.7]:1"} {
		if got := e.ask(addr, id, secret); got.status != 200 {
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
		return e.form(introspectPath, "token="+token+"&client_id="+askerID+"&client_secret="+askerSecret).body["active"]
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
