package keys_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// A trail says who did what to which credential. The host keeps checkpoints of it
// where whoever can write to the database cannot.
func ExampleManager_VerifyTrail() {
	ctx := context.Background()
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{Trail: true})
	if err != nil {
		log.Fatal(err)
	}
	// A guard puts the caller and its address into the context of a request; a
	// program that is run by hand does it by itself.
	ctx = keys.NewContext(ctx, keys.Principal{Org: "acme", ID: "cli:anna"})
	ctx = keys.NewAddressContext(ctx, netip.MustParseAddr("192.0.2.7"))
	issued, err := manager.Create(ctx, "acme", keys.Spec{Label: "nightly export"})
	if err != nil {
		log.Fatal(err)
	}
	if err := manager.Revoke(ctx, "acme", keys.KindKey, issued.Record.ID); err != nil {
		log.Fatal(err)
	}
	for e, err := range manager.Entries(ctx, "acme", "", 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Seq, e.Action, e.ID == issued.Record.ID, e.Actor, e.Address)
	}

	checkpoints, err := manager.VerifyTrail(ctx, "acme")
	fmt.Println(len(checkpoints), checkpoints[0].Seq, err)

	// Later: the trail still has what it had then.
	_, err = manager.VerifyTrail(ctx, "acme", checkpoints...)
	fmt.Println(err)
	checkpoints[0].Hash[0]++
	_, err = manager.VerifyTrail(ctx, "acme", checkpoints...)
	fmt.Println(errors.Is(err, keys.ErrTampered))
	// Output:
	// 1 created true cli:anna 192.0.2.7
	// 2 revoked true cli:anna 192.0.2.7
	// 1 2 <nil>
	// <nil>
	// true
}
