package keyspage_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
	"github.com/claviger-auth/claviger/scopes"
)

// TestSignedOut sends a form after its reader was signed out, and once more when it
// is signed in again.
func TestSignedOut(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	admin := h.issue(keys.Spec{Scopes: []string{"keys:manage"}})
	p, err := h.manager.Verifier().Verify(t.Context(), admin.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	values := h.get(p, "/manage/new/keys").fields()
	values.Set("label", "typed <before>")
	values.Set("scopes", "keys:manage")
	out := h.send(form("/manage/new/keys", values))
	out.wants(t, 401, "You are not signed in", "Sign in again in another tab")
	if !strings.Contains(out.body, `href="/sign-in" target="_blank"`) {
		t.Errorf("no way to sign in: %s", out.body)
	}
	again := out.fields()
	if again.Get("label") != "typed <before>" || again.Get("scopes") != "keys:manage" || again.Get("once") == values.Get("once") {
		t.Errorf("the form has %v", again)
	}
	h.post(p, "/manage/new/keys", again).wants(t, 201, "typed <before>")

	// The key ends while the page is open.
	edit := h.get(p, "/manage/keys/"+admin.Record.ID+"/edit").fields()
	if err := h.manager.Revoke(t.Context(), "acme", keys.KindKey, admin.Record.ID); err != nil {
		t.Fatal(err)
	}
	values = h.get(p, "/manage/new/keys").fields()
	h.post(p, "/manage/new/keys", values).wants(t, 401, "You are not signed in any more", "Nothing was done")
	edit.Set("label", "x")
	h.post(p, "/manage/keys/"+admin.Record.ID+"/edit", edit).wants(t, 409, "It was revoked in the meantime.")
	if out := h.send(httptest.NewRequest("GET", "/manage/keys", nil)); out.status != 401 || strings.Contains(out.body, "<form") || strings.Contains(out.text(), "Back") {
		t.Errorf("a list: %d %s", out.status, out.text())
	}
}

// TestTwoTabs changes a key in one tab while a form for it is open in another.
func TestTwoTabs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := h.issue(keys.Spec{Label: "before", Scopes: []string{"keys:manage"}})
	at := "/manage/keys/" + key.Record.ID
	first, second := h.get(anna, at+"/edit").fields(), h.get(clerk, at+"/edit").fields()
	rotate := h.get(anna, at+"/rotate").fields()
	first.Set("label", "first")
	first.Set("limit", "60")
	first.Set("networks", "10.0.0.0/8\n192.0.2.0/24")
	h.post(anna, at+"/edit", first).leads(t, at+"?done=changed")
	second.Set("label", "second")
	p := h.post(clerk, at+"/edit", second)
	p.wants(t, 409, "changed it in the meantime", "It is now: first", "It is now: 60", "It is now: 10.0.0.0/8 192.0.2.0/24")
	if h.record(key.Record.ID).Label != "first" {
		t.Error("the second tab has overwritten the first")
	}
	again := p.fields()
	if again.Get("label") != "second" {
		t.Errorf("the form has %v", again)
	}
	again.Set("limit", "60")
	h.post(clerk, at+"/edit", again).leads(t, at+"?done=changed")
	if rec := h.record(key.Record.ID); rec.Label != "second" || rec.RateLimit != 60 {
		t.Errorf("%+v", rec)
	}
	h.post(clerk, at+"/edit", first).wants(t, 409, "It is now: second")
	q := h.post(anna, at+"/rotate", rotate)
	q.wants(t, 409, "Look at it before you replace it.")
	h.post(anna, at+"/rotate", q.fields()).wants(t, 201)
	h.post(anna, at+"/revoke", nil).leads(t, at)
	h.post(anna, at+"/edit", first).wants(t, 409, "It was revoked in the meantime.")
}

// TestUnchanged sends a form as browsers do if nobody has touched it. The label has a
// line break, which the API allows and a field of one line cannot hold. The limit is that
// of the plan, whatever it is.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	plan := func(context.Context, string) (int, error) { return 600, nil }
	h := newHostWith(t, keys.Options{Plan: plan}, keyspage.Options{})
	key := h.issue(keys.Spec{Label: " of two\r\nlines "}).Record
	path := "/manage/keys/" + key.ID
	values := h.get(anna, path+"/edit").fields()
	values.Set("label", strings.NewReplacer("\r", "", "\n", "").Replace(values.Get("label")))
	if values.Get("limit") != "" {
		t.Errorf("the form has the limit %s", values.Get("limit"))
	}
	h.post(anna, path+"/edit", values).leads(t, path)
	if h.record(key.ID) != key {
		t.Errorf("changed to %+v", h.record(key.ID))
	}
}

// TestRevokeFamily ends a key with what it made.
func TestRevokeFamily(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	root := h.issue(keys.Spec{Label: "root", Scopes: []string{"keys:manage"}})
	child := h.issue(keys.Spec{Label: "child", CreatedBy: root.Record.ID, Scopes: []string{"webhooks:manage"}})
	grand := h.issue(keys.Spec{Label: "grandchild", Kind: keys.KindClient, CreatedBy: child.Record.ID})
	at := "/manage/keys/" + root.Record.ID
	p := h.get(anna, at+"/revoke")
	p.wants(t, 200, "child", "grandchild", "made by root", "made by child", "2 others end too.", "never used")
	values := p.fields()
	if !slices.Equal(values["family"], []string{""}) {
		t.Errorf("the form has %v", values)
	}
	values.Set("family", "1")
	h.post(clerk, at+"/revoke", values).wants(t, 403, "Nothing was ended")
	if h.record(root.Record.ID).RevokedAt != root.Record.RevokedAt {
		t.Error("the root was ended")
	}
	h.post(anna, at+"/revoke", values).leads(t, at)
	for _, issued := range []keys.Issued{root, child, grand} {
		if rec := h.record(issued.Record.ID); !rec.Revoked() {
			t.Errorf("%s is alive", rec.Label)
		}
	}
}

// TestLargeFamily names the first hundred of those that a key made.
func TestLargeFamily(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	root := h.issue(keys.Spec{Label: "root", Scopes: []string{"keys:manage"}}).Record.ID
	for n := 1; n <= 101; n++ {
		h.issue(keys.Spec{Label: "kid", CreatedBy: root})
		if n < 100 {
			continue
		}
		text := h.get(anna, "/manage/keys/"+root+"/revoke").text()
		if named := strings.Count(text, "kid Key, made by root"); named != 100 || strings.Contains(text, "and more") != (n > 100) {
			t.Errorf("%d of %d are named: %s", named, n, text)
		}
	}
}

// TestItself warns a reader who is signed in with a key about what would end it.
func TestItself(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := h.issue(keys.Spec{Scopes: []string{"keys:manage"}, Lifetime: 3600e9})
	p, err := h.manager.Verifier().Verify(t.Context(), key.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	at := "/manage/keys/" + key.Record.ID
	h.get(p, at).wants(t, 200, "signed in with it")
	client := h.issue(keys.Spec{Kind: keys.KindClient, Scopes: []string{"keys:manage"}}).Record
	withToken := keys.Principal{Org: "acme", ID: "oauth_1", Kind: keys.KindToken, Client: client.ID, Scopes: client.Scopes, RateLimit: 60}
	h.get(withToken, "/manage/clients/"+client.ID).wants(t, 200, "signed in with it")
	h.get(withToken, "/manage/clients/"+client.ID+"/rotate").wants(t, 200, "You are signed in with it.")
	h.get(p, at+"/revoke").wants(t, 200, "You will be signed out.")
	h.get(p, at+"/rotate").wants(t, 200, "You are signed in with it.")
	values := h.get(p, "/manage/new/keys").fields()
	made := h.post(p, "/manage/new/keys", values)
	made.wants(t, 201, "in 60 minutes") // its end is that of its maker
	values = h.get(p, at+"/edit").fields()
	values.Set("expires", "365d") // is brought forward
	h.post(p, at+"/edit", values).leads(t, at+"?done=changed")
	if rec := h.record(key.Record.ID); !rec.ExpiresAt.Equal(key.Record.ExpiresAt) {
		t.Errorf("it ends at %v, not at %v", rec.ExpiresAt, key.Record.ExpiresAt)
	}
}

// TestOldScopes changes a key that has scopes which its reader lacks, and which are
// not granted any more.
func TestOldScopes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rec := h.issue(keys.Spec{Label: "old", Scopes: []string{"webhooks:manage"}}).Record
	rec.Scopes = rec.Scopes.Union(scopes.MustParse("gone:read"))
	if err := h.store.Update(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	at := "/manage/keys/" + rec.ID
	p := h.get(clerk, at+"/edit")
	p.wants(t, 200, "It is no longer granted", "You do not have it yourself.")
	values := p.fields()
	values.Set("label", "new")
	h.post(clerk, at+"/edit", values).leads(t, at+"?done=changed")
	values = h.get(clerk, at+"/edit").fields()
	values["scopes"] = []string{"gone:read", "keys:manage"}
	h.post(clerk, at+"/edit", values).wants(t, 422, "These scopes cannot be granted: gone:read")
	values["scopes"] = []string{"keys:manage"}
	h.post(clerk, at+"/edit", values).leads(t, at+"?done=changed")
}

// TestOtherEnvironments has a reader of one environment widen a key of another: the form
// has no field for the environment, so the problem names none.
func TestOtherEnvironments(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	reader := anna
	reader.Environment = "test"
	at := "/manage/keys/" + h.issue(keys.Spec{Label: "live"}).Record.ID + "/edit"
	values := h.get(reader, at).fields()
	values.Add("scopes", "keys:manage")
	p := h.post(reader, at, values)
	p.wants(t, 422, "This was not done", "It is in an environment that is not yours.")
	if strings.Contains(p.body, `href="#environment"`) {
		t.Error("the problem leads to a field that is not there")
	}
	values = p.fields()
	values.Del("scopes")
	values.Set("label", "renamed")
	h.post(reader, at, values).leads(t, strings.TrimSuffix(at, "/edit")+"?done=changed")
}

// TestResumesNothingWider has readers resume a key that has more than they have: a scope,
// a limit, networks or an environment.
func TestResumesNothingWider(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	lan, err := keys.NetworksFromStrings("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	tester, bound := anna, anna
	tester.Environment, bound.Networks = "test", lan
	at := "/manage/keys/" + h.issue(keys.Spec{Scopes: []string{"keys:manage"}, RateLimit: 600}).Record.ID
	poor := anna
	poor.Scopes = scopes.MustParse("identity:read")
	for _, reader := range []keys.Principal{clerk, tester, bound, poor} {
		h.post(reader, at+"/pause", nil).leads(t, at+"?done=paused")
		h.post(reader, at+"/resume", nil).wants(t, 403, "You may not do this", "This needs rights that you do not have.")
	}
	h.post(anna, at+"/resume", nil).leads(t, at+"?done=resumed")
}
