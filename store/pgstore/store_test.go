package pgstore_test

import (
	"testing"

	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestStore runs the whole kit; see TestPooler for other modes.
func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Test(t, func(t testing.TB) store.Store { return open(t, nil) })
}
