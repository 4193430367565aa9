package keys_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

// TestChangeOfEachField makes a change of each field alone. A field that is new in
// Change and missing here fails.
func TestChangeOfEachField(t *testing.T) {
	t.Parallel()
	lan := mustNetworks(t, "10.0.0.0/8")
	cases := map[string][]struct {
		change keys.Change
		want   func(r *keys.Record)
	}{
		"Label": {
			{keys.Change{Label: new("x")}, func(r *keys.Record) { r.Label = "x" }},
			{keys.Change{Label: new("")}, func(r *keys.Record) { r.Label = "" }},
		},
		"Scopes": {
			{keys.Change{Scopes: new([]string{"webhooks:manage"})}, func(r *keys.Record) { r.Scopes = scopes.MustParse("identity:read webhooks:manage") }},
			{keys.Change{Scopes: new([]string)}, func(r *keys.Record) { r.Scopes = scopes.MustParse("identity:read") }},
		},
		"RateLimit": {
			{keys.Change{RateLimit: new(9)}, func(r *keys.Record) { r.RateLimit = 9 }},
			{keys.Change{RateLimit: new(0)}, func(r *keys.Record) { r.RateLimit = 0 }},
		},
		"Networks": {
			{keys.Change{Networks: &lan}, func(r *keys.Record) { r.Networks = lan }},
			{keys.Change{Networks: new(keys.Networks)}, func(r *keys.Record) { r.Networks = keys.Networks{} }},
		},
		"Metadata": {
			{keys.Change{Metadata: new("m")}, func(r *keys.Record) { r.Metadata = "m" }},
			{keys.Change{Metadata: new("")}, func(r *keys.Record) { r.Metadata = "" }},
		},
		"Lifetime": {
			{keys.Change{Lifetime: new(1500 * time.Millisecond)}, func(r *keys.Record) { r.ExpiresAt = now().Add(1500 * time.Millisecond) }},
			{keys.Change{Lifetime: new(keys.Forever)}, func(r *keys.Record) { r.ExpiresAt = time.Time{} }},
		},
		"Disabled": {
			{keys.Change{Disabled: new(true)}, func(r *keys.Record) { r.DisabledAt = now() }},
			{keys.Change{Disabled: new(false)}, func(r *keys.Record) { r.DisabledAt = time.Time{} }},
		},
	}
	fields := reflect.TypeFor[keys.Change]()
	for field := range fields.Fields() {
		if field.Name == "Version" { // which is a condition, and changes nothing
			continue
		}
		if len(cases[field.Name]) == 0 {
			t.Errorf("%s is not tried", field.Name)
		}
	}
	for name, changes := range cases {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			start := env.create(keys.Spec{
				Label: "before", Scopes: []string{"keys:manage"}, RateLimit: 7, Networks: mustNetworks(t, "192.0.2.0/24"), Metadata: "before", Lifetime: time.Hour,
			}).Record
			for i, c := range changes {
				time.Sleep(time.Second) // on the test's own clock
				want := env.records()[start.ID]
				c.want(&want)
				want.Version++
				got, err := env.manager.Change(t.Context(), "acme", "", start.ID, c.change)
				if diff := cmp.Diff(want, got, cmpRecords); err != nil || diff != "" {
					t.Errorf("%s %d: %v\n%s", name, i, err, diff)
				}
				if diff := cmp.Diff(want, env.records()[start.ID], cmpRecords); diff != "" {
					t.Errorf("%s %d, stored:\n%s", name, i, diff)
				}
			}
		})
	}
}

// TestChangesThatChangeNothing writes nothing for a change of nothing, and leaves a
// pause as old as it is.
func TestChangesThatChangeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id := env.create(keys.Spec{}).Record.ID
		if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Disabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		before := env.records()[id]
		env.types()
		time.Sleep(time.Second) // on the test's own clock
		a := env.manager.As(keys.Principal{Org: "acme", ID: "cli:anna"})
		for name, change := range map[string]func() (keys.Record, error){
			"host":  func() (keys.Record, error) { return env.manager.Change(t.Context(), "acme", "", id, keys.Change{}) },
			"actor": func() (keys.Record, error) { return a.Change(t.Context(), keys.KindKey, id, keys.Change{}) },
		} {
			rec, err := change()
			if diff := cmp.Diff(before, rec, cmpRecords); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", name, err, diff)
			}
		}
		if types := env.types(); len(types) > 0 || env.records()[id].Version != before.Version {
			t.Errorf("events %v, version %d", types, env.records()[id].Version)
		}
		rec, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Disabled: new(true)})
		if err != nil || !rec.DisabledAt.Equal(before.DisabledAt) {
			t.Errorf("paused again at %v, %v", rec.DisabledAt, err)
		}
	})
}

// TestRotateKeepsEachField rotates a record with every field set. A new field is tried
// without a change of the test.
func TestRotateKeepsEachField(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		old := fullRecord(t, keys.KindKey)
		old.ReplacedBy, old.RevokedAt, old.DisabledAt, old.Version = "", time.Time{}, time.Time{}, 1
		old.CreatedAt, old.ExpiresAt = now(), now().Add(2*time.Hour)
		env.insert(old)
		time.Sleep(time.Minute) // on the test's own clock
		next, err := env.manager.Rotate(t.Context(), "acme", old.ID, keys.Rotation{Overlap: time.Hour, CreatedBy: "cli:anna"})
		if err != nil {
			t.Fatal(err)
		}
		want := old
		want.ID, want.Digest, want.Previous, want.PreviousExpiresAt = next.Record.ID, next.Record.Digest, keys.Digest{}, time.Time{}
		want.CreatedBy, want.Replaces, want.CreatedAt, want.ExpiresAt = "cli:anna", old.ID, now(), now().Add(2*time.Hour)
		if diff := cmp.Diff(want, next.Record, cmpRecords); diff != "" {
			t.Errorf("the successor:\n%s", diff)
		}
		want = old
		want.ReplacedBy, want.ExpiresAt, want.Version = next.Record.ID, now().Add(time.Hour), 2
		if diff := cmp.Diff(want, env.records()[old.ID], cmpRecords); diff != "" {
			t.Errorf("the old key:\n%s", diff)
		}
	})
}

// TestRotateKeepsTheEnvironmentOfTheID rotates a key whose environment is only in its
// ID.
func TestRotateKeepsTheEnvironmentOfTheID(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	rec := goodRecord(t, keys.KindKey)
	rec.ID, rec.Environment = "vck_test_0123456789012345678901", ""
	env.insert(rec)
	next, err := env.manager.Rotate(t.Context(), "acme", rec.ID, keys.Rotation{Overlap: time.Hour})
	if err != nil || next.Record.Environment != "test" || !strings.HasPrefix(next.Record.ID, "vck_test_") {
		t.Errorf("%s in %q, %v", next.Record.ID, next.Record.Environment, err)
	}
	p := caller(t, env, keys.Spec{Scopes: admin.Scopes, Environment: "test"})
	if next, err = env.manager.As(p).Rotate(t.Context(), rec.ID, keys.Rotation{Overlap: time.Hour}); err != nil || next.Record.Environment != "test" {
		t.Errorf("by a caller of that environment: %q, %v", next.Record.Environment, err)
	}
	rec.ID, rec.Environment = "vck_old_1", "old" // which the format does not have any more
	env.insert(rec)
	if next, err := env.manager.Rotate(t.Context(), "acme", rec.ID, keys.Rotation{}); !errors.Is(err, keys.ErrInvalid) || next.Text.Len() > 0 {
		t.Errorf("in an environment that is gone: %v, %v", next.Record, err)
	}
}
