package storetest_test

import (
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A recorder is a test that only notes whether it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

// CheckTrail finds a change without an entry, and an entry without a change.
func TestCheckTrail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, s *store.Memory, r keys.Record) error
		fails bool
	}{
		{"nothing", func(*testing.T, *store.Memory, keys.Record) error { return nil }, false},
		{"a change without an entry", func(t *testing.T, s *store.Memory, r keys.Record) error { return s.Update(t.Context(), r) }, true},
		{"a record without an entry", func(t *testing.T, s *store.Memory, r keys.Record) error {
			r.ID += "2"
			return s.Insert(t.Context(), r)
		}, true},
		{"an entry without a record", func(t *testing.T, s *store.Memory, r keys.Record) error {
			return s.AddEntry(t.Context(), keys.Entry{Org: r.Org, ID: "nobody", Time: r.CreatedAt, Action: keys.ActionCreated, Version: 1})
		}, true},
		{"an entry without a change", func(t *testing.T, s *store.Memory, r keys.Record) error {
			return s.AddEntry(t.Context(), keys.Entry{Org: r.Org, ID: r.ID, Time: r.CreatedAt, Action: keys.ActionChanged, Version: 2})
		}, true},
		{"an entry about refusals", func(t *testing.T, s *store.Memory, r keys.Record) error {
			return s.AddEntry(t.Context(), keys.Entry{Org: r.Org, ID: r.ID, Time: r.CreatedAt, Action: keys.ActionRefused, Count: 2})
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := new(store.Memory)
			m, err := keys.NewManager(s, &keys.Options{Trail: true})
			if err != nil {
				t.Fatal(err)
			}
			issued, err := m.Create(t.Context(), "acme", keys.Spec{})
			if err == nil {
				err = tt.spoil(t, s, issued.Record)
			}
			if err != nil {
				t.Fatal(err)
			}
			r := &recorder{TB: t}
			if storetest.CheckTrail(r, s, "acme"); r.failed != tt.fails {
				t.Errorf("CheckTrail failed: %t", r.failed)
			}
		})
	}
}
