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

// A losing store drops what a batch has written when it commits, as a database does that
// goes down at that moment.
type losing struct {
	*store.Memory
	batch *store.Memory // what the batch has written; nil outside of one
}

func (l *losing) Batch(ctx context.Context, f func(ctx context.Context) error) error {
	l.batch = new(store.Memory)
	defer func() { l.batch = nil }()
	if err := f(ctx); err != nil {
		return err
	}
	return errors.New("the commit failed")
}

func (l *losing) Insert(ctx context.Context, r keys.Record) error {
	if l.batch == nil {
		return l.Memory.Insert(ctx, r)
	}
	if _, _, err := l.Memory.Get(ctx, r.ID); err == nil {
		return keys.ErrExists
	}
	return l.batch.Insert(ctx, r)
}

// If a batch fails, none of its credentials is in the store, not even one that is in the
// list twice. One that was imported before is.
func TestImportOfALostBatch(t *testing.T) {
	t.Parallel()
	db := &losing{Memory: new(store.Memory)}
	told := 0
	m, err := keys.NewManager(db, &keys.Options{
		OtherFormats: []*keys.Format{keys.MustForeignFormat("old_", nil)},
		Hook:         func(context.Context, keys.Event) { told++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	foreign := func(letter string) keys.Foreign {
		return keys.Foreign{Org: "acme", Text: keys.NewSecret("old_" + strings.Repeat(letter, 40))}
	}
	before := foreign("a")
	if _, err := m.Import(t.Context(), before.Org, before.Text, before.Spec); err != nil {
		t.Fatal(err)
	}
	done := m.ImportAll(t.Context(), []keys.Foreign{before, foreign("b"), foreign("b")})
	if !done[0].Existed || done[0].Err != nil {
		t.Errorf("the one that was there: %+v", done[0])
	}
	for _, d := range done[1:] {
		if !errors.Is(d.Err, keys.ErrUnavailable) || d.Existed {
			t.Errorf("one of the batch: %v", d.Err)
		}
	}
	if told != 1 {
		t.Errorf("%d events; want one, of what was there before", told)
	}
}
