package main

import (
	"testing"
	"time"
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
	next, _ := h.create("rotate", key, "-expires-in", "forever")
	if rec, err := s.manager.Find(t.Context(), next); err != nil || !rec.ExpiresAt.IsZero() {
		t.Errorf("a successor that was to live forever ends at %v, %v", rec.ExpiresAt, err)
	}
}
