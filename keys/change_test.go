package keys_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

func TestChange(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{Label: "before", Scopes: []string{"keys:manage"}})
	id := issued.Record.ID
	change := func(c keys.Change) keys.Record {
		t.Helper()
		rec, err := env.manager.Change(t.Context(), "acme", "", id, c)
		if err != nil {
			t.Fatal(err)
		}
		stored, _, err := env.store.Get(t.Context(), id)
		if diff := cmp.Diff(stored, rec, cmpRecords); diff != "" || err != nil {
			t.Errorf("stored is another record: %v\n%s", err, diff)
		}
		return rec
	}
	if rec := change(keys.Change{}); rec.Label != "before" || rec.Scopes != issued.Record.Scopes || rec.RateLimit != 600 {
		t.Errorf("no change changed %+v", rec)
	}
	if rec := change(keys.Change{Label: new("after"), RateLimit: new(60)}); rec.Label != "after" || rec.RateLimit != 60 || rec.Scopes != issued.Record.Scopes {
		t.Errorf("label and limit: %+v", rec)
	}
	if rec := change(keys.Change{Scopes: new([]string{"webhooks:manage"})}); rec.Scopes.String() != "identity:read webhooks:manage" {
		t.Errorf("scopes: %q", rec.Scopes)
	}
	if p, err := env.verify(issued.Text.Reveal()); err != nil || p.Scopes.Contains("keys:manage") || p.RateLimit != 60 {
		t.Errorf("the key now: %+v, %v", p, err)
	}
	if rec := change(keys.Change{Scopes: new([]string{}), Label: new("")}); rec.Scopes.String() != "identity:read" || rec.Label != "" {
		t.Errorf("emptied: %+v", rec)
	}
	for name, tt := range map[string]struct {
		change keys.Change
		want   error
	}{
		"a reserved scope": {keys.Change{Scopes: new([]string{"leads:read"})}, scopes.ErrGrant},
		"a negative limit": {keys.Change{RateLimit: new(-1)}, keys.ErrInvalid},
		"a long label":     {keys.Change{Label: new(strings.Repeat("a", 257))}, keys.ErrInvalid},
	} {
		if _, err := env.manager.Change(t.Context(), "acme", "", id, tt.change); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := env.manager.Revoke(t.Context(), "acme", "", id); err != nil {
		t.Fatal(err)
	}
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Label: new("x")}); !errors.Is(err, keys.ErrRevoked) {
		t.Errorf("a revoked key: %v", err)
	}
}

func TestChangeTells(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id := env.create(keys.Spec{}).Record.ID
	env.types()
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Label: new("x")}); err != nil {
		t.Fatal(err)
	}
	if e := env.last(); e.Type != keys.Changed || e.ID != id || e.Org != "acme" || e.Kind != keys.KindKey || e.Err != nil {
		t.Errorf("event %+v", e)
	}
	env.types()
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{RateLimit: new(-1)}); err == nil {
		t.Error("a negative limit: no error")
	}
	if got := env.types(); len(got) != 0 {
		t.Errorf("a change that was refused told %v", got)
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id := env.create(keys.Spec{}).Record.ID
		env.faults.Fail(storetest.Update, 5, keys.ErrConflict)
		if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Label: new("x")}); err != nil {
			t.Errorf("after five conflicts: %v", err)
		}
		env.faults.Fail(storetest.Update, storetest.Always, keys.ErrConflict)
		before := env.faults.Calls(storetest.Update)
		if err := env.manager.Revoke(t.Context(), "acme", "", id); !errors.Is(err, keys.ErrConflict) {
			t.Errorf("with nothing but conflicts: %v", err)
		}
		if n := env.faults.Calls(storetest.Update) - before; n < 8 || n > 100 {
			t.Errorf("%d tries", n)
		}
	})
}

// TestConcurrentChangesAllCount adds up changes of one record by many callers.
func TestConcurrentChangesAllCount(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id := env.create(keys.Spec{}).Record.ID
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				for {
					_, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Label: new("x")})
					if err == nil {
						break
					}
					if !errors.Is(err, keys.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if rec, err := env.manager.Get(t.Context(), "acme", "", id); err != nil || rec.Version != 1+8*20 {
		t.Errorf("version %d, %v", rec.Version, err)
	}
}

func TestChangeOfAVersion(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	rec := env.create(keys.Spec{}).Record
	change := func(c keys.Change) (keys.Record, error) {
		return env.manager.Change(t.Context(), "acme", "", rec.ID, c)
	}
	if same, err := change(keys.Change{Version: rec.Version}); err != nil || same.Version != rec.Version {
		t.Errorf("a change of nothing: %d, %v", same.Version, err)
	}
	if next, err := change(keys.Change{Version: rec.Version, Label: new("first")}); err != nil || next.Version != rec.Version+1 {
		t.Errorf("the first change: %d, %v", next.Version, err)
	}
	for name, c := range map[string]keys.Change{"another change": {Label: new("second")}, "a change of nothing": {}} {
		c.Version = rec.Version
		if _, err := change(c); !errors.Is(err, keys.ErrConflict) {
			t.Errorf("%s of the same version: %v", name, err)
		}
	}
	if now, err := env.manager.Get(t.Context(), "acme", "", rec.ID); err != nil || now.Label != "first" {
		t.Errorf("%q, %v", now.Label, err)
	}
	p := caller(t, env, admin)
	if _, err := env.manager.As(p).Change(t.Context(), keys.KindKey, rec.ID, keys.Change{Version: rec.Version, Label: new("x")}); !errors.Is(err, keys.ErrConflict) {
		t.Errorf("on behalf of a caller: %v", err)
	}
}

// TestChangeOfALaterVersion changes a record in a version that it does not have yet.
func TestChangeOfALaterVersion(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id := env.create(keys.Spec{}).Record.ID
	if _, err := env.manager.Change(t.Context(), "acme", keys.KindKey, id, keys.Change{Version: 2, Label: new("x")}); err != keys.ErrConflict {
		t.Error(err)
	}
}
