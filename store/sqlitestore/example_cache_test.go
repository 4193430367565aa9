package sqlitestore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// Checks are served from a cache, and a revocation still holds in every process when the
// call returns. The stores for PostgreSQL and Redis take a cache in the same way.
func Example_cache() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := sqlitestore.Open(filepath.Join(dir, "claviger.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	cache, err := keys.NewCache(db, &keys.CacheOptions{Lease: 50 * time.Millisecond}) // the default is a second
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error)
	go func() { done <- cache.Run(ctx) }()

	manager, err := keys.NewManager(cache, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	issued, err := manager.Create(ctx, "acme", keys.Spec{})
	if err != nil {
		fmt.Println(err)
		return
	}
	principal, err := manager.Verifier().Verify(ctx, issued.Text.Reveal())
	fmt.Println(principal.Org, err)
	fmt.Println(manager.Revoke(ctx, "acme", keys.KindKey, issued.Record.ID)) // waits for the caches of all processes
	_, err = manager.Verifier().Verify(ctx, issued.Text.Reveal())
	fmt.Println(err)

	stop()
	fmt.Println(<-done)
	// Output:
	// acme <nil>
	// <nil>
	// keys: credential was revoked
	// <nil>
}
