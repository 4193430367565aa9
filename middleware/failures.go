package middleware

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A failureBudget counts, for each address, the bad credentials that came from it.
type failureBudget struct {
	limit  ratelimit.Limit
	memory ratelimit.Memory
}

// maxFailed bounds the memory of a failureBudget, to about 40 MB.
const maxFailed = 1 << 20

// newFailureBudget returns a budget of failures a minute, or nil for 0 of them.
func newFailureBudget(perMinute int) (*failureBudget, error) {
	if perMinute == 0 {
		return nil, nil
	}
	limit, err := ratelimit.PerMinute(perMinute)
	if err != nil {
		return nil, fmt.Errorf("middleware: failures: %w", err)
	}
	return &failureBudget{limit: limit, memory: ratelimit.Memory{MaxBuckets: maxFailed}}, nil
}

func (f *failureBudget) bucket(addr netip.Addr) ratelimit.Bucket {
	return ratelimit.Bucket{Space: "failures", Name: ratelimit.AddressName(addr)}
}

// look reports whether an address may fail once more. Requests that are checked
// at the same time may all get the same answer.
func (f *failureBudget) look(from ratelimit.Bucket, now time.Time) (ratelimit.Decision, error) {
	return f.memory.Peek(from, f.limit, now, 1)
}

// note counts a failure.
func (f *failureBudget) note(from ratelimit.Bucket, now time.Time) {
	_, _ = f.memory.Take(context.Background(), from, f.limit, now, 1) // a Memory does not fail
}
