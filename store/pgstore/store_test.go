//go:build unix

package pgstore_test

import (
	"os"
	"testing"

	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestStore runs the whole kit, some clauses at once. With CLAVIGER_LONG it runs them
// one after another, on a server that it may break. See TestPooler and TestPgBouncer for
// other ways to a server.
func TestStore(t *testing.T) {
	t.Parallel()
	server := start(t, "fsync=off") // as durability is not what the kit sees
	pool := connectTo(t, server.DSN)
	if os.Getenv("CLAVIGER_LONG") == "" {
		judge(t, pool, new(storetest.Options[store.Store]), openOn(t, pool, "a", nil), openOn(t, pool, "b", nil), openOn(t, pool, "c", nil))
		return
	}
	judge(t, pool, &storetest.Options[store.Store]{
		Break: func(t testing.TB, _ store.Store) (mend func()) { return freeze(t, server) },
	}, openOn(t, pool, "claviger", nil))
}
