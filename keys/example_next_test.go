package keys_test

import (
	"fmt"
	"log"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// Next is all that a store has to know of an update. See the example of Store.
func ExampleNext() {
	digest, err := keys.ParseDigest("$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
	if err != nil {
		log.Fatal(err)
	}
	old := keys.Record{
		ID: "shop_1", Kind: keys.KindKey, Org: "acme", RateLimit: 600,
		Digest: digest, CreatedAt: time.UnixMilli(1767225600000).UTC(), Version: 1,
	}
	change := old
	change.Label, change.CreatedBy = "nightly export", "somebody else"

	next, err := keys.Next(old, change)
	fmt.Printf("%q %q %d %v\n", next.Label, next.CreatedBy, next.Version, err)

	_, err = keys.Next(next, change) // which was made of the first version
	fmt.Println(err)
	// Output:
	// "nightly export" "" 2 <nil>
	// keys: record was changed meanwhile
}
