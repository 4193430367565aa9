package guardtest

import (
	"bufio"
	"fmt"
	"net"
	"testing"
)

// TestHijack checks a server whose handler at "/" takes over the connection behind a
// guard of the host, as for WebSocket. The handler has to read a line, and to write the
// organization of the caller, a space, and the line. The test fails if it does not run
// for a key, or if a refused request gets anything but an answer: what follows such a
// request on the connection is no part of it.
func TestHijack(t testing.TB, host *Host, addr net.Addr) {
	t.Helper()
	for _, tt := range []struct{ key, want string }{
		{host.Key("acme"), "acme hello\n"},
		{"junk", "HTTP/1.1 401 Unauthorized\r\n"},
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), addr.Network(), addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\nhello\n", tt.key)
		if got, err := bufio.NewReader(conn).ReadString('\n'); got != tt.want {
			t.Errorf("%q, %v, want %q", got, err, tt.want)
		}
	}
}
