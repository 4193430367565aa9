package guardtest

import (
	"io"
	"log"
	"testing"

	"github.com/claviger-auth/claviger/keys/httpjson"
)

// Options say how a server differs from one of net/http. A nil *Options is the zero
// Options.
type Options struct {
	// NotHTTP says that answers have no challenge and no Cache-Control.
	NotHTTP bool

	// WriteError is the WriteError of the guards: see [middleware.Options].
	WriteError httpjson.ErrorWriter

	// Deaf says that the framework does not notice when a client hangs up.
	Deaf bool
}

// discard is the log of servers whose handlers panic.
var discard = log.New(io.Discard, "", 0)

// A clause is one rule for adapters.
type clause struct {
	name  string
	check func(*suite)
}

// clauses are all rules.
var clauses = []clause{
	{"admits", admits},
	{"refuses-credentials", refusesCredentials},
	{"refuses-addresses", refusesAddresses},
	{"refuses-over-the-limit", refusesOverTheLimit},
	{"refuses-without-scope", refusesWithoutScope},
	{"checks-in-order", checksInOrder},
	{"refuses-if-the-store-fails", refusesIfTheStoreFails},
	{"takes-the-cost", takesTheCost},
	{"manages-on-another-bucket", managesOnAnotherBucket},
	{"charges-once", chargesOnce},
	{"checks-again-inside", checksAgainInside},
	{"keeps-requests-apart", keepsRequestsApart},
	{"survives-panics", survivesPanics},
	{"streams", streams},
	{"ends-streams-of-clients-that-have-gone", endsStreams},
	{"refuses-clients-that-have-gone", refusesTheGone},
}

// Test checks an adapter. Each rule is a subtest with a server of its own.
func Test(t *testing.T, start Start, opts *Options) {
	t.Helper()
	for _, c := range clauses {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(newSuite(t, start, opts))
		})
	}
}

// Check is [Test] for adapters that are broken on purpose: it returns the names of the
// rules that the adapter breaks, and does not fail the test.
func Check(t testing.TB, start Start, opts *Options) (broken []string) {
	t.Helper()
	for _, c := range clauses {
		if fails(t, func(t testing.TB) { c.check(newSuite(t, start, opts)) }) {
			broken = append(broken, c.name)
		}
	}
	return broken
}

// fails reports whether a check fails.
func fails(t testing.TB, check func(testing.TB)) bool {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // which FailNow ends
		defer close(done)
		check(r)
	}()
	<-done
	return r.Failed()
}
