package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// TestPeek compares what Peek says with what the Take after it answers.
func TestPeek(t *testing.T) {
	t.Parallel()
	var m ratelimit.Memory
	limit := ratelimit.MustPerMinute(3)
	now := time.Now()
	for i, name := range []string{"a", "a", "b", "a", "a", "b", "c"} {
		b := ratelimit.Bucket{Space: "test", Name: name}
		for range 3 {
			peeked, err := m.Peek(b, limit, now, 1)
			if err != nil {
				t.Fatal(err)
			}
			again, err := m.Peek(b, limit, now, 1)
			if peeked != again || err != nil {
				t.Fatalf("step %d: two looks differ: %+v, %+v, %v", i, peeked, again, err)
			}
		}
		peeked, _ := m.Peek(b, limit, now, 1)
		taken, err := m.Take(context.Background(), b, limit, now, 1)
		if peeked != taken || err != nil {
			t.Errorf("step %d: peeked %+v, taken %+v, %v", i, peeked, taken, err)
		}
	}
	for want, l := range map[error]ratelimit.Limit{ratelimit.ErrInvalidLimit: {}, ratelimit.ErrCost: limit} {
		if _, err := m.Peek(ratelimit.Bucket{Space: "test", Name: "a"}, l, now, 4); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if n := m.Len(); n != 3 {
		t.Errorf("looking made buckets: %d", n)
	}
}

// TestPeekWithoutRoom looks at the bucket that newcomers share at the bound, where
// a Take would take from it.
func TestPeekWithoutRoom(t *testing.T) {
	t.Parallel()
	m := &ratelimit.Memory{MaxBuckets: 1}
	l := ratelimit.MustPerMinute(3)
	for _, name := range []string{"resident", "newcomer", "another", "resident", "third"} {
		b := ratelimit.Bucket{Space: "test", Name: name}
		peeked, err := m.Peek(b, l, epoch, 2)
		if err != nil {
			t.Fatal(err)
		}
		taken, err := m.Take(context.Background(), b, l, epoch, 2)
		if peeked != taken || err != nil {
			t.Errorf("%s: peeked %+v, taken %+v, %v", name, peeked, taken, err)
		}
	}
}
