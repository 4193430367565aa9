package keyspage_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// TestStates shows a key that was paused and has expired since: it has expired.
func TestStates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		id := h.issue(keys.Spec{Lifetime: time.Hour}).Record.ID
		if _, err := h.manager.Change(t.Context(), "acme", keys.KindKey, id, keys.Change{Disabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		h.get(anna, "/manage/keys").wants(t, 200, "Paused")
		time.Sleep(time.Hour) // on the test's own clock
		h.get(anna, "/manage/keys").wants(t, 200, "Expired")
	})
}

// TestMakerIsGone shows a key that was made by a credential that is not there.
func TestMakerIsGone(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	id := h.issue(keys.Spec{CreatedBy: "key_gone"}).Record.ID
	h.get(anna, "/manage/keys/"+id).wants(t, 200, "key_gone")
}

// TestWithoutScopes lists a key that has none: it has no more than those that are shown.
func TestWithoutScopes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	rec := h.issue(keys.Spec{}).Record
	rec.ID, rec.Scopes = "vck_bare", scopes.Set{}
	if err := h.store.Insert(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	p := h.get(anna, "/manage/keys")
	if p.wants(t, 200, "vck_bare"); strings.Contains(p.text(), "+") {
		t.Errorf("there are more scopes than none: %s", p.text())
	}
}

// TestStillUsed shows a key that was replaced: what counts is that it was used itself, and
// not its successor.
func TestStillUsed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	old := h.issue(keys.Spec{}).Record
	next, err := h.manager.Rotate(t.Context(), "acme", old.ID, keys.Rotation{Overlap: keys.Forever})
	if err != nil {
		t.Fatal(err)
	}
	later := next.Record.CreatedAt.Add(time.Hour)
	h.uses.Note(next.Record.ID, later)
	h.get(anna, "/manage/keys/"+old.ID).wants(t, 200, "No replaced key was used after its successor was made.")
	h.uses.Note(old.ID, later)
	h.get(anna, "/manage/keys/"+old.ID).wants(t, 200, "A key was used after it had been replaced.")
}
