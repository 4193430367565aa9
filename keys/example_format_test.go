package keys_test

import (
	"fmt"
	"log"

	"github.com/claviger-auth/claviger/keys"
)

func ExampleNewFormat() {
	format, err := keys.NewFormat("shop_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live", "test"}})
	if err != nil {
		log.Fatal(err)
	}
	credential, err := format.New("test")
	if err != nil {
		log.Fatal(err)
	}
	text := format.Text(credential).Reveal()
	fmt.Println(credential.ID[:10], credential.Environment, len(text))

	parsed, err := format.Parse(text)
	fmt.Println(parsed.ID == credential.ID, err)
	_, err = format.Parse("shop_live_abc.def")
	fmt.Println(err)
	// Output:
	// shop_test_ test 82
	// true <nil>
	// keys: malformed credential
}

// Keys that another system made have no checksum. A format has to allow them.
func ExampleFormatOptions_allowForeign() {
	format := keys.MustFormat("shop_", keys.Dotted, &keys.FormatOptions{
		Environments: []string{"live", "test"},
		AllowForeign: true,
	})
	credential, err := format.Parse("shop_test_REPLACE_ME.your-secret-here")
	fmt.Println(credential.ID, credential.Environment, err)
	// Output: shop_test_REPLACE_ME test <nil>
}

// A pattern is what scanners for leaked secrets are given.
func ExampleFormat_Pattern() {
	format := keys.MustFormat("shop_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live", "test"}})
	fmt.Println(format.Pattern())
	// Output: shop_(?:live|test)_[0-9A-Za-z]{22}\.[0-9A-Za-z]{49}
}
