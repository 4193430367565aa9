package keys_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// A store that keeps a record as one text uses its JSON, whose form will not
// change. What a reader does not know it refuses.
func ExampleRecord_MarshalJSON() {
	digest, err := keys.ParseDigest("$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
	if err != nil {
		log.Fatal(err)
	}
	record := keys.Record{
		ID: "shop_1", Kind: keys.KindKey, Org: "acme", Scopes: scopes.MustParse("orders:read"), RateLimit: 600,
		Digest: digest, CreatedAt: time.UnixMilli(1767225600000).UTC(), Version: 1,
	}
	data, err := json.Marshal(record)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(data))

	var back keys.Record
	err = json.Unmarshal(data, &back)
	fmt.Println(back == record, err)
	err = json.Unmarshal([]byte(`{"format":1,"id":"shop_1","colour":"red"}`), &back)
	fmt.Println(errors.Is(err, keys.ErrCorrupt))
	// Output:
	// {"format":1,"id":"shop_1","kind":"key","org":"acme","scopes":["orders:read"],"rate_limit":600,"digest":"$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE","created_at":"2026-01-01T00:00:00.000Z","version":1}
	// true <nil>
	// true
}
