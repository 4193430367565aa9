package keyspage_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var secretShown = regexp.MustCompile(`data-secret>([^<]+)<`)

// secret returns the secret that a page shows.
func (p page) secret(t *testing.T) string {
	t.Helper()
	m := secretShown.FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("no secret: %s", p.text())
	}
	return m[1]
}

func TestKeyLife(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.get(anna, "/manage/").leads(t, "/manage/keys")
	h.get(anna, "/manage/keys").wants(t, 200, "There are no keys yet.")

	blank := h.get(anna, "/manage/new/keys")
	blank.wants(t, 200, "Manage webhooks")
	values := blank.fields()
	if values.Get("expires") != "90d" || values.Get("environment") != "live" || values["scopes"] != nil {
		t.Errorf("a blank form has %v", values)
	}
	values.Set("label", "CI")
	values.Set("scopes", "webhooks:manage")
	values.Set("environment", "test")
	values.Set("networks", "203.0.113.7/24\n2001:db8::1")
	values.Set("metadata", `{ "team": "billing" }`)
	values.Set("limit", "60")
	made := h.post(anna, "/manage/new/keys", values)
	made.wants(t, 201, "Your new key", "CI", "It is not shown again")
	text := made.secret(t)
	p, err := h.manager.Verifier().Verify(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if p.Label != "CI" || p.Environment != "test" || p.Scopes.String() != "identity:read webhooks:manage" || p.RateLimit != 60 ||
		p.Networks.String() != "203.0.113.0/24 2001:db8::1/128" || p.Metadata != `{"team":"billing"}` || p.CreatedBy != "host:anna" {
		t.Errorf("made %+v", p)
	}
	path := "/manage/keys/" + p.ID
	h.get(anna, path).wants(t, 200, "CI", "Active", "Manage webhooks", "60 requests a minute", "203.0.113.0/24", "just now", "host:anna", `"team": "billing"`)

	// The same form again, as by a reload.
	again := h.post(anna, "/manage/new/keys", values)
	again.wants(t, 409, "This form was sent before.")
	if again.fields().Has("once") {
		t.Error("the form can be sent once more, and would make a second key")
	}
	if n := h.records(keys.KindKey); n != 1 {
		t.Fatalf("%d keys", n)
	}

	edit := h.get(anna, path+"/edit")
	edit.wants(t, 200)
	values = edit.fields()
	if values.Get("label") != "CI" || values.Get("limit") != "60" || values.Get("networks") != "203.0.113.0/24\n2001:db8::1/128" || values.Get("expires") != "" {
		t.Errorf("the form has %v", values)
	}
	h.post(anna, path+"/edit", values).leads(t, path) // nothing was changed
	values.Set("label", "CI of billing")
	values["scopes"] = []string{"webhooks:manage", "keys:manage"}
	values.Set("networks", "")
	values.Set("limit", "")
	values.Set("metadata", " { } ")
	values.Set("expires", "7d")
	h.post(anna, path+"/edit", values).leads(t, path+"?done=changed")
	rec := h.record(p.ID)
	if rec.Label != "CI of billing" || rec.Scopes.Len() != 3 || !rec.Networks.IsEmpty() || rec.RateLimit != 0 || rec.Metadata != "" || rec.Version != 2 {
		t.Errorf("changed to %+v", rec)
	}
	h.get(anna, path+"?done=changed").wants(t, 200, "The key was changed.", "in 7 days")

	h.post(anna, path+"/pause", nil).leads(t, path+"?done=paused")
	h.get(anna, path+"?done=paused").wants(t, 200, "The key is paused.", "Resume")
	h.get(anna, path+"/rotate").wants(t, 409, "It is paused.")
	h.post(anna, path+"/resume", nil).leads(t, path+"?done=resumed")

	rotate := h.get(anna, path+"/rotate")
	rotate.wants(t, 200, "How long the old key keeps working", "just now")
	values = rotate.fields()
	turned := h.post(anna, path+"/rotate", values)
	turned.wants(t, 201, "Your new key", "Replaces", "CI of billing")
	next, err := h.manager.Verifier().Verify(t.Context(), turned.secret(t))
	if err != nil || h.record(p.ID).ReplacedBy != next.ID {
		t.Fatalf("%+v, %v", next, err)
	}
	h.post(anna, path+"/rotate", values).wants(t, 409, "This form was sent before.")
	h.get(anna, path).wants(t, 200, "Replaced", "Its successor", "No replaced key was used after its successor was made.")
	// A second later, since times are in whole milliseconds, and both may be in one.
	if _, err := h.manager.Verifier().VerifyAt(t.Context(), text, time.Now().Add(time.Second)); err != nil {
		t.Errorf("the old key during the overlap: %v", err)
	}
	h.get(anna, "/manage/keys/"+next.ID).wants(t, 200, "Before", "This key", "A key was used after it had been replaced.")

	end := h.get(anna, path+"/revoke")
	end.wants(t, 200, "This cannot be undone", "Nothing that it has made still works.")
	h.post(anna, path+"/revoke", end.fields()).leads(t, path)
	// Now there is no program to look for, and yet it was used.
	for _, at := range []string{path, "/manage/keys/" + next.ID} {
		p := h.get(anna, at)
		p.wants(t, 200, "Revoked", "Last used")
		if text := p.text(); strings.Contains(text, "before it ends") || strings.Contains(text, "No replaced key was used") {
			t.Errorf("the page about a rotation whose old key has ended: %s", text)
		}
	}
	if _, err := h.manager.Verifier().Verify(t.Context(), text); err != keys.ErrRevoked {
		t.Errorf("the revoked key: %v", err)
	}
	for _, below := range []string{"/edit", "/rotate", "/revoke"} {
		h.get(anna, path+below).wants(t, 409, "It was revoked in the meantime.")
	}
	list := h.get(anna, "/manage/keys")
	list.wants(t, 200, next.ID, "1 key")
	if strings.Contains(list.body, `"`+path+`"`) {
		t.Error("a revoked key is in the list")
	}
	h.get(anna, "/manage/keys?revoked=1").wants(t, 200, next.ID, p.ID, "2 keys")
}

func TestClientLife(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	values := h.get(anna, "/manage/new/clients").fields()
	values.Set("label", "Warehouse")
	made := h.post(anna, "/manage/new/clients", values)
	made.wants(t, 201, "Your new client secret", "Client ID")
	list, err := h.store.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindClient, Limit: 10})
	if err != nil || len(list) != 1 || list[0].Scopes.String() != "identity:read" {
		t.Fatalf("%v, %v", list, err)
	}
	client := list[0]
	secret := made.secret(t)
	if _, err := h.manager.Verifier().VerifyClient(t.Context(), client.ID, secret, client.CreatedAt); err != nil {
		t.Error(err)
	}
	path := "/manage/clients/" + client.ID
	h.get(anna, path).wants(t, 200, "Warehouse", "Client ID")
	// The old secret of a client cannot stay good without an end.
	forever := h.get(anna, path+"/rotate")
	if strings.Contains(forever.text(), "Until I revoke it") {
		t.Errorf("the form offers it: %s", forever.text())
	}
	values = forever.fields()
	values.Set("overlap", "")
	h.post(anna, path+"/rotate", values).wants(t, 422, "Choose one of these.")
	turned := h.post(anna, path+"/rotate", h.get(anna, path+"/rotate").fields())
	turned.wants(t, 200, "Old secret", "works until")
	if made.header.Get("Pragma") != "no-cache" || turned.header.Get("Pragma") != "no-cache" {
		t.Errorf("a secret without Pragma: %v %v", made.header, turned.header)
	}
	if turned.secret(t) == secret {
		t.Error("the secret is the old one")
	}
	h.get(anna, path).wants(t, 200, "Old secret", "works until", "in 24 hours")
	old := h.record(client.ID)
	old.PreviousExpiresAt = old.CreatedAt
	if err := h.store.Update(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if text := h.get(anna, path).text(); strings.Contains(text, "Old secret") {
		t.Errorf("an old secret that has ended is on the page: %s", text)
	}
	other := h.issue(keys.Spec{Kind: keys.KindClient}).Record
	for _, rec := range []keys.Record{h.record(client.ID), other, other} {
		if _, err := h.manager.IssueToken(t.Context(), rec, rec.Scopes, 3600e9); err != nil {
			t.Fatal(err)
		}
	}
	client = h.record(client.ID)
	if _, err := h.manager.IssueTokenAt(t.Context(), &client, client.Scopes, time.Hour, time.Now().Add(-2*time.Hour)); err != nil { // is over
		t.Fatal(err)
	}
	h.get(anna, path+"/revoke").wants(t, 200, "Delete client", "1 of the client "+client.ID)
	h.post(anna, path+"/revoke", url.Values{"family": {""}}).leads(t, path)
	h.get(anna, path).wants(t, 200, "Deleted")
	if names := h.get(anna, "/manage/clients").rows(); !slices.Equal(names, []string{other.ID}) {
		t.Errorf("the list has %v", names)
	}
}
