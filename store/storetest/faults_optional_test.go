package storetest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A plain store has the six methods alone.
type plain struct{ store.Store }

// A family that is corrupted is corrupted in both of its records.
func TestFaultsCorruptFamily(t *testing.T) {
	t.Parallel()
	f := storetest.NewFaults(filled(t))
	f.Corrupt(storetest.GetFamily, 1, func(r *keys.Record) { r.Org = "of " + r.ID })
	r, parent, err := f.GetFamily(t.Context(), "oauth_2")
	if err != nil || r.Org != "of oauth_2" || parent.Org != "of cc_1" {
		t.Errorf("GetFamily gave records of %q and %q, %v", r.Org, parent.Org, err)
	}
}

// Over a store that cannot read families, GetFamily gives what two calls of Get
// give, and is what they are to a test: counted, and as faulty.
func TestFaultsWithoutFamily(t *testing.T) {
	t.Parallel()
	token, client := record(t, keys.KindToken, "oauth_2"), record(t, keys.KindClient, "cc_1")
	token.ExpiresAt = time.Time{}
	none := keys.Record{}
	tests := []struct {
		name        string
		id          string
		fault       func(*storetest.Faults)
		rec, parent keys.Record
		err         error
		gets        int
	}{
		{"a token", "oauth_2", nil, token, client, nil, 2},
		{"a key", "key_1", nil, record(t, keys.KindKey, "key_1"), none, nil, 1},
		{"nothing", "key_2", nil, none, none, keys.ErrNotFound, 1},
		{"no parent", "oauth_2", func(f *storetest.Faults) {
			f.Corrupt(storetest.Get, 1, func(r *keys.Record) { r.Parent = "cc_2" })
		}, func() keys.Record { r := token; r.Parent = "cc_2"; return r }(), none, nil, 2},
		{"Get fails", "oauth_2", func(f *storetest.Faults) { f.Fail(storetest.Get, 1, errDown) }, none, none, errDown, 1},
		{"the second answer is lost", "oauth_2", func(f *storetest.Faults) {
			f.Corrupt(storetest.Get, 1, func(*keys.Record) { f.Lose(storetest.Get, 1, errLost) })
		}, none, none, errLost, 2},
		{"GetFamily fails", "oauth_2", func(f *storetest.Faults) { f.Fail(storetest.GetFamily, 1, errDown) }, none, none, errDown, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := storetest.NewFaults(plain{filled(t)})
			if tt.fault != nil {
				tt.fault(f)
			}
			rec, parent, err := f.GetFamily(t.Context(), tt.id)
			if rec != tt.rec || parent != tt.parent || !errors.Is(err, tt.err) {
				t.Errorf("GetFamily gave %v, %v, %v; want %v, %v, %v", rec, parent, err, tt.rec, tt.parent, tt.err)
			}
			if gets, families := f.Calls(storetest.Get), f.Calls(storetest.GetFamily); gets != tt.gets || families != 1 {
				t.Errorf("%d calls of Get and %d of GetFamily were counted, want %d and 1", gets, families, tt.gets)
			}
		})
	}
}

// A store that keeps no uses is not made to look as if it did.
func TestFaultsWithoutUses(t *testing.T) {
	t.Parallel()
	f := storetest.NewFaults(plain{filled(t)})
	if err := f.NoteUses(t.Context(), map[string]time.Time{"key_1": time.UnixMilli(1e12)}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("NoteUses failed with %v, want ErrUnsupported", err)
	}
	if uses, err := f.LastUses(t.Context(), []string{"key_1"}); uses != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("LastUses gave %v, %v; want ErrUnsupported", uses, err)
	}
	f.Fail(storetest.LastUses, 1, errDown)
	if _, err := f.LastUses(t.Context(), nil); err != errDown {
		t.Errorf("LastUses that was to fail: %v", err)
	}
}
