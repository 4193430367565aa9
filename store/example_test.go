package store_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
)

// One value is both the store of a keys.Manager and that of a ratelimit.Limiter.
func ExampleMemory() {
	var memory store.Memory
	ctx := context.Background()

	manager, err := keys.NewManager(&memory, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	issued, err := manager.Create(ctx, "acme", keys.Spec{Label: "nightly export"})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, _, err := memory.Get(ctx, issued.Record.ID)
	fmt.Println(r.Label, r.Version, err)

	limiter, err := ratelimit.NewLimiter(&memory, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := limiter.Take(ctx, "acme", ratelimit.MustPerMinute(600), 1)
	fmt.Println(d.Allowed, d.Remaining, err)
	// Output:
	// nightly export 1 <nil>
	// true 599 <nil>
}

// Update is compare-and-swap: of two callers that read the same version, one
// has to read again.
func ExampleStore_update() {
	var s store.Store = new(store.Memory)
	ctx := context.Background()
	digest, _ := keys.ParseDigest("$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
	_ = s.Insert(ctx, keys.Record{
		ID: "key_1", Kind: keys.KindKey, Org: "acme", RateLimit: 600, Digest: digest,
		CreatedAt: time.UnixMilli(1_700_000_000_000), Version: 1,
	})

	mine, _, _ := s.Get(ctx, "key_1")
	theirs, _, _ := s.Get(ctx, "key_1")
	theirs.RevokedAt = time.UnixMilli(1_800_000_000_000)
	fmt.Println(s.Update(ctx, theirs))
	mine.Label = "renamed"
	fmt.Println(errors.Is(s.Update(ctx, mine), store.ErrConflict))
	// Output:
	// <nil>
	// true
}

// A host notes uses in batches rather than at each request: on a ticker, it
// passes on what it has collected since. Nothing of that can undo a revocation,
// since uses are kept apart from records.
func ExampleMemory_NoteUses() {
	var memory store.Memory
	ctx := context.Background()
	manager, err := keys.NewManager(&memory, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	issued, err := manager.Create(ctx, "acme", keys.Spec{})
	if err != nil {
		fmt.Println(err)
		return
	}
	id := issued.Record.ID
	noon := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	_ = memory.NoteUses(ctx, map[string]time.Time{id: noon})
	_ = memory.NoteUses(ctx, map[string]time.Time{id: noon.Add(-time.Minute), "key_of_nobody": noon}) // a node that is late

	uses, err := memory.LastUses(ctx, []string{id, "key_of_nobody"})
	fmt.Println(len(uses), uses[id], err)
	r, _, err := memory.Get(ctx, id)
	fmt.Println(r.Version, err)
	// Output:
	// 1 2026-05-01 12:00:00 +0000 UTC <nil>
	// 1 <nil>
}
