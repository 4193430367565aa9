package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A host that calls Update cannot know whether a lost answer was a write. It
// reads the record again instead of guessing.
func ExampleFaults() {
	ctx := context.Background()
	faults := storetest.NewFaults(new(store.Memory))
	digest, _ := keys.ParseDigest("$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
	r := keys.Record{ID: "key_1", Kind: keys.KindKey, Org: "acme", RateLimit: 600, Digest: digest, CreatedAt: time.UnixMilli(1e12), Version: 1}
	_ = faults.Insert(ctx, r)

	faults.Lose(storetest.Update, 1, errors.New("connection reset"))
	r.RevokedAt = time.UnixMilli(2e12)
	fmt.Println("revoke:", faults.Update(ctx, r))

	r, _, _ = faults.Get(ctx, "key_1")
	fmt.Println("revoked:", r.Revoked(), "version:", r.Version)

	faults.Fail(storetest.Get, storetest.Always, errors.New("no route to host"))
	_, _, err := faults.Get(ctx, "key_1")
	fmt.Println("get:", err, "calls:", faults.Calls(storetest.Get))
	// Output:
	// revoke: connection reset
	// revoked: true version: 2
	// get: no route to host calls: 2
}
