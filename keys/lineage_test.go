package keys_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A family is a leaked key with what it made, and what stands beside it.
type family struct {
	admin                      keys.Principal
	root                       keys.Issued
	child, client, grand       keys.Issued // made by root, by root, and by client's token
	beside, successor, sibling keys.Issued // by admin, by admin for root, by the host
}

func newFamily(t *testing.T, env *env) (f family) {
	t.Helper()
	f.admin = caller(t, env, admin)
	make := func(p keys.Principal, spec keys.Spec) keys.Issued {
		t.Helper()
		issued, err := env.manager.As(p).Create(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	principal := func(text keys.Secret) keys.Principal {
		t.Helper()
		p, err := env.verify(text.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	f.root = make(f.admin, keys.Spec{Scopes: []string{"keys:manage"}})
	root := principal(f.root.Text)
	f.child = make(root, keys.Spec{})
	f.client = make(root, keys.Spec{Kind: keys.KindClient, Scopes: []string{"keys:manage"}})
	token, err := env.manager.IssueToken(t.Context(), f.client.Record, f.client.Record.Scopes, 1e9)
	if err != nil {
		t.Fatal(err)
	}
	f.grand = make(principal(token.Text), keys.Spec{})
	f.beside = make(f.admin, keys.Spec{})
	f.sibling = env.create(keys.Spec{CreatedBy: "host:test"})
	f.successor, err = env.manager.As(f.admin).Rotate(t.Context(), f.root.Record.ID, keys.Rotation{Overlap: keys.Forever})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *family) check(t *testing.T, env *env) {
	t.Helper()
	for name, tt := range map[string]struct {
		issued keys.Issued
		alive  bool
	}{
		"the root": {f.root, false}, "its child": {f.child, false}, "its client": {f.client, false}, "its grandchild": {f.grand, false},
		"another child of the admin": {f.beside, true}, "the admin's successor of the root": {f.successor, true}, "a key of the host's": {f.sibling, true},
	} {
		rec, err := env.manager.Get(t.Context(), "acme", "", tt.issued.Record.ID)
		if err != nil || rec.Revoked() == tt.alive {
			t.Errorf("%s: revoked %t, %v", name, rec.Revoked(), err)
		}
	}
}

func TestRevokeDescendants(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	f := newFamily(t, env)
	if n, err := env.manager.As(f.admin).RevokeDescendants(t.Context(), keys.KindKey, f.root.Record.ID); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	f.check(t, env)
	if n, err := env.manager.As(f.admin).RevokeDescendants(t.Context(), keys.KindKey, f.root.Record.ID); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
}

// TestRevokeDescendantsOfTheDead ends what was made by a key that was revoked
// before, and by a client in the middle of the line that was.
func TestRevokeDescendantsOfTheDead(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	f := newFamily(t, env)
	for _, id := range []string{f.root.Record.ID, f.client.Record.ID} {
		if err := env.manager.Revoke(t.Context(), "acme", "", id); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := env.manager.RevokeDescendants(t.Context(), "acme", keys.KindKey, f.root.Record.ID); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	f.check(t, env)
}

// TestRevokeDescendantsWhileTheyAreMade makes one more whenever something is
// revoked, for a while.
func TestRevokeDescendantsWhileTheyAreMade(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	f := newFamily(t, env)
	var late []string
	var again func(string)
	again = func(string) {
		rec := goodRecord(t, keys.KindKey)
		rec.ID, rec.CreatedBy = f.root.Record.ID+"_late"+string(rune('a'+len(late))), f.root.Record.ID
		env.insert(rec)
		if late = append(late, rec.ID); len(late) < 5 {
			env.after = again
		}
	}
	env.after = again
	if n, err := env.manager.RevokeDescendants(t.Context(), "acme", keys.KindKey, f.root.Record.ID); n != 4+5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	f.check(t, env)
}

func TestRevokeDescendantsRefuses(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	f := newFamily(t, env)
	narrow := caller(t, env, keys.Spec{Scopes: []string{"webhooks:manage"}})
	before := env.records()
	if n, err := env.manager.As(narrow).RevokeDescendants(t.Context(), keys.KindKey, f.root.Record.ID); n != 0 || !errors.Is(err, keys.ErrBeyond) {
		t.Errorf("by somebody who has less: %d, %v", n, err)
	}
	if n, err := env.manager.RevokeDescendants(t.Context(), "globex", keys.KindKey, f.root.Record.ID); n != 0 || !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("of another organization: %d, %v", n, err)
	}
	if n, err := env.manager.RevokeDescendants(t.Context(), "acme", keys.KindClient, f.root.Record.ID); n != 0 || !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("of another kind: %d, %v", n, err)
	}
	down := errors.New("down")
	env.faults.Fail(storetest.List, 1, down)
	if n, err := env.manager.RevokeDescendants(t.Context(), "acme", keys.KindKey, f.root.Record.ID); n != 0 || !errors.Is(err, down) {
		t.Errorf("a store that fails: %d, %v", n, err)
	}
	env.unchanged(before, "")
}

// TestLineageInACircle follows makers that made each other, which no manager
// writes.
func TestLineageInACircle(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for _, pair := range [][2]string{{"a", "b"}, {"b", "a"}, {"c", "c"}, {"d", "root"}} {
		rec := goodRecord(t, keys.KindKey)
		rec.ID, rec.CreatedBy = pair[0], pair[1]
		env.insert(rec)
	}
	rec := goodRecord(t, keys.KindKey)
	rec.ID, rec.CreatedBy = "root", "d"
	env.insert(rec)
	if n, err := env.manager.RevokeDescendants(t.Context(), "acme", "", "root"); n != 2 || err != nil {
		t.Errorf("%d, %v; want the root and d", n, err)
	}
}

func TestDescendants(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	f := newFamily(t, env)
	ids := func(root keys.Issued) []string {
		t.Helper()
		found, err := env.manager.Descendants(t.Context(), "acme", root.Record.Kind, root.Record.ID)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, rec := range found {
			ids = append(ids, rec.ID)
		}
		slices.Sort(ids)
		return ids
	}
	want := []string{f.child.Record.ID, f.client.Record.ID, f.grand.Record.ID}
	slices.Sort(want)
	if got := ids(f.root); !slices.Equal(got, want) {
		t.Errorf("of the root: %v, want %v", got, want)
	}
	if err := env.manager.Revoke(t.Context(), "acme", "", f.client.Record.ID); err != nil {
		t.Fatal(err)
	}
	// What was made by something that is revoked still descends from the root.
	want = slices.DeleteFunc(want, func(id string) bool { return id == f.client.Record.ID })
	if got := ids(f.root); !slices.Equal(got, want) {
		t.Errorf("without the client: %v, want %v", got, want)
	}
	if got := ids(f.beside); got != nil {
		t.Errorf("of a key that made nothing: %v", got)
	}
	if _, err := env.manager.Descendants(t.Context(), "globex", keys.KindKey, f.root.Record.ID); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("for another organization: %v", err)
	}
	if _, err := env.manager.Descendants(t.Context(), "acme", keys.KindClient, f.root.Record.ID); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("as another kind: %v", err)
	}
	env.faults.Fail(storetest.List, 1, errors.New("down"))
	if _, err := env.manager.Descendants(t.Context(), "acme", keys.KindKey, f.root.Record.ID); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("with a store that fails: %v", err)
	}
}
