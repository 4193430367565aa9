//go:build unix

package pgstore_test

import (
	"testing"

	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestStore runs the whole kit, on a server that it may break; see TestPooler and
// TestPgBouncer for other ways to a server.
func TestStore(t *testing.T) {
	t.Parallel()
	server := start(t)
	pool := connectTo(t, server.DSN)
	judge(t, pool, openOn(t, pool, "claviger", nil), &storetest.Options[store.Store]{
		Break: func(t testing.TB, _ store.Store) (mend func()) { return freeze(t, server) },
	})
}
