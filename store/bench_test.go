package store_test

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// populations of the benchmarks.
var populations = []int{1, 1000, 1_000_000}

// populated returns a store with n keys, and their IDs in random order. Each organization
// has a hundred keys, which is more than most have.
func populated(b *testing.B, n int) (*store.Memory, []string) {
	b.Helper()
	m, ids := new(store.Memory), make([]string, n)
	r := record(b, keys.KindKey, "")
	for i := range ids {
		r.ID = "key_" + rand.Text()[:22]
		r.Org = fmt.Sprintf("org_%d", i/100)
		ids[i] = r.ID
		insert(b, m, r)
	}
	mathrand.Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return m, ids
}

func BenchmarkGet(b *testing.B) {
	for _, n := range populations {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			m, ids := populated(b, n)
			ctx := context.Background()
			b.Run("outcome=found", func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if _, _, err := m.Get(ctx, ids[i]); err != nil {
						b.Fatal(err)
					}
					if i++; i == n {
						i = 0
					}
				}
			})
			b.Run("outcome=unknown", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := m.Get(ctx, "key_ABCDEFGHIJKLMNOPQRSTUV"); err == nil {
						b.Fatal("found")
					}
				}
			})
			b.Run("outcome=found/parallel", func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					i := mathrand.IntN(n)
					for pb.Next() {
						if _, _, err := m.Get(ctx, ids[i]); err != nil {
							b.Fatal(err)
						}
						if i++; i == n {
							i = 0
						}
					}
				})
			})
		})
	}
}

// The benchmarks that all stores have in common.
func BenchmarkRecords(b *testing.B) {
	storetest.BenchmarkRecords(b, func(testing.TB) keys.Store { return new(store.Memory) })
}

// A token and its client, of which there is one for a hundred tokens.
func BenchmarkGetWithParent(b *testing.B) {
	for _, n := range populations {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			m, ids := new(store.Memory), make([]string, n)
			r := record(b, keys.KindToken, "")
			for i := range ids {
				if i%100 == 0 {
					client := record(b, keys.KindClient, "cc_"+rand.Text()[:16])
					r.Parent = client.ID
					insert(b, m, client)
				}
				r.ID = "oauth_" + rand.Text()[:24]
				ids[i] = r.ID
				insert(b, m, r)
			}
			mathrand.Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			ctx := context.Background()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, parent, err := m.Get(ctx, ids[i]); err != nil || parent.ID == "" {
					b.Fatal(parent, err)
				}
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// Every processor notes the uses of the same hundred keys.
func BenchmarkNoteUses(b *testing.B) {
	m, ids := populated(b, 1000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		batch, t := make(map[string]time.Time, 100), start
		for pb.Next() {
			t = t.Add(time.Second)
			for _, id := range ids[:100] {
				batch[id] = t
			}
			if err := m.NoteUses(context.Background(), batch); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	for _, n := range populations {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			m, ids := populated(b, n)
			r, _, err := m.Get(b.Context(), ids[0])
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Update(b.Context(), r); err != nil {
					b.Fatal(err)
				}
				r.Version++
			}
		})
	}
}

// One organization that holds everything, and pages of 100.
func BenchmarkList(b *testing.B) {
	for _, n := range populations {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			m, ids := new(store.Memory), make([]string, n)
			r := record(b, keys.KindKey, "")
			for i := range n {
				r.ID = rand.Text()
				ids[i] = r.ID
				insert(b, m, r)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				q := keys.Query{Org: "acme", Kind: keys.KindKey, After: ids[i], Limit: 100}
				if _, err := m.List(b.Context(), q); err != nil {
					b.Fatal(err)
				}
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// Insert into one organization until it holds so many, and then into the next
// store.
func BenchmarkInsert(b *testing.B) {
	for _, order := range []string{"random", "ascending"} {
		for _, n := range []int{1000, 1_000_000} {
			b.Run(fmt.Sprintf("order=%s/records=%d", order, n), func(b *testing.B) {
				ids := make([]string, n)
				for i := range ids {
					ids[i] = "key_" + rand.Text()[:22]
				}
				if order == "ascending" {
					slices.Sort(ids)
				}
				r := record(b, keys.KindKey, "")
				m, filled := new(store.Memory), 0
				b.ReportAllocs()
				for b.Loop() {
					if filled == n {
						m, filled = new(store.Memory), 0
					}
					r.ID = ids[filled]
					if err := m.Insert(b.Context(), r); err != nil {
						b.Fatal(err)
					}
					filled++
				}
			})
		}
	}
}

// BenchmarkSize has no time of interest: it reports what a record takes, its ID
// and the two lists that it stands in included.
func BenchmarkSize(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			for b.Loop() {
				before := heap()
				m := new(store.Memory)
				r := record(b, keys.KindKey, "")
				for range n {
					r.ID = "key_" + rand.Text()[:22]
					insert(b, m, r)
				}
				b.ReportMetric(float64(heap()-before)/float64(n), "B/record")
				runtime.KeepAlive(m)
			}
		})
	}
}

// heap returns the bytes that are in use after a collection.
func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// A sweep of a million live tokens, and one that finds a thousand dead ones.
func BenchmarkSweep(b *testing.B) {
	const n = 1_000_000
	m := new(store.Memory)
	r := record(b, keys.KindToken, "")
	for range n {
		r.ID, r.ExpiresAt = rand.Text(), start.Add(time.Hour)
		insert(b, m, r)
	}
	for _, dead := range []int{0, 1000} {
		b.Run(fmt.Sprintf("records=%d/dead=%d", n, dead), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				for range dead {
					r.ID, r.ExpiresAt = rand.Text(), start
					insert(b, m, r)
				}
				b.StartTimer()
				if got, err := m.Sweep(b.Context(), start.Add(1), max(dead, 1)); got != dead || err != nil {
					b.Fatal(got, err)
				}
			}
		})
	}
}
