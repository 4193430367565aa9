package keys_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// A plan is what all the credentials of an organization may do together.
func ExampleOptions_plan() {
	ctx := context.Background()
	plans := map[string]int{"acme": 6000, "globex": 60}
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{
		Plan: func(_ context.Context, org string) (int, error) { return plans[org], nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, org := range []string{"acme", "globex", "initech"} {
		for _, own := range []int{0, 1000} { // requests per minute in the key's record
			issued, err := manager.Create(ctx, org, keys.Spec{RateLimit: own})
			if err != nil {
				log.Fatal(err)
			}
			principal, err := manager.Verifier().Verify(ctx, issued.Text.Reveal())
			fmt.Println(org, own, principal.RateLimit, err)
		}
	}
	// Output:
	// acme 0 6000 <nil>
	// acme 1000 1000 <nil>
	// globex 0 60 <nil>
	// globex 1000 60 <nil>
	// initech 0 600 <nil>
	// initech 1000 1000 <nil>
}

// A pepper is a key that the host keeps outside the store. To change peppers, put
// the new one first: digests move to it as their secrets are used.
func ExamplePepper() {
	ctx := context.Background()
	records := new(store.Memory)
	before := keys.Pepper{Name: "2025", Key: keys.NewSecret(strings.Repeat("a", 32))} // from a vault
	after := keys.Pepper{Name: "2026", Key: keys.NewSecret(strings.Repeat("b", 32))}

	manager, err := keys.NewManager(records, &keys.Options{Peppers: []keys.Pepper{before}})
	if err != nil {
		log.Fatal(err)
	}
	issued, err := manager.Create(ctx, "acme", keys.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(issued.Record.Digest.Text()[:24])

	manager, err = keys.NewManager(records, &keys.Options{Peppers: []keys.Pepper{after, before}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := manager.Verifier().Verify(ctx, issued.Text.Reveal()); err != nil {
		log.Fatal(err)
	}
	record, err := manager.Find(ctx, issued.Record.ID)
	fmt.Println(record.Digest.Text()[:24], err)
	// Output:
	// $hmac-sha256$v=1,k=2025$
	// $hmac-sha256$v=1,k=2026$ <nil>
}

func ExampleHook() {
	ctx := context.Background()
	hook := func(_ context.Context, e keys.Event) { fmt.Println(e.Type, e.Kind, e.Org) }
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{Hook: hook})
	if err != nil {
		log.Fatal(err)
	}
	issued, err := manager.Create(ctx, "acme", keys.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	if err := manager.Revoke(ctx, "acme", keys.KindKey, issued.Record.ID); err != nil {
		log.Fatal(err)
	}
	// Output:
	// created key acme
	// revoked key acme
}

func ExampleLogEvents() {
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "id" { // which differ from run to run
				return slog.Attr{}
			}
			return a
		},
	}))
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{Hook: keys.LogEvents(logger)})
	if err != nil {
		log.Fatal(err)
	}
	// Whoever puts a principal into the context is named.
	ctx = keys.NewContext(ctx, keys.Principal{Org: "acme", ID: "user:anna"})
	if _, err := manager.Create(ctx, "acme", keys.Spec{}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=INFO msg="credential created" org=acme kind=key by=user:anna
}
