package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// TestRotate has the overlaps of keys and of clients.
func TestRotate(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := []struct {
		name, kind string
		args       []string
		old        string        // what the old secret is then
		ends       time.Duration // when that ends, from now; 0 is never, or at once
	}{
		{"a key", "keys", nil, "good", 0},
		{"a key for a time", "keys", []string{"-overlap", "2d"}, "good", 2 * day},
		{"a key at once", "keys", []string{"-overlap", "0"}, "expired", 0},
		{"a client", "clients", nil, "good", day},
		{"a client for a time", "clients", []string{"-overlap", "2d"}, "good", 2 * day},
		{"a client at once", "clients", []string{"-overlap", "0"}, "wrong_secret", 0},
	}
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	s := h.session()
	for _, tt := range tests {
		id, old := h.create(tt.kind, "create", "-org", "acme")
		next, secret := h.create(append([]string{"rotate", id}, tt.args...)...)
		var client []string
		if tt.kind == "clients" {
			client = []string{"-client", id}
		}
		if got := h.verify(old, client...) + " " + h.verify(secret, client...); got != tt.old+" good" {
			t.Errorf("%s: the secrets are %s, want %s good", tt.name, got, tt.old)
		}
		if (next == id) != (tt.kind == "clients") {
			t.Errorf("%s: the ID is %s, and was %s", tt.name, next, id)
		}
		rec, err := s.manager.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		end := rec.ExpiresAt
		if tt.kind == "clients" {
			end = rec.PreviousExpiresAt
		}
		if left := time.Until(end); tt.ends > 0 && (left > tt.ends || left < tt.ends-time.Hour) || tt.ends == 0 && left > 0 {
			t.Errorf("%s: the old secret ends in %v, want %v", tt.name, left, tt.ends)
		}
	}
	client, _ := h.create("clients", "create", "-org", "acme")
	h.must(exitUsage, "rotate", client, "-overlap", "forever")
	h.must(exitUsage, "rotate", client, "-expires-in", "1d")
	key, _ := h.create("keys", "create", "-org", "acme", "-expires-in", "5d")
	next, _ := h.create("rotate", key, "-expires-in", "forever", "-as", "bert")
	if rec, err := s.manager.Find(t.Context(), next); err != nil || !rec.ExpiresAt.IsZero() || rec.CreatedBy != "cli:bert" {
		t.Errorf("a successor that bert made to live forever was made by %s and ends at %v, %v", rec.CreatedBy, rec.ExpiresAt, err)
	}
}

// TestRotateSaysWhatBecomesOfTheOld reads what rotate prints beside the secret.
func TestRotateSaysWhatBecomesOfTheOld(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	for _, tt := range []struct {
		kind, overlap string
		want          string // before the sentence about the secret; ID is the old one
	}{
		{"keys", "", "in place of ID, which stays good until it is revoked."},
		{"keys -expires-in 5d", "", "in place of ID, which stays good until it expires or is revoked."},
		{"keys", "7d", "in place of ID, which stays good for 7d at most."},
		{"keys", "0", "in place of ID, which has ended."},
		{"clients", "", "with a new secret; the old one stays good for 1d at most."},
		{"clients", "0", "with a new secret; the old one has ended."},
	} {
		kind, lifetime, _ := strings.Cut(tt.kind, " ")
		id, _ := h.create(append([]string{kind, "create", "-org", "acme"}, strings.Fields(lifetime)...)...)
		args := []string{"rotate", id}
		if tt.overlap != "" {
			args = append(args, "-overlap", tt.overlap)
		}
		r := h.must(exitDone, args...)
		h.secrets = append(h.secrets, strings.TrimSpace(r.out))
		if want := strings.Replace(tt.want, "ID", id, 1); !strings.Contains(r.err, want) {
			t.Errorf("%s, overlap %q: %q, want %q", tt.kind, tt.overlap, r.err, want)
		}
	}
}

// TestRotateIsInterrupted ends a rotation while it waits for the caches of others. The
// rotation is done, and the secret is printed. To rotate again would make another one, so
// nobody is told to.
func TestRotateIsInterrupted(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	id, _ := h.create("keys", "create", "-org", "acme")
	s := h.session()
	if err := s.store.(keys.Feed).Announce(t.Context(), "a cache", keys.MaxLease); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	var out, errs bytes.Buffer
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"-store", h.url, "-config", h.path("config.json"), "rotate", id}, strings.NewReader(""), &out, &errs)
	}()
	for replaced := false; !replaced; {
		rec, err := s.manager.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		replaced = rec.ReplacedBy != ""
	}
	interrupt()
	if got := <-code; got != exitFailure || !strings.Contains(errs.String(), "do not rotate again") || strings.Contains(errs.String(), "do it again") {
		t.Errorf("exit code %d: %s", got, &errs)
	}
	if got := h.verify(strings.TrimSpace(out.String())); got != "good" {
		t.Errorf("the new key is %s", got)
	}
}

// TestRotationIsWatched looks at both keys of a rotation, of which each shows when the
// other was last used, once that is known.
func TestRotationIsWatched(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	before, secret := h.create("keys", "create", "-org", "acme")
	after, _ := h.create("rotate", before)
	if r := h.run(secret, "verify"); !strings.Contains(r.out, "replaced by        "+after) {
		t.Errorf("verify: %s", r.out)
	}
	type shown struct {
		LastUse  string `json:"last_used_at"`
		Replaced string `json:"replaces_last_used_at"`
		Replacer string `json:"replaced_by_last_used_at"`
	}
	show := func(id string) (shown, string) {
		return read[shown](t, h.must(exitDone, "show", id, "-json").out), h.must(exitDone, "keys", "show", id).out
	}
	if got, text := show(before); got != (shown{}) || !strings.Contains(text, after+" (no use known)") {
		t.Errorf("before any use: %+v\n%s", got, text)
	}
	store := h.session().store.(keys.UseStore)
	old, late := time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC), time.Date(2026, 1, 3, 9, 0, 0, 0, time.UTC)
	if err := store.NoteUses(t.Context(), map[string]time.Time{before: late, after: old}); err != nil {
		t.Fatal(err)
	}
	const oldText, lateText = "2026-01-02T09:00:00.000Z", "2026-01-03T09:00:00.000Z"
	if got, text := show(before); got != (shown{LastUse: lateText, Replacer: oldText}) || !strings.Contains(text, after+" (last used 2026-01-02T09:00:00Z)") {
		t.Errorf("the old key: %+v\n%s", got, text)
	}
	if got, text := show(after); got != (shown{LastUse: oldText, Replaced: lateText}) || !strings.Contains(text, before+" (last used 2026-01-03T09:00:00Z)") {
		t.Errorf("its successor: %+v\n%s", got, text)
	}
	list := h.must(exitDone, "keys", "list", "-org", "acme", "-json").out
	if !strings.Contains(list, `"replaced_by_last_used_at":"`+oldText) || !strings.Contains(list, `"replaces_last_used_at":"`+lateText) {
		t.Errorf("the list: %s", list)
	}
	h.must(exitDone, "revoke", before)
	if r := h.run(secret, "verify", "-json"); !strings.Contains(r.out, `"reason":"revoked"`) || !strings.Contains(r.out, `"replaced_by":"`+after) {
		t.Errorf("verify after the old key was revoked: %s", r.out)
	}
}
