package keys_test

import (
	"context"
	"fmt"

	"github.com/claviger-auth/claviger/keys"
)

// A host with sessions of its own puts the user into the context of a request, as a
// guard does with the owner of a key.
func ExampleNewContext() {
	ctx := keys.NewContext(context.Background(), keys.Principal{Org: "acme", ID: "user:anna"})

	principal, ok := keys.FromContext(ctx)
	fmt.Println(principal.Org, principal.ID, ok)
	_, ok = keys.FromContext(context.Background())
	fmt.Println(ok)
	// Output:
	// acme user:anna true
	// false
}
