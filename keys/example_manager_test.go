package keys_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// newManager returns the manager of a service that sells orders.
func newManager() *keys.Manager {
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{
		Format: keys.MustFormat("shop_", keys.Dotted, nil),
		Catalog: scopes.MustCatalog(
			scopes.Scope{Name: "orders:read"},
			scopes.Scope{Name: "orders:write"},
			scopes.Scope{Name: "keys:manage"},
		),
	})
	if err != nil {
		log.Fatal(err)
	}
	return manager
}

func ExampleManager_Create() {
	ctx := context.Background()
	manager := newManager()
	issued, err := manager.Create(ctx, "acme", keys.Spec{
		Label:    "nightly export",
		Scopes:   []string{"orders:read"},
		Lifetime: 90 * 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	text := issued.Text.Reveal() // for its owner, this one time

	principal, err := manager.Verifier().Verify(ctx, text)
	fmt.Println(principal.Org, principal.Scopes, principal.RateLimit, err)

	_, err = manager.Verifier().Verify(ctx, text+"x")
	fmt.Println(err)
	// Output:
	// acme orders:read 600 <nil>
	// keys: malformed credential
}

func ExampleManager_Import() {
	ctx := context.Background()
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{
		Format: keys.MustFormat("shop_", keys.Dotted, &keys.FormatOptions{AllowForeign: true}),
	})
	if err != nil {
		log.Fatal(err)
	}
	// A key that the old system made. Its owner goes on using it.
	old := keys.NewSecret("shop_customer42.correct-horse-battery")
	record, err := manager.Import(ctx, "acme", old, keys.Spec{Label: "from the old system"})
	fmt.Println(record.ID, record.Digest, err)

	principal, err := manager.Verifier().Verify(ctx, old.Reveal())
	fmt.Println(principal.Org, err)
	// Output:
	// shop_customer42 argon2id <nil>
	// acme <nil>
}

func ExampleManager_Change() {
	ctx := context.Background()
	manager := newManager()
	issued, err := manager.Create(ctx, "acme", keys.Spec{Scopes: []string{"orders:read", "orders:write"}})
	if err != nil {
		log.Fatal(err)
	}
	record, err := manager.Change(ctx, "acme", keys.KindKey, issued.Record.ID, keys.Change{
		Label:  new("read only"),
		Scopes: &[]string{"orders:read"},
	})
	fmt.Println(record.Label, record.Scopes, err)

	// A pause can be ended again. A revocation cannot.
	if _, err := manager.Change(ctx, "acme", keys.KindKey, issued.Record.ID, keys.Change{Disabled: new(true)}); err != nil {
		log.Fatal(err)
	}
	_, err = manager.Verifier().Verify(ctx, issued.Text.Reveal())
	fmt.Println(err)
	// Output:
	// read only orders:read <nil>
	// keys: credential is paused
}

func ExampleManager_Rotate() {
	ctx := context.Background()
	manager := newManager()
	old, err := manager.Create(ctx, "acme", keys.Spec{Scopes: []string{"orders:read"}})
	if err != nil {
		log.Fatal(err)
	}
	// For a day both keys are good.
	next, err := manager.Rotate(ctx, "acme", old.Record.ID, keys.Rotation{Overlap: 24 * time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	verifier, tomorrow := manager.Verifier(), time.Now().Add(25*time.Hour)
	principal, err := verifier.Verify(ctx, old.Text.Reveal())
	fmt.Println(principal.ReplacedBy == next.Record.ID, err)
	principal, err = verifier.VerifyAt(ctx, next.Text.Reveal(), tomorrow)
	fmt.Println(principal.Scopes, err)
	_, err = verifier.VerifyAt(ctx, old.Text.Reveal(), tomorrow)
	fmt.Println(err)
	// Output:
	// true <nil>
	// orders:read <nil>
	// keys: credential has expired
}

func ExampleManager_RotateSecret() {
	ctx := context.Background()
	manager := newManager()
	client, err := manager.Create(ctx, "acme", keys.Spec{Kind: keys.KindClient})
	if err != nil {
		log.Fatal(err)
	}
	next, err := manager.RotateSecret(ctx, "acme", client.Record.ID, time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	for _, secret := range []keys.Secret{client.Text, next.Text} {
		_, err := manager.Verifier().VerifyClient(ctx, client.Record.ID, secret.Reveal(), time.Now())
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
}

func ExampleManager_Revoke() {
	ctx := context.Background()
	manager := newManager()
	issued, err := manager.Create(ctx, "acme", keys.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	// To another organization there is no such key.
	err = manager.Revoke(ctx, "globex", keys.KindKey, issued.Record.ID)
	fmt.Println(errors.Is(err, keys.ErrNotFound))

	fmt.Println(manager.Revoke(ctx, "acme", keys.KindKey, issued.Record.ID))
	_, err = manager.Verifier().Verify(ctx, issued.Text.Reveal())
	fmt.Println(err)
	// Output:
	// true
	// <nil>
	// keys: credential was revoked
}

func ExampleManager_RevokeDescendants() {
	ctx := context.Background()
	manager := newManager()
	leaked, err := manager.Create(ctx, "acme", keys.Spec{Scopes: []string{"keys:manage"}})
	if err != nil {
		log.Fatal(err)
	}
	principal, err := manager.Verifier().Verify(ctx, leaked.Text.Reveal())
	if err != nil {
		log.Fatal(err)
	}
	for range 3 { // made by whoever has the leaked key
		if _, err := manager.As(principal).Create(ctx, keys.Spec{}); err != nil {
			log.Fatal(err)
		}
	}
	n, err := manager.RevokeDescendants(ctx, "acme", keys.KindKey, leaked.Record.ID)
	fmt.Println(n, err)
	// Output: 4 <nil>
}

func ExampleManager_List() {
	ctx := context.Background()
	manager := newManager()
	for _, label := range []string{"a", "b"} {
		if _, err := manager.Create(ctx, "acme", keys.Spec{Label: label}); err != nil {
			log.Fatal(err)
		}
	}
	n := 0
	for record, err := range manager.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Live: true}) {
		if err != nil {
			log.Fatal(err)
		}
		if n++; record.Revoked() {
			fmt.Println("a revoked key")
		}
	}
	fmt.Println(n)
	// Output: 2
}
