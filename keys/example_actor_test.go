package keys_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/claviger-auth/claviger/keys"
)

// What a caller asks for goes through an Actor, which holds the caller to what it
// has itself.
func ExampleActor() {
	ctx := context.Background()
	manager := newManager()
	issued, err := manager.Create(ctx, "acme", keys.Spec{Scopes: []string{"keys:manage", "orders:read"}, RateLimit: 100})
	if err != nil {
		log.Fatal(err)
	}
	caller, err := manager.Verifier().Verify(ctx, issued.Text.Reveal())
	if err != nil {
		log.Fatal(err)
	}
	actor := manager.As(caller)

	made, err := actor.Create(ctx, keys.Spec{Scopes: []string{"orders:read"}})
	fmt.Println(made.Record.Scopes, made.Record.RateLimit, made.Record.CreatedBy == caller.ID, err)

	_, err = actor.Create(ctx, keys.Spec{Scopes: []string{"orders:write"}})
	var beyond *keys.BeyondError
	fmt.Println(errors.As(err, &beyond), beyond.Field)

	fmt.Println(actor.Revoke(ctx, keys.KindKey, made.Record.ID))
	// Output:
	// orders:read 100 true <nil>
	// true scopes
	// <nil>
}

// A host with sessions of its own makes principals for them. They have no Kind.
func ExampleManager_As() {
	ctx := context.Background()
	manager := newManager()
	scopes, err := manager.Catalog().Grant("orders:read", "keys:manage")
	if err != nil {
		log.Fatal(err)
	}
	session := keys.Principal{Org: "acme", ID: "user:anna", Scopes: scopes, RateLimit: 600}
	issued, err := manager.As(session).Create(ctx, keys.Spec{Scopes: []string{"orders:read"}})
	fmt.Println(issued.Record.CreatedBy, err)
	// Output: user:anna <nil>
}
