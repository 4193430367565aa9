package main

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// TestLife leads keys and clients through their lives by commands alone.
func TestLife(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		h.must(exitDone, "migrate")
		id, secret := h.create("keys", "create", "-org", "acme", "-label", "CI", "-scopes", "webhooks:manage")
		if got := h.verify(secret); got != "good" {
			t.Fatalf("a new key is %s", got)
		}
		h.must(exitDone, "pause", id)
		if got := h.verify(secret); got != "paused" {
			t.Errorf("a paused key is %s", got)
		}
		h.must(exitState, "rotate", id)
		h.must(exitDone, "keys", "resume", id)
		h.must(exitDone, "change", id, "-label", "new", "-scopes", "keys:manage", "-networks", "192.0.2.0/24")
		if got := h.verify(secret, "-scopes", "keys:manage", "-from", "192.0.2.7"); got != "good" {
			t.Errorf("a key that was changed is %s", got)
		}
		if got := h.verify(secret, "-from", "198.51.100.1"); got != "address_not_allowed" {
			t.Errorf("from another network the key is %s", got)
		}
		if got := h.verify(secret, "-scopes", "webhooks:manage"); got != "insufficient_scope" {
			t.Errorf("for a scope that was taken away the key is %s", got)
		}
		next, second := h.create("rotate", id, "-overlap", "1h")
		if got := h.verify(secret) + " " + h.verify(second); got != "good good" {
			t.Errorf("in the overlap the keys are %s", got)
		}
		if show := h.must(exitDone, "show", id).out; !strings.Contains(show, "Replaced by") || !strings.Contains(show, next) {
			t.Errorf("the old key does not name its successor:\n%s", show)
		}
		h.must(exitDone, "revoke", id)
		h.must(exitDone, "revoke", id)
		if got := h.verify(secret) + " " + h.verify(second); got != "revoked good" {
			t.Errorf("after the old one was revoked the keys are %s", got)
		}
		h.must(exitState, "resume", id)

		client, first := h.create("clients", "create", "-org", "acme", "-scopes", "webhooks:manage")
		h.create("clients", "rotate", client, "-overlap", "1h")
		if got := h.verify(first, "-client", client); got != "good" {
			t.Errorf("in the overlap the old secret is %s", got)
		}
		for _, args := range [][]string{{"show", client, "-json"}, {"clients", "list", "-org", "acme", "-json"}} {
			if out := h.must(exitDone, args...).out; !strings.Contains(out, `"previous_expires_at":`) {
				t.Errorf("%v: %s", args, out)
			}
		}
		_, another := h.create("clients", "rotate", client, "-overlap", "0")
		if got := h.verify(first, "-client", client) + " " + h.verify(another, "-client", client); got != "wrong_secret good" {
			t.Errorf("after a rotation without an overlap the secrets are %s", got)
		}
		h.must(exitNotFound, "keys", "show", client)
		h.must(exitNotFound, "clients", "revoke", id)

		if got := h.must(exitDone, "orgs", "list").out; got != "acme\n" {
			t.Errorf("organizations: %q", got)
		}
		h.must(exitDone, "pause", next)
		if got := h.must(exitDone, "orgs", "pause", "acme").out; got != "paused: 1 credential of acme\n" {
			t.Errorf("%q", got)
		}
		if got := h.verify(second) + " " + h.verify(another, "-client", client); got != "paused paused" {
			t.Errorf("after all was paused: %s", got)
		}
		if got := h.must(exitDone, "orgs", "resume", "acme", "-json").out; got != `{"org":"acme","changed":2}`+"\n" {
			t.Errorf("%q", got)
		}
		if got := h.verify(second) + " " + h.verify(another, "-client", client); got != "good good" {
			t.Errorf("after all went on: %s", got)
		}
		h.must(exitNotFound, "orgs", "pause", "nobody")
		h.must(exitDone, "orgs", "revoke", "acme")
		if got := h.verify(second) + " " + h.verify(another, "-client", client); got != "revoked revoked" {
			t.Errorf("after all was revoked: %s", got)
		}
		h.must(exitNotFound, "orgs", "revoke", "nobody")
	})
}

// TestCreate makes a key with every flag, and looks at the record.
func TestCreate(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		h.must(exitDone, "migrate")
		id, _ := h.create("keys", "create", "-org", "acme", "-label", "CI", "-scopes", "webhooks:manage,keys:manage", "-rate-limit", "7",
			"-environment", "test", "-expires-in", "1d", "-networks", "192.0.2.0/24,2001:db8::/32", "-metadata", `{"team":"a"}`)
		rec, err := h.session().manager.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		networks, err := keys.ParseNetworks("192.0.2.0/24 2001:db8::/32")
		if err != nil {
			t.Fatal(err)
		}
		want := keys.Record{
			ID: id, Kind: keys.KindKey, Org: "acme", Label: "CI", Scopes: scopes.MustParse("identity:read keys:manage webhooks:manage"),
			RateLimit: 7, Environment: "test", Networks: networks, Metadata: `{"team":"a"}`, CreatedBy: "cli:anna", Version: 1,
			Digest: rec.Digest, CreatedAt: rec.CreatedAt, ExpiresAt: rec.CreatedAt.Add(24 * time.Hour),
		}
		if rec != want {
			t.Errorf("%s", cmp.Diff(want, rec, cmp.AllowUnexported(scopes.Set{}, keys.Networks{}, keys.Digest{})))
		}
	})
}

// TestDescendants ends a key with what was made by it.
func TestDescendants(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		h.must(exitDone, "migrate")
		root, secret := h.create("orgs", "create", "acme")
		_, other := h.create("keys", "create", "-org", "acme")
		s := h.session()
		child, err := s.manager.As(principal(t, s, secret)).Create(t.Context(), keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		grandchild, err := s.manager.As(principal(t, s, child.Text.Reveal())).Create(t.Context(), keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		if r := h.must(exitDone, "revoke", root, "-descendants"); r.out != "revoked: 3 credentials of acme\n" || r.err != "" {
			t.Errorf("%q, and %q where nobody is asked", r.out, r.err)
		}
		for what, text := range map[string]string{"root": secret, "child": child.Text.Reveal(), "grandchild": grandchild.Text.Reveal()} {
			if got := h.verify(text); got != "revoked" {
				t.Errorf("the %s is %s", what, got)
			}
		}
		if got := h.verify(other); got != "good" {
			t.Errorf("another key is %s", got)
		}
	})
}

// TestTokenOfNobody asks about a token whose client somebody has deleted in the database.
func TestTokenOfNobody(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "claviger.db")
	h := newHost(t, "sqlite:"+file, nil)
	h.must(exitDone, "migrate")
	client, _ := h.create("clients", "create", "-org", "acme")
	s := h.session()
	rec, err := s.manager.Find(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.manager.IssueToken(t.Context(), rec, scopes.Set{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DELETE FROM claviger_records WHERE id = ?", client); err != nil {
		t.Fatal(err)
	}
	if r := h.run(token.Text.Reveal(), "verify"); r.code != exitRefused || !strings.Contains(r.out, "its client has no record") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// TestTokens counts tokens, says why one is refused, and sweeps those that are over.
func TestTokens(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		h.must(exitDone, "migrate")
		client, _ := h.create("clients", "create", "-org", "acme")
		s := h.session()
		rec, err := s.manager.Find(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		var tokens []keys.Issued
		for range 5 {
			token, err := s.manager.IssueToken(t.Context(), rec, scopes.Set{}, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, token)
		}
		for _, token := range tokens[:4] {
			h.must(exitDone, "revoke", token.Record.ID)
		}
		left := tokens[4].Text.Reveal()
		if got := h.verify(tokens[0].Text.Reveal()) + " " + h.verify(left); got != "revoked good" {
			t.Errorf("tokens: %s", got)
		}
		all := read[census](t, h.must(exitDone, "stats", "-org", "acme", "-json").out)
		if want := (tally{Live: 1, Ended: 4}); all.Tokens != want || all.Clients != (tally{Live: 1}) || all.OldestDead == "" {
			t.Errorf("stats: %+v", all)
		}
		if out := h.run(tokens[0].Text.Reveal(), "verify").out; !strings.Contains(out, "it was revoked at ") {
			t.Errorf("a revoked token:\n%s", out)
		}
		h.must(exitDone, "pause", client)
		if out := h.run(left, "verify").out; !strings.Contains(out, "its client "+client+" is paused since ") {
			t.Errorf("a token of a paused client:\n%s", out)
		}
		for _, name := range []string{"pause", "resume", "rotate"} {
			h.must(exitUsage, name, tokens[4].Record.ID)
		}

		if got := h.must(exitDone, "sweep").out; got != "removed: 0 tokens, 0 buckets\n" {
			t.Errorf("tokens that ended just now: %s", got)
		}
		r := h.must(exitDone, "sweep", "-older", "0", "-batch", "2", "-most", "3", "-progress")
		if r.out != "removed: 3 tokens, 0 buckets\n" || !strings.Contains(r.err, "3 tokens and 0 buckets removed\n") {
			t.Errorf("%s%s", r.out, r.err)
		}
		if got := h.must(exitDone, "sweep", "-older", "0", "-json").out; got != `{"tokens":1,"buckets":0}`+"\n" {
			t.Errorf("the last one: %s", got)
		}
		h.must(exitNotFound, "show", tokens[0].Record.ID)
		h.must(exitDone, "show", tokens[4].Record.ID)
	})
}

// TestShowDescendants names what descends from a key that made itself. What was revoked is
// left out, and what that has made is not.
func TestShowDescendants(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	id, _ := h.create("keys", "create", "-org", "acme")
	s := h.session()
	rec, err := s.manager.Find(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range [][2]string{{"root", "root"}, {"child", "root"}, {"ended", "child"}, {"grandchild", "ended"}} {
		rec.ID, rec.CreatedBy, rec.RevokedAt = made[0], made[1], time.Time{}
		if rec.ID == "ended" {
			rec.RevokedAt = rec.CreatedAt
		}
		if err := s.store.Insert(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	root, err := s.manager.Find(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	s.stderr = &shown
	if err := s.showDescendants(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(shown.String()) {
		names = append(names, strings.Fields(line)[0])
	}
	if want := []string{"root", "child", "grandchild"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v:\n%s", names, want, &shown)
	}
}
