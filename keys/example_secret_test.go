package keys_test

import (
	"encoding/json"
	"fmt"

	"github.com/claviger-auth/claviger/keys"
)

func ExampleSecret() {
	secret := keys.NewSecret("hunter2")
	fmt.Println(secret)
	fmt.Printf("%s %q %#v %x\n", secret, secret, secret, secret)
	data, err := json.Marshal(map[string]keys.Secret{"password": secret})
	fmt.Println(string(data), err)
	fmt.Println(secret.Reveal())
	// Output:
	// [redacted]
	// [redacted] [redacted] [redacted] [redacted]
	// {"password":"[redacted]"} <nil>
	// hunter2
}
