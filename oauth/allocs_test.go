//go:build !race

package oauth_test

import "testing"

// TestEndpointAllocations checks the exact number of allocations of the endpoints, so that
// changes in either direction are noticed. The race detector makes sync.Pool drop
// objects at random, so the counts are only exact without it.
func TestEndpointAllocations(t *testing.T) {
	x := newExchanges(t)
	for _, tt := range []struct {
		name   string
		x      *exchange
		send   func(*exchange)
		allocs float64
	}{
		// The body, the token's text, its ID, its record, its scopes with those
		// that are always granted, and the values of the answer's fields.
		{"exchange by form", x.good["form"], x.exchange, 6},
		// And the credentials, decoded.
		{"exchange by Basic", x.good["basic"], x.exchange, 7},
		{"exchange by JSON", x.good["json"], x.exchange, 6},
		// The body, the address's name, and the values of the answer's fields.
		{"malformed", x.bad["malformed"], x.refuse, 5},
		{"unknown", x.bad["unknown"], x.refuse, 5},
		{"wrong secret", x.bad["wrong_secret"], x.refuse, 5},
		// The body, the credentials, and the answer of an encoder.
		{"introspection", x.good["token"], x.introspect, 9},
		{"introspection of nothing", x.bad["token"], x.introspect, 9},
		{"revocation of nothing", x.bad["token"], x.revoke, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(1000, func() { tt.send(tt.x) }); n != tt.allocs {
				t.Errorf("%v allocations, want %v", n, tt.allocs)
			}
		})
	}
	t.Run("revocation", func(t *testing.T) {
		const runs = 200
		requests := make([]*exchange, runs+1)
		for i := range requests {
			requests[i] = x.about(x.token(t))
		}
		i := 0
		if n := testing.AllocsPerRun(runs, func() { x.revoke(requests[i]); i++ }); n != 9 {
			t.Errorf("%v allocations, want 9", n)
		}
	})
}
