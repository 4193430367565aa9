package keys_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

func ExampleUses() {
	ctx, cancel := context.WithCancel(context.Background())
	records := new(store.Memory)
	uses, err := keys.NewUses(records, nil)
	if err != nil {
		log.Fatal(err)
	}
	manager, err := keys.NewManager(records, &keys.Options{Uses: uses})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- uses.Run(ctx) }()

	issued, err := manager.Create(ctx, "acme", keys.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := manager.Verifier().Verify(ctx, issued.Text.Reveal()); err != nil {
		log.Fatal(err)
	}
	last, err := manager.LastUses(ctx, issued.Record.ID)
	fmt.Println(time.Since(last[issued.Record.ID]) < time.Minute, err)

	cancel() // as the process does when it ends
	fmt.Println(<-done)
	// Output:
	// true <nil>
	// <nil>
}
