package oauth

import (
	"fmt"
	"hash/maphash"
	"net/http"
	"net/netip"
	"strings"

	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
)

// A throttle counts failed authentications.
type throttle struct {
	buckets  *ratelimit.Memory
	limit    ratelimit.Limit
	address  func(*http.Request) string
	seed     maphash.Seed
	attempts *[attemptShards]attempts
}

func newThrottle(failures int, address func(*http.Request) string) (t throttle, err error) {
	if failures == 0 {
		failures = DefaultFailures
	}
	if address == nil {
		address = func(r *http.Request) string { return addressName(r.RemoteAddr) }
	}
	t = throttle{
		buckets: new(ratelimit.Memory), address: address,
		seed: maphash.MakeSeed(), attempts: new([attemptShards]attempts),
	}
	if t.limit, err = ratelimit.PerMinute(failures); err != nil {
		return t, fmt.Errorf("oauth: failures: %w", err)
	}
	return t, nil
}

// A bucket counts the failures of one client from one address. Its attempts are
// among some others.
type bucket struct {
	ratelimit.Bucket
	attempts *attempts
}

// bucket returns the bucket of a request that names a client. Text that is no ID
// shares a bucket, so that it cannot fill the memory.
func (t *throttle) bucket(client string, r *http.Request) bucket {
	if len(client) > 64 || !scopes.Valid(client) {
		client = "malformed"
	}
	b := ratelimit.Bucket{Space: client, Name: t.address(r)}
	hash := maphash.String(t.seed, b.Space) ^ maphash.String(t.seed, b.Name)
	return bucket{b, &t.attempts[hash%attemptShards]}
}

// addressName returns the ratelimit.AddressName of a RemoteAddr. IPv4 addresses
// can be written in one way only, so that their names are there already.
func addressName(remote string) string {
	if at, err := netip.ParseAddrPort(remote); err == nil && at.Addr().Is4() {
		return remote[:strings.LastIndexByte(remote, ':')]
	}
	addr, _ := ratelimit.ParseAddress(remote)
	return ratelimit.AddressName(addr)
}
