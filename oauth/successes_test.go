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
	// What is forgotten is so in both halves.
	s.note(1<<41, now)
	for i := range uint64(maxSuccesses / 2) {
		s.note(i, now)
	}
	if s.newer[1<<41] == now || !s.lately(1<<41, now) {
		t.Error("it is not in the older half")
	}
	if s.forget(1 << 41); s.lately(1<<41, now) {
		t.Error("it is not forgotten")
	}
	// Without many newcomers, time moves the halves on.
	for hour := range 3 {
		s.note(1<<40, now.Add(time.Duration(hour)*(successTime+1)))
	}
	if n := len(s.newer) + len(s.older); n > 2 {
		t.Errorf("%d are remembered after three hours", n)
	}
}
