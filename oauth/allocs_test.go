//go:build !race

package oauth_test

import "testing"

// The race detector makes sync.Pool forget things at random, so that the count
// is only exact without it.
func TestTokenAllocations(t *testing.T) {
	x := newExchanges(t)
	for name, y := range x.good {
		if n := testing.AllocsPerRun(200, func() { y.send(t, x.handler.Token, 200) }); n > 10 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
