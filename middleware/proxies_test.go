package middleware_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/middleware"
)

func newProxies(tb testing.TB, unixSocket bool, networks ...string) *middleware.Proxies {
	tb.Helper()
	var list []netip.Prefix
	for _, n := range networks {
		list = append(list, netip.MustParsePrefix(n))
	}
	p, err := middleware.NewProxies(list, unixSocket)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// trusted are networks of proxies, some of them written in unusual ways.
var trusted = []string{"10.1.2.3/8", "2001:db8:f::/48", "::ffff:172.16.0.0/108"}

// hop returns a request with a peer and lines of X-Forwarded-For.
func hop(remote string, lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = remote
	if lines != nil {
		r.Header["X-Forwarded-For"] = lines
	}
	return r
}

func TestProxies(t *testing.T) {
	t.Parallel()
	behind := newProxies(t, false, trusted...)
	long := strings.Repeat("1", 1<<20)
	for _, tt := range []struct {
		name, remote string
		lines        []string
		plain        string // without proxies; "" for an address that is not known
		behind       string
	}{
		{"IPv4", "192.0.2.1:80", nil, "192.0.2.1", "192.0.2.1"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:80", nil, "192.0.2.1", "192.0.2.1"},
		{"IPv6", "[2001:db8::1:2:3:4]:80", nil, "2001:db8::1:2:3:4", "2001:db8::1:2:3:4"},
		{"IPv6 with a zone", "[fe80::1%eth0]:80", nil, "fe80::1", "fe80::1"},
		{"no port", "192.0.2.1", nil, "192.0.2.1", "192.0.2.1"},
		{"no port, a trusted one", "10.0.0.1", []string{"198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"a name without an address", "@", []string{"198.51.100.1"}, "", ""},
		{"nothing", "", []string{"198.51.100.1"}, "", ""},
		{"a field from anybody", "192.0.2.1:80", []string{"198.51.100.1"}, "192.0.2.1", "192.0.2.1"},
		{"a field from anybody over IPv6", "[2001:db8:e::1]:80", []string{"198.51.100.1"}, "2001:db8:e::1", "2001:db8:e::1"},
		{"a proxy", "10.0.0.1:80", []string{"198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"a proxy over IPv6", "[2001:db8:f::1]:80", []string{"2001:db8:1::2"}, "2001:db8:f::1", "2001:db8:1::2"},
		{"a proxy with IPv4 in IPv6", "[::ffff:10.0.0.1]:80", []string{"198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"a proxy trusted in IPv6's clothes", "172.17.0.1:80", []string{"198.51.100.1"}, "172.17.0.1", "198.51.100.1"},
		{"just beside that network", "172.32.0.1:80", []string{"198.51.100.1"}, "172.32.0.1", "172.32.0.1"},
		{"a chain of proxies", "10.0.0.1:80", []string{"198.51.100.1, 10.0.0.3", "10.0.0.2"}, "10.0.0.1", "198.51.100.1"},
		{"lines in the other order", "10.0.0.1:80", []string{"10.0.0.2", "198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"made up in a line before", "10.0.0.1:80", []string{"1.1.1.1", "198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"made up in the line", "10.0.0.1:80", []string{"1.1.1.1, 198.51.100.1, 10.0.0.3"}, "10.0.0.1", "198.51.100.1"},
		{"a made-up proxy", "10.0.0.1:80", []string{"1.1.1.1, 10.9.9.9, 198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"junk before the client", "10.0.0.1:80", []string{"junk, 198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"only proxies", "10.0.0.1:80", []string{"10.0.0.2"}, "10.0.0.1", "10.0.0.2"},
		{"only proxies, in lines", "10.0.0.1:80", []string{"10.0.0.3", "10.0.0.2"}, "10.0.0.1", "10.0.0.3"},
		{"junk last", "10.0.0.1:80", []string{"198.51.100.1, junk"}, "10.0.0.1", "10.0.0.1"},
		{"junk behind a proxy", "10.0.0.1:80", []string{"198.51.100.1, junk, 10.0.0.2"}, "10.0.0.1", "10.0.0.2"},
		{"junk in the last line", "10.0.0.1:80", []string{"198.51.100.1", "junk"}, "10.0.0.1", "10.0.0.1"},
		{"unknown, as the field may say", "10.0.0.1:80", []string{"198.51.100.1, unknown"}, "10.0.0.1", "10.0.0.1"},
		{"no line", "10.0.0.1:80", nil, "10.0.0.1", "10.0.0.1"},
		{"an empty line", "10.0.0.1:80", []string{""}, "10.0.0.1", "10.0.0.1"},
		{"a comma at the end", "10.0.0.1:80", []string{"203.0.113.7,"}, "10.0.0.1", "203.0.113.7"},
		{"a comma and a space at the end", "10.0.0.1:80", []string{"203.0.113.7, "}, "10.0.0.1", "203.0.113.7"},
		{"empty elements all over", "10.0.0.1:80", []string{",,203.0.113.7,\t, ,10.0.0.2,,", "", ", ,"}, "10.0.0.1", "203.0.113.7"},
		{"commas alone", "10.0.0.1:80", []string{",,,"}, "10.0.0.1", "10.0.0.1"},
		{"an empty line last", "10.0.0.1:80", []string{"203.0.113.7", ""}, "10.0.0.1", "203.0.113.7"},
		{"no spaces", "10.0.0.1:80", []string{"203.0.113.7,10.0.0.2"}, "10.0.0.1", "203.0.113.7"},
		{"a port", "10.0.0.1:80", []string{"198.51.100.1:1234"}, "10.0.0.1", "198.51.100.1"},
		{"IPv6 with a port", "10.0.0.1:80", []string{"[2001:db8:1:2:3::4]:443"}, "10.0.0.1", "2001:db8:1:2:3::4"},
		{"IPv6 in brackets", "10.0.0.1:80", []string{"[2001:db8::4]"}, "10.0.0.1", "2001:db8::4"},
		{"IPv6 with a zone inside", "10.0.0.1:80", []string{"fe80::1%eth0"}, "10.0.0.1", "fe80::1"},
		{"IPv4 in IPv6 inside", "10.0.0.1:80", []string{"::ffff:198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"a proxy as IPv4 in IPv6 inside", "10.0.0.1:80", []string{"198.51.100.1, ::ffff:10.0.0.2"}, "10.0.0.1", "198.51.100.1"},
		{"a line break", "10.0.0.1:80", []string{"198.51.100.1\n"}, "10.0.0.1", "10.0.0.1"},
		{"a NUL", "10.0.0.1:80", []string{"198.51.100.1\x00"}, "10.0.0.1", "10.0.0.1"},
		{"octal", "10.0.0.1:80", []string{"198.051.100.01"}, "10.0.0.1", "10.0.0.1"},
		{"a number", "10.0.0.1:80", []string{"3325256705"}, "10.0.0.1", "10.0.0.1"},
		{"a name", "10.0.0.1:80", []string{"localhost"}, "10.0.0.1", "10.0.0.1"},
		{"a network", "10.0.0.1:80", []string{"198.51.100.0/24"}, "10.0.0.1", "10.0.0.1"},
		{"a megabyte before the client", "10.0.0.1:80", []string{long + ",198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"a megabyte", "10.0.0.1:80", []string{long}, "10.0.0.1", "10.0.0.1"},
		{"a megabyte last", "10.0.0.1:80", []string{"198.51.100.1," + long}, "10.0.0.1", "10.0.0.1"},
		{"a megabyte of commas", "10.0.0.1:80", []string{"198.51.100.1" + strings.Repeat(",", 1<<20)}, "10.0.0.1", "10.0.0.1"},
		{"a megabyte of spaces", "10.0.0.1:80", []string{"198.51.100.1," + strings.Repeat(" ", 1<<20)}, "10.0.0.1", "10.0.0.1"},
		{"as many spaces as an element may have", "10.0.0.1:80", []string{strings.Repeat(" ", 100-12) + "198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"one more", "10.0.0.1:80", []string{strings.Repeat(" ", 101-12) + "198.51.100.1"}, "10.0.0.1", "10.0.0.1"},
		{"as many, behind another", "10.0.0.1:80", []string{"x," + strings.Repeat(" ", 100-12) + "198.51.100.1"}, "10.0.0.1", "198.51.100.1"},
		{"one more, behind another", "10.0.0.1:80", []string{"x," + strings.Repeat(" ", 101-12) + "198.51.100.1"}, "10.0.0.1", "10.0.0.1"},
		{"32 elements", "10.0.0.1:80", []string{"198.51.100.1" + strings.Repeat(",10.0.0.2", 31)}, "10.0.0.1", "198.51.100.1"},
		{"33 elements", "10.0.0.1:80", []string{"198.51.100.1" + strings.Repeat(",10.0.0.2", 32)}, "10.0.0.1", "10.0.0.2"},
		{"32 lines", "10.0.0.1:80", append([]string{"198.51.100.1"}, make([]string, 31)...), "10.0.0.1", "198.51.100.1"},
		{"33 lines", "10.0.0.1:80", append([]string{"198.51.100.1"}, make([]string, 32)...), "10.0.0.1", "10.0.0.1"},
	} {
		for _, check := range []struct {
			name, want string
			proxies    *middleware.Proxies
		}{{"without proxies", tt.plain, nil}, {"with none", tt.plain, new(middleware.Proxies)}, {"behind proxies", tt.behind, behind}} {
			got := check.proxies.Addr(hop(tt.remote, tt.lines...))
			if text := got.String(); got.IsValid() && text != check.want || !got.IsValid() && check.want != "" {
				t.Errorf("%s, %s: %v, want %q", tt.name, check.name, got, check.want)
			}
		}
	}
}

// Peers on a Unix socket have no address, and are only trusted if the server says
// that they are such: a client behind middleware that writes X-Real-IP to RemoteAddr could
// send anything as that.
func TestProxiesOnAUnixSocket(t *testing.T) {
	t.Parallel()
	local := func(network string) context.Context {
		var addr net.Addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
		if network == "unix" {
			addr = &net.UnixAddr{Name: "/run/x", Net: network}
		}
		return context.WithValue(t.Context(), http.LocalAddrContextKey, addr)
	}
	for _, tt := range []struct {
		name    string
		proxies *middleware.Proxies
		r       *http.Request
		want    string
	}{
		{"trusted", newProxies(t, true), hop("@", "198.51.100.1").WithContext(local("unix")), "198.51.100.1"},
		{"trusted, without a name", newProxies(t, true), hop("", "198.51.100.1").WithContext(local("unix")), "198.51.100.1"},
		{"trusted, a proxy behind", newProxies(t, true, "10.0.0.0/8"), hop("@", "198.51.100.1, 10.0.0.1").WithContext(local("unix")), "198.51.100.1"},
		{"trusted, a made-up one before", newProxies(t, true), hop("@", "10.0.0.1, 198.51.100.1").WithContext(local("unix")), "198.51.100.1"},
		{"trusted, no line", newProxies(t, true), hop("@").WithContext(local("unix")), "invalid IP"},
		{"trusted, junk", newProxies(t, true), hop("@", "198.51.100.1, x").WithContext(local("unix")), "invalid IP"},
		{"trusted, with an address", newProxies(t, true), hop("192.0.2.1:1", "198.51.100.1").WithContext(local("unix")), "192.0.2.1"},
		{"not trusted", newProxies(t, false, "10.0.0.0/8"), hop("@", "198.51.100.1").WithContext(local("unix")), "invalid IP"},
		{"no proxies", nil, hop("@", "198.51.100.1").WithContext(local("unix")), "invalid IP"},
		{"over TCP", newProxies(t, true), hop("@", "198.51.100.1").WithContext(local("tcp")), "invalid IP"},
		{"nobody says over what", newProxies(t, true), hop("@", "198.51.100.1"), "invalid IP"},
	} {
		if got := tt.proxies.Addr(tt.r).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestProxiesOnARealUnixSocket asks for addresses behind a real server on a Unix socket.
func TestProxiesOnARealUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	p := newProxies(t, true)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Addr", p.Addr(r).String())
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://unix/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", "1.1.1.1, 198.51.100.1")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	client.CloseIdleConnections()
	if got := resp.Header.Get("X-Addr"); got != "198.51.100.1" {
		t.Errorf("%s", got)
	}
}

func TestNewProxiesRefuses(t *testing.T) {
	t.Parallel()
	good := netip.MustParsePrefix("10.0.0.0/8")
	for name, network := range map[string]netip.Prefix{
		"none": {}, "IPv4 and IPv6": netip.MustParsePrefix("::ffff:0:0/95"),
		"too long": netip.PrefixFrom(netip.MustParseAddr("10.0.0.1"), 33),
	} {
		if _, err := middleware.NewProxies([]netip.Prefix{good, network}, false); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, network := range []string{"0.0.0.0/0", "::/0", "::ffff:0:0/96"} {
		if _, err := middleware.NewProxies([]netip.Prefix{netip.MustParsePrefix(network)}, true); err != nil {
			t.Errorf("%s: %v", network, err)
		}
	}
}

// FuzzProxies compares with a reading that is slow and simple, within the bounds
// on length.
func FuzzProxies(f *testing.F) {
	for _, lines := range []string{
		"", "198.51.100.1", "198.51.100.1, 10.0.0.3\n10.0.0.2", "203.0.113.7,", ",,\n,", "junk, 10.0.0.1", "[2001:db8::1]:80,10.0.0.1",
		"::ffff:10.0.0.1", "fe80::1%a,b", "10.0.0.1:99999", " \t198.51.100.1 \t",
	} {
		f.Add("10.0.0.1:80", lines)
		f.Add("192.0.2.1:80", lines)
		f.Add("@", lines)
	}
	p := newProxies(f, false, trusted...)
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:f::/48"), netip.MustParsePrefix("172.16.0.0/12")}
	trusts := func(a netip.Addr) bool {
		for _, n := range networks {
			if n.Contains(a) {
				return true
			}
		}
		return false
	}
	f.Fuzz(func(t *testing.T, remote, text string) {
		lines := strings.Split(text, "\n")
		got := p.Addr(hop(remote, lines...))
		if got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%v is not as addresses are compared", got)
		}
		peer := (*middleware.Proxies)(nil).Addr(hop(remote))
		if !trusts(peer) {
			if got != peer {
				t.Fatalf("%v from %v, who is nobody", got, peer)
			}
			return
		}
		list := strings.Split(strings.Join(lines, ","), ",")
		if len(list) > 32 {
			list = list[len(list)-32:]
		}
		want := peer
		for i := len(list) - 1; i >= 0 && trusts(want); i-- {
			if element := strings.Trim(list[i], " \t"); len(list[i]) > 100 {
				break
			} else if element != "" {
				next := (*middleware.Proxies)(nil).Addr(hop(element))
				if !next.IsValid() {
					break
				}
				want = next
			}
		}
		if got != want {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}
