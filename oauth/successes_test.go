package oauth

import (
	"testing"
	"time"
)

// TestSuccessesAreBounded remembers many, some of them for long.
func TestSuccessesAreBounded(t *testing.T) {
	t.Parallel()
	var s successes
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range uint64(5 * maxSuccesses) {
		s.note(i, now)
		if n := len(s.newer) + len(s.older); n > maxSuccesses {
			t.Fatalf("%d are remembered", n)
		}
		if !s.lately(i, now) || i >= maxSuccesses/2 && !s.lately(i-maxSuccesses/2+1, now) {
			t.Fatalf("%d or one of the last %d is forgotten", i, maxSuccesses/2)
		}
	}
	// Without many newcomers, time moves the halves on.
	for hour := range 3 {
		s.note(1<<40, now.Add(time.Duration(hour)*(successTime+1)))
	}
	if n := len(s.newer) + len(s.older); n > 2 {
		t.Errorf("%d are remembered after three hours", n)
	}
}
