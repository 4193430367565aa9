package scopes_test

import (
	"errors"
	"fmt"

	"github.com/claviger-auth/claviger/scopes"
)

func Example() {
	held := scopes.MustParse("webhooks:manage identity:read")
	fmt.Println(held)
	fmt.Println(held.Contains("identity:read"), held.Contains("identity:*"))
	fmt.Println(held == scopes.MustParse("identity:read webhooks:manage"))
	// Output:
	// identity:read webhooks:manage
	// true false
	// true
}

func ExampleCatalog_Grant() {
	catalog := scopes.MustCatalog(
		scopes.Scope{Name: "identity:read", Description: "Read who the caller is", Status: scopes.Always},
		scopes.Scope{Name: "webhooks:manage", Description: "Manage webhook subscriptions"},
		scopes.Scope{Name: "leads:read", Status: scopes.Reserved},
	)

	granted, _ := catalog.Grant("webhooks:manage")
	fmt.Println(granted)

	_, err := catalog.Grant("leads:read", "lead:read")
	var refused *scopes.GrantError
	if errors.As(err, &refused) {
		fmt.Println("reserved:", refused.Reserved, "unknown:", refused.Unknown)
	}
	// Output:
	// identity:read webhooks:manage
	// reserved: [leads:read] unknown: [lead:read]
}
