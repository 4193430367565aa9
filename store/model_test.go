package store_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/google/go-cmp/cmp"
)

// A model does what a Memory does, in the simplest way.
type model map[string]keys.Record

func (m model) list(q keys.Query) []keys.Record {
	page := []keys.Record{}
	for _, r := range m {
		if r.Org == q.Org && r.Kind == q.Kind && r.ID > q.After && !(q.Live && r.Revoked()) {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) })
	return page[:min(len(page), q.Limit)]
}

func (m model) count(kind keys.Kind, now time.Time) (n int) {
	for _, r := range m {
		if r.Kind == kind && !r.Revoked() && !r.Expired(now) {
			n++
		}
	}
	return n
}

// Over long random schedules, in which tables grow, shrink and fill with removed
// slots, and blocks split and vanish, Memory does what the model does.
func TestMemoryIsItsModel(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 500, 4000} {
		t.Run(fmt.Sprint("ids=", size), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(size)))
			m, want := new(store.Memory), make(model)
			ids := make([]string, size)
			for i := range ids {
				ids[i] = fmt.Sprintf("%x", random.Uint64())
			}
			for range 8 * size {
				step(t, random, m, want, ids)
			}
			for _, kind := range []keys.Kind{keys.KindKey, keys.KindToken} {
				for _, live := range []bool{false, true} {
					compareLists(t, m, want, keys.Query{Org: "acme", Kind: kind, Limit: math.MaxInt, Live: live})
				}
			}
			for _, id := range ids {
				r, _, err := m.Get(t.Context(), id)
				if _, there := want[id]; there != (err == nil) || r != want[id] {
					t.Fatalf("Get of %q gave %v, %v; want %v", id, r, err, want[id])
				}
			}
		})
	}
}

// step does one random thing to both.
func step(t *testing.T, random *rand.Rand, m *store.Memory, want model, ids []string) {
	size := len(ids)
	id := ids[random.IntN(len(ids))]
	was, there := want[id]
	switch n := random.IntN(1000); {
	case n < 600:
		r := record(t, keys.KindToken, id)
		if random.IntN(8) == 0 {
			r = record(t, keys.KindKey, id)
		}
		err := m.Insert(t.Context(), r)
		if there != errors.Is(err, store.ErrExists) {
			t.Fatalf("Insert of %q failed with %v; it is there: %t", id, err, there)
		}
		if !there {
			want[id] = r
		}
	case n < 980:
		r := was
		if !there {
			r = record(t, keys.KindKey, id)
		}
		r.Label, r.ExpiresAt = fmt.Sprint(n), start.Add(time.Duration(random.IntN(3)-1)*time.Hour)
		if random.IntN(4) == 0 && !r.Revoked() {
			r.RevokedAt = start
		}
		err := m.Update(t.Context(), r)
		if there != (err == nil) {
			t.Fatalf("Update of %q failed with %v; it is there: %t", id, err, there)
		}
		if there {
			r.Version++
			want[id] = r
		}
	case n < 998:
		kind := []keys.Kind{keys.KindKey, keys.KindToken, keys.KindClient}[random.IntN(3)]
		q := keys.Query{Org: "acme", Kind: kind, After: id[:random.IntN(len(id))], Limit: 1 + random.IntN(20), Live: random.IntN(2) == 0}
		compareLists(t, m, want, q)
		most := 1 + random.IntN(size)
		if got, err := m.Count(t.Context(), "acme", kind, start, most); err != nil || got != min(most, want.count(kind, start)) {
			t.Fatalf("Count of the %ss gave %d, %v; want %d, or at most %d", kind, got, err, want.count(kind, start), most)
		}
	default:
		dead := 0
		for id, r := range want {
			if r.Sweepable(start.Add(time.Millisecond)) {
				delete(want, id)
				dead++
			}
		}
		n, err := m.Sweep(t.Context(), start.Add(time.Millisecond), math.MaxInt)
		if n != dead || err != nil {
			t.Fatalf("Sweep removed %d, %v; want %d", n, err, dead)
		}
	}
}

func compareLists(t *testing.T, m *store.Memory, want model, q keys.Query) {
	t.Helper()
	got, err := m.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if w := want.list(q); !slices.Equal(got, w) {
		t.Fatalf("List of %+v (-want +got):\n%s", q, cmp.Diff(fmt.Sprint(w), fmt.Sprint(got)))
	}
}
