//go:build unix

package pgstore_test

import (
	"testing"

	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestStore runs the whole kit, on a server that it may break; with -short on one
// that it may not. See TestPooler and TestPgBouncer for other ways to a server.
func TestStore(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		judge(t, connect(t), open(t, nil), new(storetest.Options[store.Store]))
		return
	}
	server := start(t, "fsync=off") // as durability is not what the kit sees
	pool := connectTo(t, server.DSN)
	judge(t, pool, openOn(t, pool, "claviger", nil), &storetest.Options[store.Store]{
		Break: func(t testing.TB, _ store.Store) (mend func()) { return freeze(t, server) },
	})
}
