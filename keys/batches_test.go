package keys_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// A batching store takes a second for each batch, and knows how many it had at once.
type batching struct {
	*store.Memory
	batches, most atomic.Int64
}

func (b *batching) Batch(ctx context.Context, f func(ctx context.Context) error) error {
	b.most.Store(max(b.most.Load(), b.batches.Add(1)))
	defer b.batches.Add(-1)
	select {
	case <-time.After(time.Second): // the bubble's own clock
	case <-ctx.Done():
		return ctx.Err()
	}
	return f(ctx)
}

// With a trail, batches take turns, and their time runs while they are written, and not
// while they wait. Without one they go on at once.
func TestBatchesTakeTurns(t *testing.T) {
	t.Parallel()
	for _, trail := range []bool{false, true} {
		t.Run(fmt.Sprintf("trail=%t", trail), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				db := &batching{Memory: new(store.Memory)}
				m, err := keys.NewManager(db, &keys.Options{
					Trail: trail, Timeout: 3 * time.Second / 2,
					OtherFormats: []*keys.Format{keys.MustForeignFormat("old_", nil)},
				})
				if err != nil {
					t.Fatal(err)
				}
				const writers = 4
				var all sync.WaitGroup
				for i := range writers {
					all.Go(func() {
						text := keys.NewSecret("old_" + strings.Repeat(string(rune('a'+i)), 40))
						if done := m.ImportAll(t.Context(), []keys.Foreign{{Org: "acme", Text: text}}); done[0].Err != nil {
							t.Error(done[0].Err)
						}
					})
				}
				all.Wait()
				want := int64(writers)
				if trail {
					want = 1
				}
				if got := db.most.Load(); got != want {
					t.Errorf("%d batches at once, want %d", got, want)
				}
				if !trail {
					return
				}
				// Whoever waits for a turn can give up.
				go m.ImportAll(t.Context(), []keys.Foreign{{Org: "acme", Text: keys.NewSecret("old_" + strings.Repeat("y", 40))}})
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				done := m.ImportAll(ctx, []keys.Foreign{{Org: "acme", Text: keys.NewSecret("old_" + strings.Repeat("z", 40))}})
				if !errors.Is(done[0].Err, keys.ErrUnavailable) || !errors.Is(done[0].Err, context.Canceled) {
					t.Errorf("an import that nobody waits for: %v", done[0].Err)
				}
			})
		})
	}
}
