package keys_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"time"

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

// Refusals are counted, and written to the trail now and then.
func ExampleRefusals() {
	ctx := context.Background()
	db := new(store.Memory)
	refusals, err := keys.NewRefusals(db, nil)
	if err != nil {
		log.Fatal(err)
	}
	manager, err := keys.NewManager(db, &keys.Options{Trail: true, Refusals: refusals})
	if err != nil {
		log.Fatal(err)
	}
	issued, err := manager.Create(ctx, "acme", keys.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	// A guard calls the hook, see middleware.Options.Hook. It gets the next hook of the
	// host, if there is one.
	hook := refusals.Hook(nil)
	for range 3 {
		hook(ctx, keys.Event{Type: keys.Refused, Time: time.Now(), ID: issued.Record.ID, Kind: keys.KindKey, Reason: keys.ReasonMismatch})
	}
	if err := refusals.Flush(ctx); err != nil { // a host calls Run in a goroutine instead
		log.Fatal(err)
	}
	for e, err := range manager.Entries(ctx, "acme", "", 1) {
		fmt.Println(e.Action, e.ID == issued.Record.ID, e.Count, e.Reason, err)
	}
	// Output:
	// refused true 3 wrong_secret <nil>
}
