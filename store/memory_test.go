package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

var start = time.UnixMilli(1_700_000_000_000)

// record returns a key of the organization acme, or a token that ends at start.
func record(t testing.TB, kind keys.Kind, id string) keys.Record {
	t.Helper()
	digest, err := keys.ParseDigest("$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
	if err != nil {
		t.Fatal(err)
	}
	r := keys.Record{ID: id, Kind: kind, Org: "acme", RateLimit: 600, Digest: digest, CreatedAt: start, Version: 1}
	if kind == keys.KindToken {
		r.Parent, r.ExpiresAt = "cc_1", start
	}
	return r
}

func insert(t testing.TB, m *store.Memory, r keys.Record) {
	t.Helper()
	if err := m.Insert(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Test(t, func(t testing.TB) store.Store {
		t.(*testing.T).Parallel()
		return new(store.Memory)
	}, nil)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string][2]error{
		"not found": {store.ErrNotFound, keys.ErrNotFound},
		"exists":    {store.ErrExists, keys.ErrExists},
		"conflict":  {store.ErrConflict, keys.ErrConflict},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: the names stand for two errors, %v and %v", name, pair[0], pair[1])
		}
	}
}

func TestMemoryGetAllocatesNothing(t *testing.T) {
	m := new(store.Memory)
	insert(t, m, record(t, keys.KindKey, "key_1"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, id := range []string{"key_1", "key_2", "", strings.Repeat("x", 1000)} {
		if n := testing.AllocsPerRun(100, func() {
			if r, _, err := m.Get(ctx, id); r.ID != id && err == nil {
				t.Errorf("Get of %q gave %q", id, r.ID)
			}
		}); n != 0 {
			t.Errorf("Get of %q allocates %v times, want 0", id, n)
		}
	}
}

// Limiters must be able to tell that the buckets are in this process; they do it
// by a method that the embedded Memory brings along.
func TestMemoryLimitsAllocateNothing(t *testing.T) {
	limiter, err := ratelimit.NewLimiter(new(store.Memory), nil)
	if err != nil {
		t.Fatal(err)
	}
	limit, now, admitted := ratelimit.MustPerMinute(60), start, 0
	take := func() {
		if d, err := limiter.TakeAt(t.Context(), "acme", limit, now, 1); err == nil && d.Allowed {
			admitted++
		}
	}
	if n := testing.AllocsPerRun(99, take); n != 0 {
		t.Errorf("a decision allocates %v times, want 0", n)
	}
	if admitted != 60 {
		t.Errorf("%d of 100 requests were admitted, want 60", admitted)
	}
}

// A page is one moment's: of two records that are always updated one after the
// other, the second is never ahead of the first.
func TestMemoryListIsOneMoment(t *testing.T) {
	t.Parallel()
	m := new(store.Memory)
	records := [2]keys.Record{record(t, keys.KindKey, "a"), record(t, keys.KindKey, "b")}
	insert(t, m, records[0])
	insert(t, m, records[1])
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer done.Store(true)
		for range 2000 {
			for i := range records {
				if err := m.Update(t.Context(), records[i]); err != nil {
					t.Error(err)
					return
				}
				records[i].Version++
			}
		}
	})
	for !done.Load() {
		page, err := m.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 2})
		if err != nil || len(page) != 2 {
			t.Fatalf("List gave %v, %v; want 2 records", page, err)
		}
		if ahead := page[0].Version - page[1].Version; ahead != 0 && ahead != 1 {
			t.Fatalf("List gave version %d of a and %d of b, which never were there at once", page[0].Version, page[1].Version)
		}
	}
	wg.Wait()
}

// A loop of small sweeps removes everything, and returns 0 only then. What is
// inserted with a removed ID is another record, which the sweep leaves alone.
func TestMemorySweepInSteps(t *testing.T) {
	t.Parallel()
	const total, limit = 5000, 300
	m := new(store.Memory)
	for i := range total {
		insert(t, m, record(t, keys.KindToken, fmt.Sprint(i)))
	}
	var counts []int
	for {
		n, err := m.Sweep(t.Context(), start.Add(1), limit)
		if err != nil {
			t.Fatal(err)
		}
		if counts = append(counts, n); n == 0 {
			break
		}
	}
	want := append(slices.Repeat([]int{limit}, total/limit), total%limit, 0)
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("removed by each Sweep (-want +got):\n%s", diff)
	}
	again := record(t, keys.KindToken, "17")
	again.ExpiresAt = start.Add(time.Hour)
	insert(t, m, again)
	if n, err := m.Sweep(t.Context(), start.Add(1), limit); n != 0 || err != nil {
		t.Errorf("Sweep of a live token: %d, %v", n, err)
	}
	if got, _, err := m.Get(t.Context(), "17"); err != nil || got != again {
		t.Errorf("Get gave %v, %v; want the record that was inserted last", got, err)
	}
}

// IDs that come in order fill and split blocks at their ends.
func TestMemoryListsOrderedInserts(t *testing.T) {
	t.Parallel()
	const n = 2000
	for name, number := range map[string]func(i int) int{
		"ascending":  func(i int) int { return i },
		"descending": func(i int) int { return n - 1 - i },
		"inwards":    func(i int) int { return i/2 + i%2*(n-1-i/2*2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := new(store.Memory)
			for i := range n {
				insert(t, m, record(t, keys.KindKey, fmt.Sprintf("%05d", number(i))))
			}
			page, err := m.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: n + 1})
			if err != nil || len(page) != n {
				t.Fatalf("List returned %d records, %v; want %d", len(page), err, n)
			}
			for i, r := range page {
				if want := fmt.Sprintf("%05d", i); r.ID != want {
					t.Fatalf("record %d is %q, want %q", i, r.ID, want)
				}
			}
		})
	}
}

// Blocks are sorted when they are read or when one of their IDs is removed, and
// cut in two when they are full, in whatever order these things happen.
func TestMemoryListsWhatComesAndGoes(t *testing.T) {
	t.Parallel()
	const n = 6000
	for name, number := range map[string]func(random *rand.Rand, i int) int{
		"random":    func(random *rand.Rand, _ int) int { return random.IntN(1 << 30) },
		"ascending": func(_ *rand.Rand, i int) int { return i },
		"crowded":   func(random *rand.Rand, i int) int { return i % 2 * random.IntN(1<<30) / (1 + i%100) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, 2))
			m, want := new(store.Memory), make(map[string]bool)
			for i := range n {
				r := record(t, keys.KindToken, fmt.Sprintf("%010d", number(random, i)))
				if i%3 == 0 {
					r.ExpiresAt = start.Add(time.Hour)
				}
				if err := m.Insert(t.Context(), r); err == nil {
					want[r.ID] = i%3 == 0
				}
				switch random.IntN(200) {
				case 0:
					if _, err := m.Sweep(t.Context(), start.Add(time.Minute), math.MaxInt); err != nil {
						t.Fatal(err)
					}
					maps.DeleteFunc(want, func(_ string, lives bool) bool { return !lives })
				case 1, 2, 3:
					checkPage(t, m, want, fmt.Sprintf("%010d", number(random, random.IntN(i+1))), random.IntN(600)+1)
				}
			}
			checkPage(t, m, want, "", n)
		})
	}
}

// checkPage checks one page of tokens.
func checkPage(t *testing.T, m *store.Memory, want map[string]bool, after string, limit int) {
	t.Helper()
	var ids []string
	for id := range want {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = ids[:min(limit, len(ids))]
	page, err := m.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindToken, After: after, Limit: limit})
	if err != nil || !slices.EqualFunc(page, ids, func(r keys.Record, id string) bool { return r.ID == id }) {
		t.Fatalf("List of %d after %q gave %d records, %v; want %d others", limit, after, len(page), err, len(ids))
	}
}

// All records of an organization share one copy of its name, however many copies their
// host has.
func TestMemorySharesNames(t *testing.T) {
	t.Parallel()
	m := new(store.Memory)
	var first *byte
	for _, id := range []string{"a", "b"} {
		r := record(t, keys.KindKey, id)
		r.Org = strings.Clone(r.Org)
		insert(t, m, r)
		got, _, err := m.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if p := unsafe.StringData(got.Org); first == nil {
			first = p
		} else if p != first {
			t.Error("two copies of the name of an organization")
		}
	}
}

// Positions far before the first entry and far after the last are no other positions, even
// if part of the trail was cut.
func TestMemoryEntriesFarAway(t *testing.T) {
	t.Parallel()
	m := new(store.Memory)
	for range 3 {
		if err := m.AddEntry(t.Context(), keys.Entry{Org: "acme", Time: time.Unix(1, 0), Action: keys.ActionRefused}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.CutEntries(t.Context(), "acme", "", 1); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[int64]int{math.MinInt64: 2, -1: 2, 0: 2, 2: 1, math.MaxInt64: 0} {
		if got, err := m.Entries(t.Context(), "acme", "", after, 10); err != nil || len(got) != want {
			t.Errorf("after %d: %d entries, %v; want %d", after, len(got), err, want)
		}
	}
	for _, upTo := range []int64{math.MinInt64, 0, math.MaxInt64} {
		if err := m.CutEntries(t.Context(), "acme", "", upTo); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("cut up to %d: %v", upTo, err)
		}
	}
}
