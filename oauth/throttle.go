package oauth

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/netip"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
)

// A throttle counts failed authentications: those of one client from one address,
// and all from one address.
type throttle struct {
	buckets  *ratelimit.Memory
	client   ratelimit.Limit
	address  ratelimit.Limit
	addr     func(*http.Request) netip.Addr
	seed     maphash.Seed
	attempts *[attemptShards]attempts
	good     successes
}

func newThrottle(opts *HandlerOptions) (t *throttle, err error) {
	t = &throttle{
		buckets: new(ratelimit.Memory), addr: opts.Address,
		seed: maphash.MakeSeed(), attempts: new([attemptShards]attempts),
	}
	if t.addr == nil {
		t.addr = remoteAddr
	}
	if t.client, err = ratelimit.PerMinute(cmp.Or(opts.Failures, DefaultFailures)); err != nil {
		return t, fmt.Errorf("oauth: failures: %w", err)
	}
	if t.address, err = ratelimit.PerMinute(cmp.Or(opts.AddressFailures, DefaultAddressFailures)); err != nil {
		return t, fmt.Errorf("oauth: failures of an address: %w", err)
	}
	return t, nil
}

// remoteAddr returns the address at the other end of the connection.
func remoteAddr(r *http.Request) netip.Addr {
	addr, _ := ratelimit.ParseAddress(r.RemoteAddr)
	return addr
}

// A bucket counts failures.
type bucket struct {
	ratelimit.Bucket
	limit    ratelimit.Limit
	attempts *attempts // of all buckets of its shard
}

// bucketsOf returns the two buckets of a request that names a client: that of the
// address, and that of the client at the address. All text that cannot be an ID
// shares one bucket, so that made-up IDs do not fill the memory.
func (t *throttle) bucketsOf(client string, addr netip.Addr) [2]bucket {
	if len(client) > keys.MaxID || !scopes.Valid(client) {
		client = "malformed"
	}
	name := ratelimit.AddressName(addr)
	return [2]bucket{
		t.bucket(ratelimit.Bucket{Space: " all", Name: name}, t.address), // a client's ID has no space
		t.bucket(ratelimit.Bucket{Space: client, Name: name}, t.client),
	}
}

func (t *throttle) bucket(b ratelimit.Bucket, limit ratelimit.Limit) bucket {
	hash := maphash.Comparable(t.seed, b)
	return bucket{b, limit, &t.attempts[hash%attemptShards]}
}

// credentials returns a keyed hash of what an attempt presents. Nobody outside can
// compute it.
func (t *throttle) credentials(client string, secret keys.Secret, addr netip.Addr) uint64 {
	return maphash.Comparable(t.seed, struct {
		client, secret string
		addr           netip.Addr
	}{client, secret.Reveal(), addr})
}
