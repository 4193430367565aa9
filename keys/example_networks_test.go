package keys_test

import (
	"fmt"
	"log"
	"net/netip"

	"github.com/claviger-auth/claviger/keys"
)

func ExampleNetworks() {
	networks, err := keys.ParseNetworks("192.0.2.128/25 192.0.2.0/25 2001:db8::/32 198.51.100.7")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(networks)
	for _, addr := range []string{"192.0.2.200", "203.0.113.1", "2001:db8::1"} {
		fmt.Println(addr, networks.Allows(netip.MustParseAddr(addr)))
	}
	// Output:
	// 192.0.2.0/24 198.51.100.7/32 2001:db8::/32
	// 192.0.2.200 true
	// 203.0.113.1 false
	// 2001:db8::1 true
}
