package store_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// TestMemoryConcurrentChurn does everything at once, for the race detector. Each
// goroutine has tokens of its own, so it knows their state, while all share tables and
// lists.
func TestMemoryConcurrentChurn(t *testing.T) {
	t.Parallel()
	m := new(store.Memory)
	var removed atomic.Int64
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 1500 {
				r := record(t, keys.KindToken, fmt.Sprintf("%d-%d", g, i))
				live := i%3 == 0
				if live {
					r.ExpiresAt = start.Add(time.Hour)
				}
				if err := m.Insert(t.Context(), r); err != nil {
					t.Error(err)
					return
				}
				if live {
					r.Label = "updated"
					if err := m.Update(t.Context(), r); err != nil {
						t.Errorf("Update of a live token: %v", err)
					}
					if got, _, err := m.Get(t.Context(), r.ID); err != nil || got.Label != "updated" {
						t.Errorf("Get of a live token: %v, %v", got, err)
					}
				}
				if i%50 == 0 {
					n, err := m.Sweep(t.Context(), start.Add(1), 40)
					removed.Add(int64(n))
					page, listed := m.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindToken, Limit: 200})
					if err != nil || listed != nil || !slices.IsSortedFunc(page, func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) }) {
						t.Errorf("Sweep: %v, List: %v, or the page is not sorted", err, listed)
					}
				}
			}
		})
	}
	wg.Wait()
	n, err := m.Sweep(t.Context(), start.Add(1), math.MaxInt)
	if err != nil || removed.Add(int64(n)) != 4000 {
		t.Errorf("sweeps removed %d dead tokens, %v; want 4000", removed.Load(), err)
	}
	page, err := m.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindToken, Limit: math.MaxInt})
	if err != nil || len(page) != 2000 {
		t.Errorf("%d live tokens are left, %v; want 2000", len(page), err)
	}
}

// Two goroutines insert the same IDs in the same order, into one organization
// and into two.
func TestMemoryConcurrentInserts(t *testing.T) {
	t.Parallel()
	for name, orgs := range map[string][2]string{"one organization": {"acme", "acme"}, "two organizations": {"acme", "others"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 5000
			m := new(store.Memory)
			var won [n]atomic.Int32
			var wg sync.WaitGroup
			for _, org := range orgs {
				wg.Go(func() {
					r := record(t, keys.KindKey, "")
					r.Org = org
					for i := range n {
						r.ID = fmt.Sprint(i)
						switch err := m.Insert(t.Context(), r); {
						case err == nil:
							won[i].Add(1)
						case !errors.Is(err, store.ErrExists):
							t.Errorf("Insert failed with %v", err)
						}
					}
				})
			}
			wg.Wait()
			for i := range won {
				if got := won[i].Load(); got != 1 {
					t.Fatalf("Insert of %d went well %d times, want once", i, got)
				}
			}
		})
	}
}

// A dead token is either swept or, by an Update that makes it live longer, saved:
// an Update that went well is not undone by a Sweep that saw the token before,
// and one of a token that was swept does not go well. There are few tokens at a
// time, so that sweeps come past all the time.
func TestMemorySweepRacesUpdate(t *testing.T) {
	t.Parallel()
	m := new(store.Memory)
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !done.Load() {
			if _, err := m.Sweep(t.Context(), start.Add(1), 100); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer wg.Wait()
	defer done.Store(true)
	saved := 0
	for i := range 20_000 {
		r := record(t, keys.KindToken, fmt.Sprint(i))
		insert(t, m, r)
		r.ExpiresAt = start.Add(time.Hour)
		err := m.Update(t.Context(), r)
		_, _, found := m.Get(t.Context(), r.ID)
		switch {
		case err == nil && found != nil:
			t.Fatalf("a token that was updated to live longer is gone: %v", found)
		case err == nil:
			saved++
			r.ExpiresAt = start
			r.Version++
			if err := m.Update(t.Context(), r); err != nil {
				t.Fatalf("Update of a live token: %v", err)
			}
		case !errors.Is(err, store.ErrNotFound) || found == nil:
			t.Fatalf("Update of a token that may be swept: %v; Get: %v", err, found)
		}
	}
	t.Logf("%d of 20000 tokens were saved", saved)
}

// The memory of tokens that were swept is freed, that of tables too, however many there
// were one after another.
func TestMemoryGivesBack(t *testing.T) {
	const n = 20_000
	m := new(store.Memory)
	insert(t, m, record(t, keys.KindToken, "first")) // its index and table stay
	before := heap()
	var full int64
	for round := range 5 {
		for i := range n {
			insert(t, m, record(t, keys.KindToken, fmt.Sprint(round, " ", i)))
		}
		full = max(full, heap()-before)
		if removed, err := m.Sweep(t.Context(), start.Add(1), math.MaxInt); removed < n || err != nil {
			t.Fatalf("Sweep removed %d, %v; want %d", removed, err, n)
		}
	}
	if left := heap() - before; left > full/20 {
		t.Errorf("%d KiB are in use after everything was swept, %d KiB before", left>>10, full>>10)
	}
	runtime.KeepAlive(m)
}

// Each Insert makes one entry. Tables and blocks are made now and then, also
// after many tokens came and went.
func TestMemoryInsertAllocates(t *testing.T) {
	m := new(store.Memory)
	ids := make([]string, 20_001)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
		insert(t, m, record(t, keys.KindToken, ids[i]))
	}
	if n, err := m.Sweep(t.Context(), start.Add(1), math.MaxInt); n != len(ids) || err != nil {
		t.Fatalf("Sweep removed %d, %v; want %d", n, err, len(ids))
	}
	r := record(t, keys.KindKey, "")
	i := 0
	n := testing.AllocsPerRun(len(ids)-1, func() {
		r.ID = ids[i]
		insert(t, m, r)
		i++
	})
	if n > 1 {
		t.Errorf("Insert allocates %v times, want once", n)
	}
}
