package customstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/claviger-auth/claviger/examples/customstore"
	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestConformance is all that the author of a store needs to write.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("each write waits for the disk")
	}
	storetest.Test(t, func(t testing.TB) store.Store {
		t.(*testing.T).Parallel()
		d, err := customstore.Open(filepath.Join(t.TempDir(), "records"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}, nil)
}

func TestRecordsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "records [of 2026]*") // no pattern
	open := func() *customstore.Dir {
		d, err := customstore.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	manager, err := keys.NewManager(open(), nil)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := keys.NewVerifier(open(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := verifier.Verify(t.Context(), issued.Text.Reveal()); err != nil || p.Org != "acme" {
		t.Errorf("after a restart: %+v, %v", p, err)
	}
	if n, err := manager.RevokeAll(t.Context(), "acme"); n != 1 || err != nil {
		t.Errorf("%d revoked, %v", n, err)
	}
}

func TestDamagedFileIsNoVerdict(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d, err := customstore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	manager, err := keys.NewManager(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(path, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if err := os.Truncate(files[0], 10); err != nil {
		t.Fatal(err)
	}
	verifier, err := keys.NewVerifier(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), issued.Text.Reveal()); !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, keys.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}
