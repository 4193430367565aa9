package keysimport_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keysimport"
	"github.com/claviger-auth/claviger/store"
)

// A key of Laravel Sanctum, of which the table holds a hash, goes on working.
func Example() {
	ctx := context.Background()
	file := strings.NewReader("id,digest,label\n" +
		"7,d5c4b490c51ba1262590e1fd7709500791078412a11e4bc89e81f635d6ba7420,phone\n" +
		"8,damaged,tablet\n")

	preset, _ := keysimport.Lookup("sanctum")
	format := must(preset.Format(""))
	manager := must(keys.NewManager(new(store.Memory), &keys.Options{OtherFormats: []*keys.Format{format}}))
	rows := must(keysimport.ReadCSV(file, preset, &keysimport.Defaults{Org: "acme", Format: format}))
	summary := must(keysimport.Run(ctx, manager, rows, &keysimport.Options{
		Verdict: func(v keysimport.Verdict) error {
			fmt.Println(v.Line, v.Outcome, v.ID+v.Reason)
			return nil
		},
	}))
	fmt.Printf("%+v\n", summary)

	caller, err := manager.Verifier().Verify(ctx, "7|AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdcd7e2082")
	fmt.Println(caller.Org, caller.Label, err)
	// Output:
	// 2 added sanctum_7
	// 3 refused keys: invalid value: digest is in a form that is not known
	// {Rows:2 Added:1 Existed:0 Refused:1}
	// acme phone <nil>
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
