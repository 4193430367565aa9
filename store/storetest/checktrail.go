package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// CheckTrail fails a test unless the trail of an organization is sound, and has one
// entry for each version of each of its keys and clients. It can be used, for example,
// after a process was killed. All changes must have been made with a trail, and no
// entries cut.
func CheckTrail(t testing.TB, s keys.Store, org string) {
	t.Helper()
	m, err := keys.NewManager(s, &keys.Options{Trail: true})
	if err != nil {
		t.Fatal(err)
	}
	// A database may still carry out what a process sent before it was killed. Records
	// and entries, which are read one after the other, may then differ for a moment.
	for try := 1; ; try++ {
		err = checkTrail(t.Context(), m, org)
		if err == nil || try == 5 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("storetest: the trail of %q: %v", org, err)
	}
}

func checkTrail(ctx context.Context, m *keys.Manager, org string) error {
	if _, err := m.VerifyTrail(ctx, org); err != nil {
		return err
	}
	chains, err := m.Chains(ctx, org)
	if err != nil {
		return err
	}
	versions := make(map[string]int64) // the last one that has an entry, by ID
	for _, c := range chains {
		for e, err := range m.Entries(ctx, org, c.Name, 0) {
			switch {
			case err != nil:
				return err
			case e.Action == keys.ActionRefused:
			case e.Version != versions[e.ID]+1:
				return fmt.Errorf("the entry of version %d of %q comes after that of version %d", e.Version, e.ID, versions[e.ID])
			default:
				versions[e.ID] = e.Version
			}
		}
	}
	for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient} {
		for r, err := range m.List(ctx, keys.Query{Org: org, Kind: kind}) {
			if err != nil {
				return err
			}
			if versions[r.ID] != r.Version {
				return fmt.Errorf("%s has version %d, and the trail ends with version %d", r, r.Version, versions[r.ID])
			}
			delete(versions, r.ID)
		}
	}
	for id := range versions {
		return fmt.Errorf("it has %q, which is not there", id)
	}
	return nil
}
