package storetest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A token that is corrupted is corrupted with its parent.
func TestFaultsCorruptParent(t *testing.T) {
	t.Parallel()
	f := storetest.NewFaults(filled(t))
	f.Corrupt(storetest.Get, 1, func(r *keys.Record) { r.Org = "of " + r.ID })
	r, parent, err := f.Get(t.Context(), "oauth_2")
	if err != nil || r.Org != "of oauth_2" || parent.Org != "of cc_1" {
		t.Errorf("Get gave records of %q and %q, %v", r.Org, parent.Org, err)
	}
}

// Over a store that does not count, Count gives what a walk over the lists gives,
// and is what that is to a test: counted, and as faulty.
func TestFaultsWithoutCount(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1e12)
	tests := []struct {
		name  string
		now   time.Time
		most  int
		fault func(*storetest.Faults)
		want  int
		err   error
		lists int
	}{
		{"all", now, 10, nil, 2, nil, 1},
		{"one of them expired", now.AddDate(100, 0, 0), 10, nil, 1, nil, 1},
		{"none", now, 0, nil, 0, nil, 0},
		{"List fails", now, 10, func(f *storetest.Faults) { f.Fail(storetest.List, 1, errDown) }, 0, errDown, 1},
		{"Count fails", now, 10, func(f *storetest.Faults) { f.Fail(storetest.Count, 1, errDown) }, 0, errDown, 0},
		{"Count is lost", now, 10, func(f *storetest.Faults) { f.Lose(storetest.Count, 1, errLost) }, 0, errLost, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := storetest.NewFaults(plain{filled(t)})
			if tt.fault != nil {
				tt.fault(f)
			}
			n, err := f.Count(t.Context(), "acme", keys.KindToken, tt.now, tt.most)
			if n != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Count gave %d, %v; want %d, %v", n, err, tt.want, tt.err)
			}
			if lists, counts := f.Calls(storetest.List), f.Calls(storetest.Count); lists != tt.lists || counts != 1 {
				t.Errorf("%d calls of List and %d of Count were counted, want %d and 1", lists, counts, tt.lists)
			}
		})
	}
}

// A store that keeps no uses, or lists no organizations, is not made to look as if
// it did.
func TestFaultsUnsupported(t *testing.T) {
	t.Parallel()
	f := storetest.NewFaults(plain{filled(t)})
	if err := f.NoteUses(t.Context(), map[string]time.Time{"key_1": time.UnixMilli(1e12)}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("NoteUses failed with %v, want ErrUnsupported", err)
	}
	if uses, err := f.LastUses(t.Context(), []string{"key_1"}); uses != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("LastUses gave %v, %v; want ErrUnsupported", uses, err)
	}
	if orgs, err := f.Orgs(t.Context(), "", 10); orgs != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Orgs gave %v, %v; want ErrUnsupported", orgs, err)
	}
	f.Fail(storetest.LastUses, 1, errDown)
	if _, err := f.LastUses(t.Context(), nil); err != errDown {
		t.Errorf("LastUses that was to fail: %v", err)
	}
}
