package storetest_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// fastDefects have no delay anywhere, and a race that lasts some nanoseconds. No
// bubble can stretch that: racers have to go on until it happens.
var fastDefects = []*defect{
	{"update reads and then writes", "concurrent-update-one-wins", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		was, err := b.one(ctx, r.ID)
		if err != nil || was.Org != r.Org || was.Version != r.Version {
			return b.Memory.Update(ctx, r)
		}
		for err = b.Memory.Update(ctx, r); err == keys.ErrConflict; err = b.Memory.Update(ctx, r) {
			late, _ := b.one(ctx, r.ID) // somebody was faster, and loses the change
			if late.Revoked() {
				break
			}
			r.Version = late.Version
		}
		return err
	}}},
	{"get reads in two parts", "concurrent-gets-are-whole", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		first, err := b.one(ctx, id)
		if err != nil {
			return first, err
		}
		second, err := b.one(ctx, id)
		second.Digest = first.Digest
		return second, err
	}}},
}

func TestFastStores(t *testing.T) {
	t.Parallel()
	defects := fastDefects
	if testing.Short() {
		defects = defects[:1]
	}
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for range 1000 { // on one processor, or with others on it, it may take many
				violations := storetest.CheckRecordsUpTo(t, d.clause, func(testing.TB) keys.Store { return d.clone() },
					&storetest.Options[keys.Store]{Race: 50 * time.Millisecond})
				switch got := names(violations); {
				case slices.Equal(got, []string{d.clause}):
					return
				case len(got) > 0:
					t.Fatalf("clauses reported: %q, want %q", got, d.clause)
				}
			}
			t.Errorf("%s was never reported", d.clause)
		})
	}
}

// A store that waits for itself is reported under the clause that it hangs in.
func TestHangingStores(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		var wg sync.WaitGroup
		defer wg.Wait()
		defer close(end)
		violations := checkRecords(t, "", func() *broken {
			return &broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
				if was, err := b.one(ctx, r.ID); err == nil && was.Version != r.Version && r.Validate() == nil {
					wg.Add(1)
					defer wg.Done()
					<-end
				}
				return b.Memory.Update(ctx, r)
			}}
		})
		if diff := cmp.Diff([]string{"update-compares-versions"}, names(violations)); diff != "" {
			t.Fatalf("clauses reported (-want +got):\n%s", diff)
		}
		for _, want := range []string{"no end after 30s", "updateCompares"} {
			if detail := violations[0].Detail; !strings.Contains(detail, want) {
				t.Errorf("the detail does not say %q: %s", want, detail)
			}
		}
	})
}

// A store that takes a tenth of a second for each write is slow, and not broken.
func TestSlowStores(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		violations := checkLimits(t, "take-forgets-no-debt", func() *broken {
			return &broken{take: func(b *broken, ctx context.Context, k ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
				latency(100 * time.Millisecond)
				return b.Memory.Take(ctx, k, l, now, n)
			}}
		})
		if len(violations) > 0 {
			t.Errorf("%s: %s", violations[0].Clause, violations[0].Detail)
		}
	})
}

// A function of the options may end the test, as any function of a test may.
func TestOptionsThatFail(t *testing.T) {
	t.Parallel()
	open := func(testing.TB) keys.Store { return new(store.Memory) }
	second := func(t testing.TB, _ keys.Store) keys.Store {
		t.FailNow()
		return nil
	}
	done := make(chan bool)
	go func() { // in the place of a test, which must not fail
		defer close(done)
		storetest.CheckRecords(quiet{t}, open, &storetest.Options[keys.Store]{Second: second})
		done <- true
	}()
	if <-done {
		t.Error("the check went on after FailNow")
	}
}

// quiet is a test that ends when it fails, and does not tell.
type quiet struct{ *testing.T }

func (q quiet) FailNow() { runtime.Goexit() }
