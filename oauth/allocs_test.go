//go:build !race

package oauth_test

import "testing"

// How often the endpoints allocate, exactly: a change in either direction is for
// somebody to look at. The race detector makes sync.Pool forget things at random,
// so that the counts are only exact without it.
func TestEndpointAllocations(t *testing.T) {
	x := newExchanges(t)
	for _, tt := range []struct {
		name   string
		x      *exchange
		send   func(*exchange)
		allocs float64
	}{
		// The body, the token's text, its ID, its record.
		{"exchange by form", x.good["form"], x.exchange, 4},
		// And the credentials, decoded.
		{"exchange by Basic", x.good["basic"], x.exchange, 5},
		{"exchange by JSON", x.good["json"], x.exchange, 4},
		// The body.
		{"malformed", x.bad["malformed"], x.refuse, 1},
		{"unknown", x.bad["unknown"], x.refuse, 1},
		{"wrong secret", x.bad["wrong_secret"], x.refuse, 1},
		// The body, the credentials, and the answer of an encoder.
		{"introspection", x.good["token"], x.introspect, 7},
		{"introspection of nothing", x.bad["token"], x.introspect, 7},
		{"revocation of nothing", x.bad["token"], x.revoke, 2},
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
		if n := testing.AllocsPerRun(runs, func() { x.revoke(requests[i]); i++ }); n != 5 {
			t.Errorf("%v allocations, want 5", n)
		}
	})
}
