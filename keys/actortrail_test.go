package keys_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/google/go-cmp/cmp"
)

// A trailing store is a Memory of which a test can do something after an update.
type trailing struct {
	store.Memory
	after func()
}

func (s *trailing) Update(ctx context.Context, r keys.Record) error {
	err := s.Memory.Update(ctx, r)
	if after := s.after; after != nil {
		s.after = nil
		after()
	}
	return err
}

// What is taken back says so.
func TestTrailTakenBack(t *testing.T) {
	t.Parallel()
	s := new(trailing)
	m := newTrail(t, s)
	names := make(map[string]string)
	create := func(name string, names map[string]string) keys.Issued {
		issued, err := m.Create(t.Context(), "acme", keys.Spec{Scopes: []string{"keys:manage"}})
		if err != nil {
			t.Fatal(err)
		}
		names[issued.Record.ID] = name
		return issued
	}
	admin, other := create("ADMIN", names), create("OTHER", names)
	caller, err := m.Verifier().Verify(t.Context(), admin.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	s.after = func() { // while the caller's call is under way
		for _, id := range []string{caller.ID, other.Record.ID} {
			if err := m.Revoke(t.Context(), caller.Org, keys.KindKey, id); err != nil {
				t.Error(err)
			}
		}
	}
	label := "new"
	if _, err := m.As(caller).Change(t.Context(), keys.KindKey, other.Record.ID, keys.Change{Label: &label}); !errors.Is(err, keys.ErrCallerEnded) {
		t.Fatal(err)
	}
	want := []string{
		`key ADMIN created by ""`,
		`key OTHER created by ""`,
		`key OTHER changed by "ADMIN" version 2 (label)`,
		`key ADMIN revoked by "" version 2 (revoked_at)`,
		`key OTHER revoked by "" version 3 (revoked_at)`,
		`key OTHER changed by "ADMIN" version 4 (label) taken_back`,
	}
	if diff := cmp.Diff(want, trailOf(t, m, "acme", names)); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// The name of a session may be anything, and keeps nobody from ending a key.
func TestTrailHostileActor(t *testing.T) {
	t.Parallel()
	m := newTrail(t, new(store.Memory))
	for _, name := range []string{"a\x00b", "\xff\xfe", strings.Repeat("é", 300), "a" + strings.Repeat("é", 300), ""} {
		issued, err := m.Create(t.Context(), "acme", keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		ctx := keys.NewContext(t.Context(), keys.Principal{Org: "acme", ID: name})
		if err := m.Revoke(ctx, "acme", keys.KindKey, issued.Record.ID); err != nil {
			t.Errorf("%.9q: %v", name, err)
		}
	}
	for e, err := range m.Entries(t.Context(), "acme", "", 0) {
		if err != nil || e.Validate() != nil {
			t.Errorf("entry %d: %v, %v", e.Seq, err, e.Validate())
		}
	}
}

// TestActors looks at whom entries name: the principal of an Actor, or otherwise the
// principal in the context, or nobody if the host acts by itself.
func TestActors(t *testing.T) {
	t.Parallel()
	m := newTrail(t, new(store.Memory))
	create := func() keys.Issued {
		t.Helper()
		issued, err := m.Create(t.Context(), "acme", keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	caller, err := m.Verifier().Verify(t.Context(), create().Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	anna := keys.NewContext(t.Context(), keys.Principal{Org: "acme", ID: "anna"})
	nobody := context.WithValue(t.Context(), keys.PrincipalKey, (*keys.Principal)(nil))
	for _, tt := range []struct {
		name  string
		do    func(id string) error
		actor string
	}{
		{"an actor, for somebody else's request", func(id string) error { return m.As(caller).Revoke(anna, keys.KindKey, id) }, caller.ID},
		{"the host, for somebody's request", func(id string) error {
			_, err := m.Rotate(anna, "acme", id, keys.Rotation{})
			return err
		}, "host:anna"},
		{"the host, by a name", func(id string) error {
			_, err := m.Rotate(anna, "acme", id, keys.Rotation{CreatedBy: "cli:otto"})
			return err
		}, "cli:otto"},
		{"a principal that is nil", func(id string) error { return m.Revoke(nobody, "acme", keys.KindKey, id) }, ""},
	} {
		id := create().Record.ID
		if err := tt.do(id); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var last keys.Entry
		for e := range m.Entries(t.Context(), "acme", "", 0) {
			if e.ID == id {
				last = e
			}
		}
		if last.Actor != tt.actor {
			t.Errorf("%s: by %q, want %q", tt.name, last.Actor, tt.actor)
		}
	}
}

// TestRotationTakenBack undoes a rotation. The entry about that says that the old key
// was changed, and not that it was rotated again.
func TestRotationTakenBack(t *testing.T) {
	t.Parallel()
	s := new(trailing)
	m := newTrail(t, s)
	create := func() keys.Issued {
		issued, err := m.Create(t.Context(), "acme", keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	caller, err := m.Verifier().Verify(t.Context(), create().Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	old := create().Record.ID
	s.after = func() { // while the caller's call is under way
		if err := m.Revoke(t.Context(), caller.Org, keys.KindKey, caller.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := m.As(caller).Rotate(t.Context(), old, keys.Rotation{Overlap: time.Hour}); !errors.Is(err, keys.ErrCallerEnded) {
		t.Fatal(err)
	}
	var got []string
	for e := range m.Entries(t.Context(), "acme", "", 0) {
		if e.ID == old {
			got = append(got, string(e.Action)+" "+e.Reason)
		}
	}
	if diff := cmp.Diff([]string{"created ", "rotated ", "changed taken_back"}, got); diff != "" {
		t.Error(diff)
	}
}
